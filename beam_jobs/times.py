"""Times of any spelling -> int64.

Integers are kept as they are (seconds, milliseconds: the log's own unit). Floats lose their fraction, downwards. ISO
8601 text and timestamp columns become whole seconds since 1970, UTC unless they carry a zone. Events of one user within
the same unit are a tie, which the log's order breaks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_FRACTION = r"\.\d+"
_DAY = r"\d{4}-\d{2}-\d{2}"
_CLOCK = rf"\d{{2}}:\d{{2}}(:\d{{2}}({_FRACTION})?)?"
_ZONE = r"(Z|[+-]\d{2}(:?\d{2})?)"

_Convert: TypeAlias = Callable[[pa.StringArray], tuple[np.ndarray, np.ndarray]]


def parse_times(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Converts a column.

    Args:
        column: Integers, floats, text (also as bytes), timestamps or dates.

    Returns:
        int64 (rows,) and bool (rows,), True where the value is not a time (its int64 is then 0).
    """
    kind = column.type
    if pa.types.is_integer(kind):
        return _integers(column)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _floats(column.cast(pa.float64()))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _timestamps(column)
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return _texts(column)
    return np.zeros(len(column), np.int64), np.ones(len(column), bool)


def _integers(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    bad = column.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_uint64(column.type):
        too_large = pc.greater(column, pa.scalar(2**63 - 1, pa.uint64())).fill_null(True).to_numpy(zero_copy_only=False)
        bad = bad | too_large
    if bad.any():
        column = pc.if_else(pa.array(bad), pa.scalar(0, column.type), column)
    return column.cast(pa.int64()).to_numpy(zero_copy_only=False), bad


def _floats(column: pa.DoubleArray) -> tuple[np.ndarray, np.ndarray]:
    values = column.fill_null(float("nan")).to_numpy(zero_copy_only=False)
    bad = ~(np.abs(values) < 2.0**63)
    return np.floor(np.where(bad, 0.0, values)).astype(np.int64), bad


def _timestamps(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    bad = column.is_null().to_numpy(zero_copy_only=False)
    unit = getattr(column.type, "unit", "s")
    # Only towards coarser units by hand: Arrow's cast would round times before 1970 upwards.
    ticks = column if pa.types.is_timestamp(column.type) else column.cast(pa.timestamp("s"))
    values = ticks.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return np.floor_divide(values, {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]), bad


def _texts(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    try:
        text = column.cast(pa.string())
    except pa.ArrowInvalid:
        text = pa.array([value.decode("utf-8", "replace") for value in column.to_pylist()], pa.string())
    try:
        # Arrow would take 0x1F for 31.
        if not text.null_count and not pc.any(pc.match_substring(text, "x", ignore_case=True)).as_py():
            return text.cast(pa.int64()).to_numpy(zero_copy_only=False), np.zeros(len(text), bool)
    except pa.ArrowInvalid:
        pass
    return _mixed_texts(pc.utf8_trim_whitespace(text.fill_null("")))


def _mixed_texts(text: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """Tells the spellings of a column apart and converts those of one kind at once; what is of no kind is bad."""
    times, bad = np.zeros(len(text), np.int64), np.ones(len(text), bool)
    for pattern, convert in _SPELLINGS:
        rows = np.flatnonzero(bad & pc.match_substring_regex(text, pattern).to_numpy(zero_copy_only=False))
        if len(rows):
            times[rows], bad[rows] = _by_halves(text.take(pa.array(rows)), convert)
    return times, bad


def _by_halves(text: pa.StringArray, convert: _Convert) -> tuple[np.ndarray, np.ndarray]:
    """Converts what can be converted: Arrow refuses an array for one bad value, so a refused array is halved."""
    try:
        return convert(text)
    except pa.ArrowInvalid:
        if len(text) == 1:
            return np.zeros(1, np.int64), np.ones(1, bool)
    middle = len(text) // 2
    first, second = _by_halves(text[:middle], convert), _by_halves(text[middle:], convert)
    return np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]])


def _integer_texts(text: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    return _integers(pc.replace_substring_regex(text, r"^\+", "").cast(pa.int64()))


def _float_texts(text: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    return _floats(pc.replace_substring_regex(text, r"^\+", "").cast(pa.float64()))


def _naive_texts(text: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    return _timestamps(pc.replace_substring_regex(text, _FRACTION, "").cast(pa.timestamp("s")))


def _zoned_texts(text: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    return _timestamps(pc.replace_substring_regex(text, _FRACTION, "").cast(pa.timestamp("s", "UTC")))


_SPELLINGS: tuple[tuple[str, _Convert], ...] = (
    (r"^[+-]?\d{1,19}$", _integer_texts),
    (r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$", _float_texts),
    (rf"^{_DAY}([T ]{_CLOCK})?$", _naive_texts),
    (rf"^{_DAY}[T ]{_CLOCK}{_ZONE}$", _zoned_texts),
)
