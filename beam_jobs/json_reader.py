"""JSONL files (one object a line, perhaps gzipped) -> chunks of raw columns.

Blocks whose columns keep to one type are parsed by pyarrow; any other block is read again line by line, so that one odd
line costs its block some time and nobody a row. Numbers of such a block come out as text, which converters take too.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json

from beam_jobs.chunks import CHUNK_ROWS, RawChunk, Unparsed
from tfrec_zoo.errors import DataError

BLOCK_BYTES = 4 << 20
BAD_JSON, NOT_UTF8 = "bad_json", "not_utf8"

_BYTES_A_ROW, _GZIP_RATIO, _HEAD_LINES = 80, 6, 1000
_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64()}


def estimate_rows(path: str) -> int:
    """About how many rows a file has, from its size."""
    return Path(path).stat().st_size * (_GZIP_RATIO if path.lower().endswith(".gz") else 1) // _BYTES_A_ROW


def keys(path: str) -> list[str]:
    """Names that occur in the first lines of a file.

    Raises:
        DataError: None of them is a JSON object.
    """
    found: dict[str, None] = {}
    for number, line in enumerate(line for block in _blocks(path) for line in block.splitlines() if line.strip()):
        content = _parse(line)
        if isinstance(content, dict):
            found.update(dict.fromkeys(content))
        if number >= _HEAD_LINES:
            break
    if not found:
        raise DataError(f"{path} holds no JSON object in its first lines: --input takes one object a line.")
    return list(found)


def read_jsonl(path: str, columns: Mapping[str, str]) -> Iterator[RawChunk]:
    """Reads a file.

    Args:
        path: A .jsonl or .ndjson file, perhaps with .gz.
        columns: Role -> name of the value in every object.
    """
    row, size = 1, 0
    parts: list[RawChunk] = []
    for block in _blocks(path):
        lines = [line for line in block.split(b"\n") if line.strip()]
        part = _fast(block, len(lines), columns, row) or _careful(lines, columns, row)
        parts.append(part)
        row += len(lines)
        size += len(lines)
        if size >= CHUNK_ROWS:
            yield _joined(parts)
            parts, size = [], 0
    if size:
        yield _joined(parts)


def _blocks(path: str) -> Iterator[bytes]:
    """The file in pieces of whole lines."""
    rest = b""
    with gzip.open(path, "rb") if path.lower().endswith(".gz") else Path(path).open("rb") as file:
        while content := file.read(BLOCK_BYTES):
            head, newline, tail = (rest + content).rpartition(b"\n")
            if newline:
                yield head
            rest = tail
    if rest.strip():
        yield rest


def _fast(block: bytes, lines: int, columns: Mapping[str, str], row: int) -> RawChunk | None:
    """All of a block at once; None if it is not uniform."""
    first = _parse(next((line for line in block.split(b"\n", 100) if line.strip()), b""))
    if not isinstance(first, dict):
        return None
    schema = pa.schema([(name, _TYPES.get(type(first.get(name)), pa.string())) for name in columns.values()])
    try:
        block.decode()
        table = pa.json.read_json(
            pa.BufferReader(block),
            read_options=pa.json.ReadOptions(use_threads=False, block_size=len(block) + 1),
            parse_options=pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
    except (pa.ArrowException, UnicodeDecodeError):
        return None
    if table.num_rows != lines:
        return None
    table = table.combine_chunks()
    values = {role: _plain(table[name].combine_chunks()) for role, name in columns.items()}
    return RawChunk(values, np.arange(row, row + lines), ())


def _careful(lines: Sequence[bytes], columns: Mapping[str, str], row: int) -> RawChunk:
    """Line by line, values as text."""
    rows, unparsed = [], []
    values: dict[str, list[bytes | None]] = {role: [] for role in columns}
    for number, line in enumerate(lines, row):
        content = _parse(line)
        if not isinstance(content, dict):
            reason = NOT_UTF8 if content is _UNDECODABLE else BAD_JSON
            unparsed.append(Unparsed(number, reason, line.decode("utf-8", "backslashreplace").strip()))
            continue
        rows.append(number)
        for role, name in columns.items():
            values[role].append(_text(content.get(name)))
    arrays = {role: pa.array(column, pa.binary()) for role, column in values.items()}
    return RawChunk(arrays, np.array(rows, np.int64), unparsed)


_UNDECODABLE = object()


def _parse(line: bytes) -> Any:
    try:
        return json.loads(line.decode())
    except UnicodeDecodeError:
        return _UNDECODABLE
    except (ValueError, RecursionError):
        return None


def _text(value: Any) -> bytes | None:
    """A plain value as text, integers without a fraction; a list or an object is no value."""
    if isinstance(value, str):
        # A lone surrogate becomes what is not UTF-8, and is refused as that.
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value).lower().encode() if isinstance(value, bool) else None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        value = int(value)
    return str(value).encode()


def _plain(values: pa.Array) -> pa.Array:
    return values.cast(pa.binary()) if pa.types.is_string(values.type) else values


def _joined(parts: Sequence[RawChunk]) -> RawChunk:
    columns = {}
    for role in parts[0].columns:
        arrays = [part.columns[role] for part in parts]
        if len({array.type for array in arrays}) > 1:
            arrays = [_as_text(array) for array in arrays]
        columns[role] = pa.concat_arrays(arrays)
    rows = np.concatenate([part.rows for part in parts])
    return RawChunk(columns, rows, [entry for part in parts for entry in part.unparsed])


def _as_text(values: pa.Array) -> pa.BinaryArray:
    """Values of a uniform block, in the spelling of `_text`."""
    if pa.types.is_binary(values.type):
        return values
    if pa.types.is_floating(values.type):
        return pa.array([_text(value) for value in values.to_pylist()], pa.binary())
    return values.cast(pa.string()).cast(pa.binary())
