"""From older formats of a library to the present one, a step at a time.

The version stands in ``library.json``. An older library is read as if every step had been taken, without a change on
disk, so those who only read need no permission to write. The first write takes the steps on disk, in one replacement
of the file; from then on an older trivec refuses the library.

To add a format, write a function that makes the content of ``library.json`` from that of the version before, and
name it in `MIGRATIONS`. A step that has to change the store writes a new one beside it and names its folder: the
replacement of ``library.json`` is the switch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Content: TypeAlias = dict[str, Any]
"""What ``library.json`` holds."""


def _name_the_store(content: Content) -> Content:
    """To format 2: the store's folder, and how vectors and long documents are treated, were the same for all."""
    return {"folder": "store", "compression": {}, "long_documents": {}} | content


def _without_evidence(content: Content) -> Content:
    """To format 3: nothing said why a library is searched as it is."""
    return {"tuning": {}} | content


def _without_rerankers(content: Content) -> Content:
    """To format 4: nothing was tuned for rerankers."""
    return {"rerankers": {}} | content


MIGRATIONS: dict[int, Callable[[Content], Content]] = {
    1: _name_the_store,
    2: _without_evidence,
    3: _without_rerankers,
}
"""By the format that a step starts from; it leads to the next one."""

FORMAT_VERSION = max(MIGRATIONS) + 1
"""What is written."""


def migrate(content: Content) -> Content:
    """The content in the present format.

    Raises:
        KeyError, TypeError: it says no format, or one that never was.
    """
    while content["format"] < FORMAT_VERSION:
        version = content["format"]
        content = MIGRATIONS[version](content) | {"format": version + 1}
    return content
