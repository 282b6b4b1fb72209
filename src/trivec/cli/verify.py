"""``trivec verify``: is every file of a library what was written?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trivec.cli.flags import DEFAULT_OUTPUT, OutputFlags

if TYPE_CHECKING:
    from trivec.search.verification import Verification

DAMAGED = 1


def verify(library: Path, /, *, output: OutputFlags = DEFAULT_OUTPUT) -> int:
    """Check every file of a library against its checksum.

    For example:
      trivec verify library
      trivec verify library --json

    Names each file that is damaged or missing, and ends with exit code 1 if
    there is one, else 0. Reads everything, writes nothing, needs no model.

    Args:
        library: Folder of the library.
    """
    from dataclasses import asdict

    from trivec.cli.output import emit, print_facts
    from trivec.search.verification import verify_library

    found = verify_library(library)
    emit(output, asdict(found) | {"whole": found.whole}, lambda: print_facts(_facts(found)))
    return 0 if found.whole else DAMAGED


def _facts(found: Verification) -> list[tuple[str, str]]:
    from trivec.cli.output import human_bytes

    return [
        ("library", found.library),
        ("store", found.store or "unknown"),
        ("files", f"{found.files:,}"),
        ("size", human_bytes(found.bytes)),
        *(("damaged", problem) for problem in found.problems),
        *(("not checked", gap) for gap in found.unchecked),
        ("result", "whole" if found.whole else "damaged: restore a snapshot, or index again"),
    ]
