"""Moments that an option names, compared to times of a log whose unit nobody has told.

A number is meant in the log's own unit. A date, and "now", are seconds since 1970; the times that they are compared to
are taken for seconds, milliseconds, microseconds or nanoseconds by their size: seconds reach 1e11 in the year 5138.
"""

from __future__ import annotations

import datetime
import time
from typing import NamedTuple

import numpy as np

_UNITS = ((10**11, 1), (10**14, 10**3), (10**17, 10**6))
_DAY = 86_400


class Moment(NamedTuple):
    """A point in time.

    Attributes:
        value: In the log's unit, or seconds since 1970.
        calendar: Whether it is seconds since 1970.
    """

    value: int
    calendar: bool

    def like(self, times: np.ndarray) -> np.ndarray:
        """The moment in the unit of each of some times, int64 like `times`."""
        if not self.calendar:
            return np.full(len(times), self.value, np.int64)
        size = np.abs(times)
        scale = np.full(len(times), 10**9, np.int64)
        for limit, unit in reversed(_UNITS):
            scale[size < limit] = unit
        # In nanoseconds, int64 ends in 2262.
        return np.clip(self.value * scale.astype(np.float64), -(2.0**62), 2.0**62).astype(np.int64)


def parse_moment(text: str) -> Moment | None:
    """A moment of its spelling: a whole number, ISO 8601 (UTC unless it has a zone), "now", or "none".

    Raises:
        ValueError: Another spelling.
    """
    if text == "none":
        return None
    if text == "now":
        # Clocks of clients run fast, and time zones are mistaken.
        return Moment(int(time.time()) + _DAY, True)
    try:
        return Moment(int(text), False)
    except ValueError:
        pass
    try:
        moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise ValueError(f"must be a number in the log's unit or an ISO 8601 date, not {text!r}") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)
    return Moment(int(moment.timestamp()), True)


class TimeLimits(NamedTuple):
    """The times that are believed; None on either side: no limit."""

    earliest: Moment | None = None
    latest: Moment | None = None

    def too_early(self, times: np.ndarray) -> np.ndarray:
        """bool, like `times`."""
        return _beyond(times, self.earliest, -1)

    def too_late(self, times: np.ndarray) -> np.ndarray:
        """bool, like `times`."""
        return _beyond(times, self.latest, 1)


def _beyond(times: np.ndarray, limit: Moment | None, side: int) -> np.ndarray:
    if limit is None or not len(times):
        return np.zeros(len(times), bool)
    if not limit.calendar or (side > 0 and int(times.max()) <= limit.value):
        return times < limit.value if side < 0 else times > limit.value
    return times < limit.like(times) if side < 0 else times > limit.like(times)
