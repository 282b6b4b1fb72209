"""What a user may say about the files to read."""

from __future__ import annotations

from dataclasses import dataclass

from trivec.errors import InputError


@dataclass(frozen=True)
class ReadOptions:
    """How documents are found in files. The defaults read every known format without being told anything."""

    id_field: str | None = None
    """Field with the id. Default: the first of id, _id, docid, doc_id; a row without one is named FILE:LINE."""

    title_field: str | None = None
    """Field with the title. Default: title."""

    text_fields: tuple[str, ...] = ()
    """Fields with the text; several are joined by a blank line. Default: the first of text, contents, content,
    body, passage."""

    metadata: tuple[str, ...] | None = None
    """Fields kept as metadata. Default: all others that hold a scalar or a short list of scalars."""

    encoding: str | None = None
    """Default: UTF-8; for HTML that is not UTF-8, the charset the page declares. A byte order mark wins over both."""

    skip_bad: bool = False
    """Skip and count rows and files that cannot be read, instead of stopping at the first."""

    delimiter: str | None = None
    """Between the cells of .csv files. Default: a comma. A .tsv file always has tabs."""

    suffixes: tuple[str, ...] = ()
    """Which files of a folder are read, such as .md or jsonl. Default: all known ones."""

    def __post_init__(self) -> None:
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise InputError(f"delimiter must be one character other than a quote, got {self.delimiter!r}: try ';'")
        _refuse_shared_fields(self)
        if self.encoding is not None:
            _check_encoding(self.encoding)

    @property
    def named_fields(self) -> frozenset[str]:
        """Fields that were asked for by name and need not be in every row."""
        title = {self.title_field} if self.title_field else set()
        return frozenset(title | set(self.text_fields) | set(self.metadata or ()))


def _refuse_shared_fields(options: ReadOptions) -> None:
    roles = {"id_field": options.id_field, "title_field": options.title_field}
    for role, field in roles.items():
        if field is not None and field in options.text_fields:
            raise InputError(f"{role} and text_fields both name {field!r}: name it in one of them")


def _check_encoding(name: str) -> None:
    try:
        "".encode(name)
    except LookupError as error:
        raise InputError(f"unknown encoding {name!r}: try utf-8, utf-16, cp1252, gb18030 or shift_jis") from error
