"""``trivec add``: more documents for a library."""

from __future__ import annotations

from pathlib import Path

from trivec.cli.flags import DEFAULT_OUTPUT, DEFAULT_READ, OutputFlags, ReadFlags, SourceList


def add(
    library: Path,
    sources: SourceList,
    /,
    *,
    reading: ReadFlags = DEFAULT_READ,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Add documents to a library.

    For example:
      trivec add library more.jsonl
      echo '{"id": "7", "text": "Water boils."}' | trivec add library -

    A document whose id is in the library replaces the one there; unchanged
    ones cost nothing.

    Args:
        library: Folder of the library; trivec index makes one.
        sources: Files, folders, other libraries, or - for standard input.
    """
    from trivec.cli.filling import fill, tell
    from trivec.cli.sources import Sources
    from trivec.search.opening import open_collection

    documents = Sources(sources, reading.options(), library)
    with open_collection(library, create=False) as collection:
        documents.look_ahead()
        filling = fill(collection, documents, output)
    tell(filling, output)
    return 0
