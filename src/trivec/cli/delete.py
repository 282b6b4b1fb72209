"""``trivec delete``: documents out of a library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from trivec.cli.flags import DEFAULT_OUTPUT, OutputFlags


def delete(
    library: Path,
    /,
    *,
    id: tuple[str, ...] = (),
    where: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Remove documents from a library.

    For example:
      trivec delete library --id 7 --id 8
      trivec delete library --where 'lang = "de" and year < 2000'

    Prints how many documents were removed; an id that is not there is no
    error.

    Args:
        library: Folder of the library.
        id: Id of a document; give it again for more.
        where: A filter over metadata; all documents that pass it go.
    """
    from trivec.cli.output import emit_summary, print_facts
    from trivec.search.opening import open_collection

    with open_collection(library, create=False) as collection:
        removed = collection.delete(id, where)
    result = {"library": str(library), "deleted": removed}
    emit_summary(output, result, lambda: print_facts([("documents deleted", f"{removed:,}")]))
    return 0
