"""Raw columns -> accepted rows, and the reason for every other row.

Each converter has a fast path for a whole column without faults, and a careful one that finds the faulty rows. A row
has one reason: the first that applies, in the order of `REASONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_jobs.chunks import RawChunk
from beam_jobs.hashing import binary_parts
from beam_jobs.moments import TimeLimits
from beam_jobs.times import parse_times

_NO_LIMITS = TimeLimits()

REASONS = (
    "accepted",
    "empty_id",
    "forbidden_character",
    "not_utf8",
    "id_too_long",
    "bad_time",
    "time_too_early",
    "time_too_late",
    "bad_rating",
    "bad_dwell",
)
_EMPTY, _FORBIDDEN, _NOT_UTF8, _LONG, _TIME, _EARLY, _LATE, _RATING, _DWELL = range(1, len(REASONS))

MAX_ID_BYTES = 1024
"""A longer id is a parsing accident: it would fill vocabularies and requests."""

FORBIDDEN = (b"\n", b"\r", b"\0")
"""A vocabulary is a text file with one id a line."""

_Converted: TypeAlias = tuple[pa.Array, list[tuple[int, np.ndarray]]]
"""Values of a column, and (reason, rows) of each kind of fault in it."""


class CleanChunk(NamedTuple):
    """The outcome of a chunk.

    Attributes:
        events: Accepted rows in the log's order, with the columns of `event_schema`.
        reasons: uint8 (rows of the chunk,), index into `REASONS`.
    """

    events: pa.RecordBatch
    reasons: np.ndarray


def event_schema(roles: Iterable[str]) -> pa.Schema:
    """Columns of accepted rows, for those roles that the log has; text is UTF-8."""
    return pa.schema([(role, kind) for role, kind in _COLUMNS.items() if role in roles])


def clean(chunk: RawChunk, limits: TimeLimits = _NO_LIMITS) -> CleanChunk:
    """Converts a chunk's columns and marks the rows that have a fault, or a time beyond the limits."""
    columns = chunk.columns
    schema = event_schema(columns)
    faults: list[tuple[int, np.ndarray]] = []
    arrays = []
    for role in schema.names:
        array, found = _CONVERTERS[role](columns[role])
        arrays.append(array)
        faults += found
        if role == "time":
            times = array.to_numpy()
            faults += [(_EARLY, limits.too_early(times)), (_LATE, limits.too_late(times))]
    events = pa.RecordBatch.from_arrays(arrays, schema=schema)
    reasons = np.zeros(len(chunk.rows), np.uint8)
    for reason, rows in sorted(faults, key=lambda fault: fault[0]):
        if rows.any():
            reasons[rows & (reasons == 0)] = reason
    if reasons.any():
        events = events.filter(pa.array(reasons == 0))
    return CleanChunk(events, reasons)


def _ids(column: pa.Array) -> _Converted:
    ids = to_ids(column)
    return ids, id_faults(ids)


def _actions(column: pa.Array) -> _Converted:
    actions = to_ids(column)
    # An empty action is an action without a name.
    return actions, [fault for fault in id_faults(actions) if fault[0] != _EMPTY]


def _times(column: pa.Array) -> _Converted:
    times, bad = parse_times(column)
    return pa.array(times), [(_TIME, bad)]


def _ratings(column: pa.Array) -> _Converted:
    ratings, bad = to_numbers(column)
    return pa.array(ratings), [(_RATING, bad)]


def _dwells(column: pa.Array) -> _Converted:
    dwells, bad = to_numbers(column)
    return pa.array(dwells), [(_DWELL, bad)]


_COLUMNS = {
    "user": pa.binary(),
    "item": pa.binary(),
    "time": pa.int64(),
    "rating": pa.float32(),
    "action": pa.binary(),
    "dwell": pa.float32(),
    "origin": pa.uint8(),
}
_CONVERTERS: dict[str, Callable[[pa.Array], _Converted]] = {
    "user": _ids,
    "item": _ids,
    "time": _times,
    "rating": _ratings,
    "action": _actions,
    "dwell": _dwells,
}


def to_ids(column: pa.Array) -> pa.BinaryArray:
    """Ids of any type as bytes: integers in decimal, whole floats without ".0", nulls and NaN as nothing."""
    kind = column.type
    if pa.types.is_floating(kind):
        column = _float_ids(column.cast(pa.float64()))
    elif not pa.types.is_binary(kind):
        column = column.cast(pa.string())
    if column.null_count:
        column = column.fill_null("" if pa.types.is_string(column.type) else b"")
    return column.cast(pa.binary())


def _float_ids(column: pa.DoubleArray) -> pa.StringArray:
    values = column.fill_null(float("nan")).to_numpy(zero_copy_only=False)
    whole = np.isfinite(values) & (np.abs(values) < 2**63) & (np.floor(values) == values)
    integers = pa.array(np.where(whole, values, 0).astype(np.int64)).cast(pa.string())
    text = pc.if_else(pa.array(whole), integers, pa.array(values).cast(pa.string()))
    return pc.if_else(pa.array(np.isnan(values)), pa.scalar("", pa.string()), text)


def id_faults(ids: pa.BinaryArray) -> list[tuple[int, np.ndarray]]:
    """(Reason, bool (rows,)) for each kind of fault that occurs in a column of ids."""
    faults = []
    offsets, data = binary_parts(ids)
    empty = offsets[1:] == offsets[:-1]
    if empty.any():
        faults.append((_EMPTY, empty))
    if len(data) > MAX_ID_BYTES:
        long = np.diff(offsets) > MAX_ID_BYTES
        if long.any():
            faults.append((_LONG, long))
    content = data.tobytes()
    for character in FORBIDDEN:
        if character in content:
            places = np.flatnonzero(data == character[0])
            bad = np.zeros(len(ids), bool)
            bad[np.searchsorted(offsets, places, side="right") - 1] = True
            faults.append((_FORBIDDEN, bad))
    if not content.isascii():
        try:
            ids.cast(pa.string())
        except pa.ArrowInvalid:
            faults.append((_NOT_UTF8, np.array([not _is_utf8(value) for value in ids.to_pylist()])))
    return faults


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def to_numbers(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Numbers float32 (rows,), and bool (rows,) where they are missing or not finite."""
    if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
        column = _numbers(column)
    try:
        numbers = column.cast(pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        numbers = pa.nulls(len(column), pa.float64())
    with np.errstate(over="ignore"):
        values = numbers.fill_null(float("nan")).to_numpy(zero_copy_only=False).astype(np.float32)
    return values, ~np.isfinite(values)


def _numbers(column: pa.Array) -> pa.DoubleArray:
    try:
        return column.cast(pa.string()).cast(pa.float64())
    except pa.ArrowInvalid:
        return pa.array([_number(value) for value in column.to_pylist()], pa.float64())


def _number(value: str | bytes | None) -> float | None:
    try:
        text = value.decode("ascii") if isinstance(value, bytes) else value
        # Python alone would take 1_000 for a number.
        return None if text is None or "_" in text else float(text)
    except ValueError:
        return None
