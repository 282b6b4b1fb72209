"""``trivec snapshot``: a whole library as one file."""

from __future__ import annotations

from pathlib import Path

from trivec.cli.flags import DEFAULT_OUTPUT, OutputFlags


def snapshot(library: Path, file: Path, /, *, output: OutputFlags = DEFAULT_OUTPUT) -> int:
    """Write a whole library to one file.

    For example:
      trivec snapshot library library-monday.tar
      trivec restore library-monday.tar copy

    The file is an uncompressed tar with the checksum of everything in it. It
    holds what the library held when the command began, and appears when it
    is complete and on disk. Others can search meanwhile.

    Args:
        library: Folder of the library.
        file: The file to write; it must not exist yet.
    """
    from dataclasses import asdict

    from trivec.cli.output import emit_summary, human_bytes, print_facts
    from trivec.search.opening import open_collection

    with open_collection(library, create=False) as collection:
        report = collection.snapshot(file)
    facts = [("snapshot", report.snapshot), ("files", f"{report.files:,}"), ("size", human_bytes(report.bytes))]
    emit_summary(output, asdict(report), lambda: print_facts(facts))
    return 0
