"""``trivec compact``: merge, drop what was deleted, build graphs."""

from __future__ import annotations

from pathlib import Path

from trivec.cli.flags import DEFAULT_OUTPUT, OutputFlags


def compact(library: Path, /, *, output: OutputFlags = DEFAULT_OUTPUT) -> int:
    """Make a library small and quick without changing what it holds.

    For example:
      trivec compact library

    Merges what was written in pieces, drops what was deleted, builds search
    structures, and brings an older library to the present format. Others
    can search meanwhile. Stopped at any moment, the library is as before.

    Args:
        library: Folder of the library.
    """
    from dataclasses import asdict

    from trivec.cli.output import emit_summary, human_bytes, print_facts
    from trivec.search.opening import open_collection

    with open_collection(library, create=False) as collection:
        report = collection.compact()
    facts = [
        ("passages", f"{report.passages:,}"),
        ("size before", human_bytes(report.bytes_before)),
        ("size after", human_bytes(report.bytes_after)),
    ]
    emit_summary(output, {"library": str(library)} | asdict(report), lambda: print_facts(facts))
    return 0
