"""Refuses the second of two documents with one id, and knows where the first was."""

from __future__ import annotations

from trivec.errors import InputError
from trivec.search.readers.reading import Found, SourceFile

_NUMBER_BITS = 40


class SeenIds:
    """Keeps a 64-bit hash and a place for each id: about 100 bytes a document, however long the ids are."""

    def __init__(self) -> None:
        self._places: dict[int, int] = {}
        self._files: list[SourceFile] = []

    def add(self, found: Found) -> None:
        """Remember a document.

        Raises:
            InputError: another one has this id.
        """
        if not self._files or self._files[-1] != found.file:
            self._files.append(found.file)
        key = hash(found.document.id)
        place = (len(self._files) - 1) << _NUMBER_BITS | found.number
        first = self._places.setdefault(key, place)
        if first != place:
            file, number = self._files[first >> _NUMBER_BITS], first & ((1 << _NUMBER_BITS) - 1)
            raise InputError(
                f"{found.place}: the id {found.document.id!r:.80} is already taken by {file.place(number)}: "
                "give each document its own, or name another field with --id-field"
            )
