"""``.parquet``: rows read in batches, so that a file of any size fits; columns nobody asked for are not read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trivec.errors import InputError, require
from trivec.search.readers.reading import Found, Reading, SourceFile
from trivec.search.readers.rows import ID_FIELDS, TEXT_FIELDS, TITLE_FIELDS, check_columns, documents_of

ROWS_PER_BATCH = 512


def read_parquet(file: SourceFile, reading: Reading) -> Iterator[Found]:
    """The rows of a parquet file, numbered from 1."""
    parquet = require("pyarrow.parquet", "docs", f"reading {file.path}")
    return documents_of(_rows(parquet, file, reading), file, reading)


def _rows(parquet: Any, file: SourceFile, reading: Reading) -> Iterator[tuple[int, object]]:  # noqa: ANN401
    number = 0
    try:
        with parquet.ParquetFile(file.path) as table:
            columns = list(table.schema_arrow.names)
            check_columns(columns, str(file.path), reading)
            for batch in table.iter_batches(ROWS_PER_BATCH, columns=_wanted(columns, reading)):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except InputError:
        raise
    except (OSError, ValueError, NotImplementedError) as error:  # the bases of pyarrow's own errors
        after = f" after row {number:,}" if number else ""
        raise InputError(f"{file.path}: no readable parquet{after} ({error}): write the file again") from error


def _wanted(columns: list[str], reading: Reading) -> list[str]:
    """All columns, or those the options name if they say which metadata to keep."""
    options = reading.options
    if options.metadata is None:
        return columns
    named = {
        *((options.id_field,) if options.id_field else ID_FIELDS),
        *((options.title_field,) if options.title_field else TITLE_FIELDS),
        *(options.text_fields or TEXT_FIELDS),
        *options.metadata,
    }
    return [name for name in columns if name in named]
