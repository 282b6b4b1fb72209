"""``trivec info``: what is in a library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trivec.cli.flags import DEFAULT_OUTPUT, OutputFlags

if TYPE_CHECKING:
    from trivec.search.collection import LibraryInfo

_LISTED_LANGUAGES = 12


def info(library: Path, /, *, output: OutputFlags = DEFAULT_OUTPUT) -> int:
    """Say what is in a library.

    For example:
      trivec info library
      trivec info library --json

    Documents, passages, size, model, signals, languages (of documents with
    a metadata field lang), how it is searched, and rerankers that it was
    tuned for. The model is not loaded.

    Args:
        library: Folder of the library.
    """
    from dataclasses import asdict

    from trivec.cli.output import emit, print_facts
    from trivec.search.opening import open_collection

    with open_collection(library, create=False) as collection:
        found = collection.info()
    emit(output, asdict(found), lambda: print_facts(_facts(found)))
    return 0


def _facts(info: LibraryInfo) -> list[tuple[str, str]]:
    from trivec.cli.output import human_bytes

    languages = [f"{name} {count:,}" for name, count in info.languages.items()]
    more = f", and {len(languages) - _LISTED_LANGUAGES} more" if len(languages) > _LISTED_LANGUAGES else ""
    search = [f"{name} {_value(value)}" for name, value in info.search.items()]
    rerankers = [
        f"{name} (depth {own['depth']}, first stage {own['first_stage']:g})" for name, own in info.rerankers.items()
    ]
    return [
        ("library", info.path),
        ("documents", f"{info.documents:,}"),
        ("passages", f"{info.passages:,}"),
        ("size", human_bytes(info.bytes)),
        ("model", info.model),
        ("fingerprint", info.fingerprint),
        ("store", info.store),
        ("signals", ", ".join(info.signals) or "none yet"),
        ("languages", ", ".join(languages[:_LISTED_LANGUAGES]) + more or "not known"),
        ("search", "; ".join(search) or "as by default"),
        *([("tuned for", ", ".join(rerankers))] if rerankers else []),
    ]


def _value(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={weight:g}" for name, weight in value.items())
    return str(value)
