"""CSV and CSV.gz files -> chunks of raw columns.

pyarrow parses the text as Latin-1 and `_original` gives the values their own bytes back: pyarrow stops at a row of the
wrong width that is not UTF-8, and a log must not fail for one bad row. ASCII text, as in most logs, passes as it is.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.csv

from beam_jobs.chunks import CHUNK_BYTES, CHUNK_ROWS, RawChunk, Unparsed
from beam_jobs.hashing import binary_parts
from tfrec_zoo.errors import DataError

BLOCK_BYTES = 4 << 20
"""A row must fit into a block; small blocks are also kinder to the memory allocator."""

WRONG_WIDTH = "wrong_column_count"

_File: TypeAlias = gzip.GzipFile | io.BufferedReader
_BOM = b"\xef\xbb\xbf"


class Dialect(NamedTuple):
    """How CSV files are written.

    Attributes:
        delimiter: One ASCII character; None: a tab in .tsv files, else a comma.
        columns: Names of the columns of files without a header; None: the first line has them.
        quoted_newlines: Whether quoted values may contain newlines.
    """

    delimiter: str | None = None
    columns: tuple[str, ...] | None = None
    quoted_newlines: bool = True

    def between(self, path: str) -> str:
        """The delimiter of a file."""
        return self.delimiter or ("\t" if path.lower().removesuffix(".gz").endswith(".tsv") else ",")


_BYTES_A_ROW, _GZIP_RATIO = 24, 3


def estimate_rows(path: str) -> int:
    """About how many rows a file has, from its size."""
    return Path(path).stat().st_size * (_GZIP_RATIO if _is_gzip(path) else 1) // _BYTES_A_ROW


def header(path: str, dialect: Dialect) -> list[str]:
    """Column names of a file, duplicates included.

    Raises:
        DataError: The file is empty.
    """
    with _open(path) as file:
        return _read_header(file, path, dialect)


def read_csv(
    path: str, columns: Mapping[str, str], dialect: Dialect, span: tuple[int, int] | None = None
) -> Iterator[RawChunk]:
    """Reads a file.

    Args:
        path: A text file, perhaps gzipped.
        columns: Role -> column name.
        dialect: How it is written.
        span: Only the lines that begin in this range of bytes, of a file that is neither gzipped nor has quoted
            newlines; their rows are numbered from 1.
    """
    with _open(path) as file:
        names = _read_header(file, path, dialect)
        if span:
            file = _lines(file, *span)
        if not file.peek(1):
            return
        wrong: list[Unparsed] = []
        row, batches, count, size = 1, [], 0, 0
        for batch in _parse(file, path, names, columns, dialect, wrong):
            batches.append(batch)
            count += batch.num_rows
            size += batch.nbytes
            if count >= CHUNK_ROWS or size >= CHUNK_BYTES:
                chunk, row = _chunk(batches, columns, row, wrong)
                batches, count, size = [], 0, 0
                yield chunk
        if batches or wrong:
            yield _chunk(batches, columns, row, wrong, last=True)[0]


def _is_gzip(path: str) -> bool:
    return path.lower().endswith(".gz")


def _open(path: str) -> _File:
    return gzip.open(path, "rb") if _is_gzip(path) else Path(path).open("rb")


def _lines(file: _File, start: int, end: int) -> _File:
    """The lines that begin in [start, end); what `file` has read already, the header, is left out."""
    begin = file.tell()
    if start > begin:
        file.seek(start - 1)
        # Unless the byte before is a newline, the first line began before the range.
        start += len(file.readline()) - 1
    else:
        start = begin
    content = file.read(max(0, end - start))
    if content and not content.endswith(b"\n"):
        content += file.readline()
    return io.BufferedReader(io.BytesIO(content))


def _read_header(file: _File, path: str, dialect: Dialect) -> list[str]:
    """Reads up to the end of the header line, or of the byte order mark of a file without one."""
    delimiter = dialect.between(path)
    if dialect.columns:
        if file.peek(3)[:3] == _BOM:
            file.read(3)
        if not file.peek(1):
            raise DataError(f"{path} is empty. Leave it out of --input.")
        return list(dialect.columns)
    for line in iter(file.readline, b""):
        names = line.removeprefix(_BOM).rstrip(b"\r\n")
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
    file: _File, path: str, names: list[str], columns: Mapping[str, str], dialect: Dialect, wrong: list[Unparsed]
) -> pa.csv.CSVStreamingReader:
    """Parses what follows the header, and notes (row, text) of every row of the wrong width in `wrong`."""

    def wrong_width(row: pa.csv.InvalidRow) -> str:
        text = row.text.encode("latin-1").decode("utf-8", "backslashreplace")
        # A stray quote swallows the lines up to the next one: each of them is lost, and is counted.
        wrong.extend(
            Unparsed(row.number, WRONG_WIDTH, "" if swallowed else text)
            for swallowed in range(max(1, text.count("\n")))
        )
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
            delimiter=dialect.between(path),
            newlines_in_values=dialect.quoted_newlines,
            invalid_row_handler=wrong_width,
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
    wrong: list[Unparsed],
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
    skipped = sorted({entry.row for entry in wrong})
    # The parser may have read ahead: of the skipped rows only those between this chunk's rows move its numbers.
    numbers = np.arange(row, row + count + len(skipped))
    rows = np.setdiff1d(numbers, skipped, assume_unique=True)[:count] if skipped else numbers
    following = int(rows[-1]) + 1 if count else row
    taken = [entry for entry in wrong if last or entry.row < following]
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
