"""``.parquet`` and ``.arrow``, read in batches so that a file of any size fits. pyarrow is all it needs.

Columns of types that JSON lacks, such as bytes, are not kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trivec.data.layouts import layout_of
from trivec.data.rows import Row
from trivec.errors import InputError, require
from trivec.search.readers.reading import Reading, SourceFile

ROWS_PER_BATCH = 512


def read_parquet(file: SourceFile, reading: Reading) -> Iterator[Row]:
    """The rows of a parquet file, numbered from 1."""
    parquet = require("pyarrow.parquet", "docs", f"reading {file.path}")
    return _rows(_parquet_batches(parquet, file), "parquet", file)


def read_arrow(file: SourceFile, reading: Reading) -> Iterator[Row]:
    """The rows of an Arrow file, in either of its two forms, numbered from 1."""
    arrow = require("pyarrow", "docs", f"reading {file.path}")
    return _rows(_arrow_batches(arrow, file), "Arrow data", file)


def _parquet_batches(parquet: Any, file: SourceFile) -> Iterator[Any]:  # noqa: ANN401
    with parquet.ParquetFile(file.path, pre_buffer=False) as table:
        columns = _columns(table.schema_arrow, file)
        yield from table.iter_batches(ROWS_PER_BATCH, columns=columns)


def _arrow_batches(arrow: Any, file: SourceFile) -> Iterator[Any]:  # noqa: ANN401
    with arrow.memory_map(str(file.path)) as source:
        if source.read(6) == b"ARROW1":
            reader = arrow.ipc.open_file(source)
            batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
        else:
            source.seek(0)
            batches = reader = arrow.ipc.open_stream(source)
        columns = _columns(reader.schema, file)
        for batch in batches:
            for start in range(0, batch.num_rows, ROWS_PER_BATCH):
                yield batch.slice(start, ROWS_PER_BATCH).select(columns)


def _rows(batches: Iterator[Any], kind: str, file: SourceFile) -> Iterator[Row]:
    number = 0
    try:
        for batch in batches:
            for row in batch.to_pylist():
                number += 1
                yield file.place(number), row
    except InputError:
        raise
    except (OSError, ValueError, NotImplementedError) as error:  # the bases of pyarrow's own errors
        after = f" after row {number:,}" if number else ""
        raise InputError(f"{file.path}: no readable {kind}{after} ({error}): write the file again") from error


def _columns(schema: Any, file: SourceFile) -> list[str]:  # noqa: ANN401
    """The names of the columns that can be kept.

    Raises:
        InputError: there is no query or positive among them.
    """
    names = [field.name for field in schema if _is_kept(field.type)]
    try:
        layout_of(tuple(names))
    except InputError as error:
        raise InputError(f"{file.path}: {error}") from error
    return names


def _is_kept(kind: Any) -> bool:  # noqa: ANN401
    """Whether values of an Arrow type are text, numbers, truth values, or lists and objects of these."""
    inner = [kind.field(i).type for i in range(kind.num_fields)]
    if inner:
        return all(_is_kept(part) for part in inner)
    plain = ("string", "large_string", "string_view", "bool", "null", "float", "double", "halffloat")
    return str(kind) in plain or str(kind).startswith(("int", "uint", "dictionary<values=string"))
