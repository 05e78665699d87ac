"""Log files -> chunks of raw columns: CSV, CSV.gz (whole file, in blocks) and Parquet (by row group).

Nothing is judged here except the number of columns of a CSV row: values come out as they are in the file, because a bad
value must reject its row and not the file (cleaning.py does that).
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

from beam_jobs.chunks import CHUNK_ROWS, RawChunk
from beam_jobs.csv_reader import estimate_rows, header, read_csv
from beam_jobs.options import PrepareOptions
from beam_jobs.options.inputs import DEFAULT_RATING
from tfrec_zoo.errors import DataError

EXTENSIONS = (".csv", ".csv.gz", ".parquet")

_DAMAGE = (pa.ArrowException, OSError, EOFError, zlib.error)
"""What a damaged or vanished file raises."""


class Source(NamedTuple):
    """One unit of reading.

    Attributes:
        number: Position in the log; sources in this order, rows in theirs, are the log's order.
        path: The file.
        row_group: Of a Parquet file; -1 for a whole CSV file.
        first_row: Number of the first data row, 1-based, counted over the file.
        rows: Number of rows; for CSV files an estimate from their size.
    """

    number: int
    path: str
    row_group: int
    first_row: int
    rows: int


def expand(patterns: Sequence[str]) -> list[str]:
    """The files that the globs name, each once, sorted by path: the log's order.

    Raises:
        DataError: A pattern matches no file, or a file has an extension that no reader knows.
    """
    paths: dict[str, str] = {}
    for pattern in sorted(patterns):
        found = [pattern] if Path(pattern).exists() else glob.glob(pattern, recursive=True)
        files = [path for path in found if Path(path).is_file()]
        if not files:
            hint = f"it is a directory: write {pattern}/*.csv" if Path(pattern).is_dir() else "check the path"
            raise DataError(f"--input {pattern} matches no file; {hint}.")
        for path in files:
            if not path.lower().endswith(EXTENSIONS):
                raise DataError(f"{path}: unsupported file type; --input takes {', '.join(EXTENSIONS)} files.")
            paths.setdefault(os.path.realpath(path), path)
    return sorted(paths.values())


def plan(options: PrepareOptions) -> tuple[list[Source], dict[str, str]]:
    """Opens every file's header and lists what there is to read.

    Returns:
        The sources in the log's order, and the column of each role ("rating" only if the log has ratings).

    Raises:
        DataError: No such file, an unreadable file, a missing or a duplicate column.
    """
    wanted = {"user": options.user_col, "item": options.item_col, "time": options.time_col}
    wanted |= {role: name for role, name in (("action", options.action_col), ("dwell", options.dwell_col)) if name}
    rating = options.rating_col or DEFAULT_RATING
    sources: list[Source] = []
    headers: dict[str, list[str]] = {}
    for path in expand(options.input):
        try:
            if path.lower().endswith(".parquet"):
                headers[path] = _plan_parquet(path, sources, {*wanted.values(), rating})
            else:
                headers[path] = header(path, options.delimiter)
                sources.append(Source(len(sources), path, -1, 1, estimate_rows(path)))
        except _DAMAGE as error:
            raise unreadable(path, error) from error
    with_rating = [path for path, names in headers.items() if rating in names]
    if with_rating or options.rating_col:
        wanted["rating"] = rating
    for path, names in headers.items():
        for role, name in wanted.items():
            _check_column(path, names, role, name)
    return sources, wanted


def read(source: Source, columns: Mapping[str, str], delimiter: str) -> Iterator[RawChunk]:
    """Reads a source in chunks of about `CHUNK_ROWS` rows.

    Args:
        source: What to read.
        columns: Role -> column name.
        delimiter: Of CSV files.

    Raises:
        DataError: The file is damaged, has disappeared or has changed.
    """
    try:
        if source.row_group >= 0:
            yield from _read_parquet(source, columns)
        else:
            yield from read_csv(source.path, columns, delimiter)
    except _DAMAGE as error:
        raise unreadable(source.path, error) from error


def unreadable(path: str, error: Exception) -> DataError:
    """The one line that a damaged file gets."""
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    return DataError(f"{path} cannot be read: {reason}. Repair the file or leave it out of --input.")


def _check_column(path: str, names: Sequence[str], role: str, name: str) -> None:
    count = names.count(name)
    if count == 1:
        return
    if count > 1:
        raise DataError(f"{path} has {count} columns named {name!r}: rename all but one.")
    hint = " (is --delimiter right?)" if len(names) == 1 and not path.lower().endswith(".parquet") else ""
    raise DataError(
        f"{path} has no column {name!r}; it has {', '.join(map(repr, names))}{hint}. "
        f"Name the {role} column with --{role}-col."
    )


def _plan_parquet(path: str, sources: list[Source], wanted: set[str]) -> list[str]:
    with pq.ParquetFile(path) as file:
        schema, metadata = file.schema_arrow, file.metadata
        for field in schema:
            if field.name in wanted and (pa.types.is_nested(field.type) or pa.types.is_union(field.type)):
                raise DataError(
                    f"{path}: column {field.name!r} holds {field.type}; a log column must hold plain values."
                )
        first_row = 1
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group).num_rows
            sources.append(Source(len(sources), path, group, first_row, rows))
            first_row += rows
        return list(schema.names)


def _read_parquet(source: Source, columns: Mapping[str, str]) -> Iterator[RawChunk]:
    row = source.first_row
    with pq.ParquetFile(source.path) as file:
        batches = file.iter_batches(CHUNK_ROWS, row_groups=[source.row_group], columns=list(columns.values()))
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
