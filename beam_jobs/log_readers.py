"""Log files -> chunks of raw columns: CSV and JSONL (files in blocks; CSV perhaps in ranges), Parquet (row groups).

Nothing is judged here except whether a row's columns can be told apart: values come out as they are in the file,
because a bad value must reject its row and not the file (cleaning.py does that).
"""

from __future__ import annotations

import glob
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from beam_jobs import csv_reader, json_reader
from beam_jobs.chunks import CHUNK_BYTES, CHUNK_ROWS, RawChunk
from beam_jobs.csv_reader import Dialect
from tfrec_zoo.errors import DataError

TEXT, JSONL, PARQUET = (".csv", ".tsv", ".txt"), (".jsonl", ".ndjson"), (".parquet",)
EXTENSIONS = (*TEXT, *JSONL, *PARQUET, *(f"{extension}.gz" for extension in (*TEXT, *JSONL)))
SPAN_BYTES = 64 << 20
"""Ranges in which CSV files without quoted newlines are read."""

_DAMAGE = (pa.ArrowException, OSError, EOFError, zlib.error)
"""What a damaged or vanished file raises."""


class Source(NamedTuple):
    """One unit of reading.

    Attributes:
        number: Position in the log; sources in this order, rows in theirs, are the log's order.
        path: The file.
        rows: Number of rows; for text files an estimate from their size.
        row_group: Of a Parquet file; -1 for others.
        first_row: Number of the first data row, 1-based, counted over the file; of a `span` it is not known, and 1.
        span: Range of bytes of a CSV file; None: all of it.
        origin: Number of the group of files, see `plan`.
    """

    number: int
    path: str
    rows: int
    row_group: int = -1
    first_row: int = 1
    span: tuple[int, int] | None = None
    origin: int = 0


def expand(patterns: Sequence[str], flag: str = "--input") -> list[str]:
    """The files that the globs name, each once, sorted by path: the log's order.

    Args:
        patterns: Globs or paths.
        flag: Where they come from, for messages.

    Raises:
        DataError: A pattern matches no file, or a file has an extension that no reader knows.
    """
    paths: dict[str, str] = {}
    for pattern in sorted(patterns):
        found = [pattern] if Path(pattern).exists() else glob.glob(pattern, recursive=True)
        files = [path for path in found if Path(path).is_file()]
        if not files:
            hint = f"it is a directory: write {pattern}/*.csv" if Path(pattern).is_dir() else "check the path"
            raise DataError(f"{flag} {pattern} matches no file; {hint}.")
        for path in files:
            if not path.lower().endswith(EXTENSIONS):
                raise DataError(f"{path}: unsupported file type; {flag} takes {', '.join(EXTENSIONS)} files.")
            paths.setdefault(os.path.realpath(path), path)
    return sorted(paths.values())


def column_names(path: str, dialect: Dialect) -> list[str]:
    """The columns of a file, duplicates included.

    Raises:
        DataError: The file cannot be read, or is empty.
    """
    try:
        if _is(path, PARQUET):
            return list(pq.read_schema(path).names)
        return json_reader.keys(path) if _is(path, JSONL) else csv_reader.header(path, dialect)
    except _DAMAGE as error:
        raise unreadable(path, error) from error


def plan_file(path: str, dialect: Dialect, wanted: set[str]) -> list[Source]:
    """What there is to read of a file, without numbers.

    Raises:
        DataError: The file cannot be read, or a wanted Parquet column holds lists or structures.
    """
    try:
        if _is(path, PARQUET):
            return _plan_parquet(path, wanted)
        if _is(path, JSONL):
            return [Source(0, path, json_reader.estimate_rows(path))]
        rows, size = csv_reader.estimate_rows(path), Path(path).stat().st_size
    except _DAMAGE as error:
        raise unreadable(path, error) from error
    if dialect.quoted_newlines or path.lower().endswith(".gz") or size <= SPAN_BYTES:
        return [Source(0, path, rows)]
    starts = range(0, size, SPAN_BYTES)
    return [Source(0, path, rows // len(starts), span=(start, start + SPAN_BYTES)) for start in starts]


def read(source: Source, columns: Mapping[str, str], dialect: Dialect) -> Iterator[RawChunk]:
    """Reads a source in chunks of about `CHUNK_ROWS` rows.

    Args:
        source: What to read.
        columns: Role -> column name.
        dialect: Of CSV files.

    Raises:
        DataError: The file is damaged, has disappeared or has changed.
    """
    try:
        if source.row_group >= 0:
            yield from _read_parquet(source, columns)
        elif _is(source.path, JSONL):
            yield from json_reader.read_jsonl(source.path, columns)
        else:
            yield from csv_reader.read_csv(source.path, columns, dialect, source.span)
    except _DAMAGE as error:
        raise unreadable(source.path, error) from error


def unreadable(path: str, error: Exception) -> DataError:
    """The one line that a damaged file gets."""
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    return DataError(f"{path} cannot be read: {reason}. Repair the file or leave it out.")


def _is(path: str, extensions: tuple[str, ...]) -> bool:
    return path.lower().removesuffix(".gz").endswith(extensions)


def _plan_parquet(path: str, wanted: set[str]) -> list[Source]:
    sources = []
    with pq.ParquetFile(path) as file:
        schema, metadata = file.schema_arrow, file.metadata
        for field in schema:
            if field.name in wanted and (pa.types.is_nested(field.type) or pa.types.is_union(field.type)):
                raise DataError(f"{path}: column {field.name!r} holds {field.type}; a column must hold plain values.")
        first_row = 1
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group).num_rows
            sources.append(Source(0, path, rows, group, first_row))
            first_row += rows
    return sources


def _read_parquet(source: Source, columns: Mapping[str, str]) -> Iterator[RawChunk]:
    row = source.first_row
    with pq.ParquetFile(source.path) as file:
        # What dictionaries hide of the size of long ids, the number of rows bounds.
        group = file.metadata.row_group(source.row_group)
        size = max(1, CHUNK_BYTES * group.num_rows // max(1, group.total_byte_size))
        batches = file.iter_batches(
            min(CHUNK_ROWS, size), row_groups=[source.row_group], columns=list(columns.values())
        )
        for batch in batches:
            values = {role: _plain(batch.column(name)) for role, name in columns.items()}
            yield RawChunk(values, np.arange(row, row + batch.num_rows), ())
            row += batch.num_rows


def _plain(values: pa.Array) -> pa.Array:
    """Of the several Arrow types of text and bytes only `string` and `binary`, so that converters know few types."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return values.cast(pa.string())
    if pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind) or pa.types.is_binary_view(kind):
        return values.cast(pa.binary())
    return values
