"""Temporal: events before a moment are train, those after it valid and then test, as a live system would see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from beam_jobs.histories import Histories
from beam_jobs.moments import Moment
from beam_jobs.splits.split import TEST, VALID, Split
from tfrec_zoo.errors import DataError

_DIGIT_BITS = 16


class Temporal(Split):
    """Two global cuts in time; events at a cut lie after it.

    Args:
        valid_share: The share of all events before test, and
        test_share: the last share of all events; both apply where no moment is given. Equal times stay on one side, so
            the shares are met as closely as the times allow.
        valid_from: First moment of valid, or None.
        test_from: First moment of test, or None.
    """

    protocol = "temporal"

    def __init__(
        self, valid_share: float, test_share: float, valid_from: Moment | None, test_from: Moment | None
    ) -> None:
        self.valid_share, self.test_share = valid_share, test_share
        self.valid_from, self.test_from = valid_from, test_from
        self.cuts: tuple[int, int] | None = None

    @property
    def fitted(self) -> bool:
        return self.cuts is not None

    def fit(self, times: Callable[[], Iterable[np.ndarray]]) -> Temporal:
        smallest, largest, events = 2**63 - 1, -(2**63), 0
        for part in times():
            smallest, largest = min(smallest, int(part.min())), max(largest, int(part.max()))
            events += len(part)
        cuts = []
        for moment, share in ((self.valid_from, self.valid_share + self.test_share), (self.test_from, self.test_share)):
            if moment:
                cuts.append(int(moment.like(np.array([largest]))[0]))
            else:
                rank = min(events - 1, round((1 - share) * events))
                cuts.append(nth_smallest(times, rank, smallest) if share > 0 else largest + 1)
        if cuts[0] > cuts[1]:
            raise DataError(
                f"valid begins at {cuts[0]}, after test at {cuts[1]}: give both moments, or shares that fit."
            )
        if cuts[0] <= smallest:
            raise DataError(
                f"no event lies before {cuts[0]}, where valid begins: train would be empty. The log reaches from "
                f"{smallest} to {largest}; move --valid-from, or make the shares smaller."
            )
        fitted = Temporal(self.valid_share, self.test_share, self.valid_from, self.test_from)
        fitted.cuts = (cuts[0], cuts[1])
        return fitted

    def marks(self, histories: Histories) -> np.ndarray:
        assert self.cuts
        valid_from, test_from = self.cuts
        times = histories.times
        return np.where(times >= test_from, TEST, np.where(times >= valid_from, VALID, 0)).astype(np.uint8)

    @property
    def details(self) -> Mapping[str, Any]:
        assert self.cuts
        return {"valid_from": self.cuts[0], "test_from": self.cuts[1]}


def nth_smallest(times: Callable[[], Iterable[np.ndarray]], rank: int, smallest: int) -> int:
    """The time that has `rank` others before it in sorted order, found digit by digit: memory is 65,536 counts.

    Args:
        times: Gives all times again, int64 in any number of parts.
        rank: From 0.
        smallest: Of all times.

    Example:
        >>> nth_smallest(lambda: [np.array([30, 10]), np.array([2**40, 10])], 2, 10)
        30
    """
    prefix = np.uint64(0)
    for shift in range(64 - _DIGIT_BITS, -1, -_DIGIT_BITS):
        counts = np.zeros(1 << _DIGIT_BITS, np.int64)
        for part in times():
            # As distances from the smallest, so that negative times sort before positive ones.
            distance = part.view(np.uint64) - np.array([smallest], np.int64).view(np.uint64)
            upper = distance >> np.uint64(shift)
            if shift < 64 - _DIGIT_BITS:
                upper = upper[upper >> np.uint64(_DIGIT_BITS) == prefix]
            counts += np.bincount(upper.astype(np.int64) & 0xFFFF, minlength=len(counts))
        before = np.cumsum(counts)
        digit = int(np.searchsorted(before, rank, side="right"))
        rank -= int(before[digit - 1]) if digit else 0
        prefix = (prefix << np.uint64(_DIGIT_BITS)) | np.uint64(digit)
    return int(prefix) + smallest
