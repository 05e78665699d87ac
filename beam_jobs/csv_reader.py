"""CSV and CSV.gz files -> chunks of raw columns.

pyarrow parses the text as Latin-1 and `_original` gives the values their own bytes back: pyarrow stops at a row of the
wrong width that is not UTF-8, and a log must not fail for one bad row. ASCII text, as in most logs, passes as it is.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.csv

from beam_jobs.chunks import CHUNK_ROWS, RawChunk
from beam_jobs.hashing import binary_parts
from tfrec_zoo.errors import DataError

BLOCK_BYTES = 4 << 20
"""A row must fit into a block; small blocks are also kinder to the memory allocator."""

_File: TypeAlias = gzip.GzipFile | io.BufferedReader

_BYTES_A_ROW, _GZIP_RATIO = 24, 3


def estimate_rows(path: str) -> int:
    """About how many rows a file has, from its size."""
    return Path(path).stat().st_size * (_GZIP_RATIO if _is_gzip(path) else 1) // _BYTES_A_ROW


def header(path: str, delimiter: str) -> list[str]:
    """Column names of a file, duplicates included.

    Raises:
        DataError: The file is empty.
    """
    with _open(path) as file:
        return _read_header(file, path, delimiter)


def read_csv(path: str, columns: Mapping[str, str], delimiter: str) -> Iterator[RawChunk]:
    """Reads a file; quoted values may contain newlines.

    Args:
        path: A .csv or .csv.gz file with a header.
        columns: Role -> column name.
        delimiter: One ASCII character.
    """
    with _open(path) as file:
        names = _read_header(file, path, delimiter)
        if not file.peek(1):
            return
        wrong: list[tuple[int, str]] = []
        row, batches, size = 1, [], 0
        for batch in _parse(file, names, columns, delimiter, wrong):
            batches.append(batch)
            size += batch.num_rows
            if size >= CHUNK_ROWS:
                chunk, row = _chunk(batches, columns, row, wrong)
                batches, size = [], 0
                yield chunk
        if batches or wrong:
            yield _chunk(batches, columns, row, wrong, last=True)[0]


def _is_gzip(path: str) -> bool:
    return path.lower().endswith(".gz")


def _open(path: str) -> _File:
    return gzip.open(path, "rb") if _is_gzip(path) else Path(path).open("rb")


def _read_header(file: _File, path: str, delimiter: str) -> list[str]:
    """Reads up to the end of the header line."""
    for line in iter(file.readline, b""):
        names = line.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")
        if names:
            break
    else:
        raise DataError(f"{path} is empty: not even a header. Leave it out of --input.")
    # As a data row of a table with made-up names: the same quoting rules, and duplicates stay visible.
    columns = {f"f{number}": pa.binary() for number in range(names.count(delimiter.encode()) + 1)}
    table = pa.csv.read_csv(
        pa.BufferReader(names + b"\n"),
        read_options=pa.csv.ReadOptions(autogenerate_column_names=True),
        parse_options=pa.csv.ParseOptions(delimiter=delimiter),
        convert_options=pa.csv.ConvertOptions(column_types=columns),
    )
    return [column[0].as_py().decode("utf-8", "replace") for column in table.columns]


def _parse(
    file: _File, names: list[str], columns: Mapping[str, str], delimiter: str, wrong: list[tuple[int, str]]
) -> pa.csv.CSVStreamingReader:
    """Parses what follows the header, and notes (row, text) of every row of the wrong width in `wrong`."""

    def wrong_width(row: pa.csv.InvalidRow) -> str:
        text = row.text.encode("latin-1").decode("utf-8", "backslashreplace")
        # A stray quote swallows the lines up to the next one: each of them is lost, and is counted.
        wrong.extend((row.number, "" if swallowed else text) for swallowed in range(max(1, text.count("\n"))))
        return "skip"

    # Columns by position: names may be duplicated, or not ASCII, where nobody asks for them.
    positions = [f"f{number}" for number in range(len(names))]
    wanted = [positions[names.index(name)] for name in columns.values()]
    return pa.csv.open_csv(
        file,
        # Row numbers are exact only without threads, which cost more CPU than they save here.
        read_options=pa.csv.ReadOptions(
            use_threads=False, block_size=BLOCK_BYTES, column_names=positions, encoding="latin-1"
        ),
        parse_options=pa.csv.ParseOptions(
            delimiter=delimiter, newlines_in_values=True, invalid_row_handler=wrong_width
        ),
        # Binary, because "NA" is an id like any other.
        convert_options=pa.csv.ConvertOptions(
            include_columns=wanted, column_types={name: pa.binary() for name in wanted}, strings_can_be_null=False
        ),
    )


def _chunk(
    batches: list[pa.RecordBatch],
    columns: Mapping[str, str],
    row: int,
    wrong: list[tuple[int, str]],
    last: bool = False,
) -> tuple[RawChunk, int]:
    """Joins batches, and numbers their rows around those that were skipped; takes the latter out of `wrong`.

    Returns:
        The chunk, and the number of the row after its last one.
    """
    values = {
        role: _original(pa.concat_arrays([batch.column(place) for batch in batches] or [pa.array([], pa.binary())]))
        for place, role in enumerate(columns)
    }
    count = sum(batch.num_rows for batch in batches)
    skipped = sorted({number for number, _ in wrong})
    # The parser may have read ahead: of the skipped rows only those between this chunk's rows move its numbers.
    numbers = np.arange(row, row + count + len(skipped))
    rows = np.setdiff1d(numbers, skipped, assume_unique=True)[:count] if skipped else numbers
    following = int(rows[-1]) + 1 if count else row
    taken = [entry for entry in wrong if last or entry[0] < following]
    wrong[:] = wrong[len(taken) :]
    return RawChunk(values, rows, taken), following


def _original(values: pa.BinaryArray) -> pa.BinaryArray:
    """The bytes of values that were read as Latin-1 and are now UTF-8."""
    offsets, data = binary_parts(values)
    content = data.tobytes()
    if content.isascii():
        return values
    # Every character above ASCII has become two bytes, of which the first is 0xC2 or 0xC3.
    added = np.append(0, np.cumsum(data >= 0xC0))
    buffers = [
        None,
        pa.py_buffer((offsets - added[offsets]).astype(np.int32)),
        pa.py_buffer(content.decode("utf-8").encode("latin-1")),
    ]
    return pa.Array.from_buffers(pa.binary(), len(values), buffers)
