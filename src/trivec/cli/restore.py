"""``trivec restore``: a library from the file of a snapshot."""

from __future__ import annotations

from pathlib import Path

from trivec.cli.flags import DEFAULT_OUTPUT, OutputFlags


def restore(file: Path, library: Path, /, *, output: OutputFlags = DEFAULT_OUTPUT) -> int:
    """Make a library from a snapshot.

    For example:
      trivec restore library-monday.tar library

    Every checksum is compared first; then the library appears at its place
    in one step. Stopped at any moment, nothing is there, and the same
    command does it again.

    Args:
        file: A file that trivec snapshot wrote.
        library: Folder to make; it must not exist yet.
    """
    from dataclasses import asdict

    from trivec.cli.output import emit_summary, human_bytes, print_facts
    from trivec.search.snapshots import restore_snapshot

    report = restore_snapshot(file, library)
    facts = [("library", report.library), ("files", f"{report.files:,}"), ("size", human_bytes(report.bytes))]
    emit_summary(output, asdict(report), lambda: print_facts(facts))
    return 0
