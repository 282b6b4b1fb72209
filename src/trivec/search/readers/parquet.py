"""``.parquet``: rows read in batches, so that a file of any size fits; columns nobody asked for are not read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from trivec.errors import InputError, require
from trivec.search.readers.reading import Found, Reading, SourceFile
from trivec.search.readers.rows import ID_FIELDS, TEXT_FIELDS, TITLE_FIELDS, check_columns, documents_of

ROWS_PER_BATCH = 512


def read_parquet(file: SourceFile, reading: Reading) -> Iterator[Found]:
    """The rows of a parquet file, numbered from 1."""

    def wanted(columns: list[str]) -> list[str]:
        check_columns(columns, str(file.path), reading)
        return _wanted(columns, reading)

    return documents_of(parquet_rows(file.path, wanted), file, reading)


def parquet_rows(
    path: Path, choose: Callable[[list[str]], list[str]] = list
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The fields of each row by name, numbered from 1.

    Args:
        path: of the file.
        choose: of all columns, those that are read.

    Raises:
        InputError: it is no parquet, or damaged.
        MissingPackageError: pyarrow is not installed.
    """
    parquet = require("pyarrow.parquet", "docs", f"reading {path}")
    number = 0
    try:
        with parquet.ParquetFile(path) as table:
            columns = choose(list(table.schema_arrow.names))
            for batch in table.iter_batches(ROWS_PER_BATCH, columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except InputError:
        raise
    except (OSError, ValueError, NotImplementedError) as error:  # the bases of pyarrow's own errors
        after = f" after row {number:,}" if number else ""
        raise InputError(f"{path}: no readable parquet{after} ({error}): write the file again") from error


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
