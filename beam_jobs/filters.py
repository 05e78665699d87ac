"""Which accepted rows count: rules a row at a time, and rules that need a user's whole history.

Rules that need the whole log (hot items, k-core) are rounds of these, see thinning.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_jobs.histories import Histories
from beam_jobs.moments import TimeLimits, parse_moment
from beam_jobs.options import PrepareOptions

ACTIONS, DWELL, DUPLICATES, REPEATS = "actions", "min_dwell", "drop_duplicates", "drop_repeats"
HOT_ITEMS, MIN_USER_ITEMS, K_CORE = "hot_items", "min_user_items", "k_core"


class RowRules(NamedTuple):
    """Rules on single rows.

    Attributes:
        limits: Times that are believed; others are rejected, not dropped.
        actions: Those to keep, or None.
        min_dwell: Smallest to keep, or None.
    """

    limits: TimeLimits = TimeLimits()
    actions: tuple[str, ...] | None = None
    min_dwell: float | None = None

    @classmethod
    def of(cls, options: PrepareOptions) -> RowRules:
        """The rules that the options ask for."""
        limits = TimeLimits(parse_moment(options.min_time), parse_moment(options.max_time))
        return cls(limits, options.actions, options.min_dwell)

    def keep(self, events: pa.RecordBatch) -> tuple[pa.RecordBatch, dict[str, int]]:
        """The rows to keep, and filter -> number of rows that it drops."""
        dropped = {}
        if self.actions is not None:
            wanted = pa.array([action.encode() for action in self.actions], pa.binary())
            kept = events.filter(pc.is_in(events.column("action"), value_set=wanted))
            dropped[ACTIONS] = events.num_rows - kept.num_rows
            events = kept
        if self.min_dwell is not None:
            kept = events.filter(pc.greater_equal(events.column("dwell"), np.float32(self.min_dwell)))
            dropped[DWELL] = events.num_rows - kept.num_rows
            events = kept
        return events, dropped


class HistoryRules(NamedTuple):
    """Rules on users' histories.

    Attributes:
        duplicates: Drop rows that are equal in every column.
        repeats: Drop adjacent rows of the same item.
        min_user_items: Drop users with fewer rows.
        user_filter: Under which name these are counted.
    """

    duplicates: bool = False
    repeats: bool = False
    min_user_items: int = 1
    user_filter: str = MIN_USER_ITEMS

    def __bool__(self) -> bool:
        """Whether anything may be dropped."""
        return self.duplicates or self.repeats or self.min_user_items > 1

    def keep(self, histories: Histories) -> tuple[Histories, dict[str, int]]:
        """The events to keep, and filter -> number of events that it drops."""
        dropped = {}
        if self.duplicates:
            histories, dropped[DUPLICATES] = _keep(histories, ~_duplicates(histories))
        if self.repeats:
            histories, dropped[REPEATS] = _keep(histories, ~_repeats(histories))
        if self.min_user_items > 1:
            lengths = np.diff(histories.offsets)
            long = np.repeat(lengths >= self.min_user_items, lengths)
            histories, dropped[self.user_filter] = _keep(histories, long)
        return histories, dropped


def _keep(histories: Histories, chosen: np.ndarray) -> tuple[Histories, int]:
    dropped = len(chosen) - int(chosen.sum())
    return (histories.select(chosen) if dropped else histories), dropped


def _repeats(histories: Histories) -> np.ndarray:
    """Bool (events,): the item of the event before, of the same user."""
    codes = histories.item_codes
    repeated = np.zeros(len(codes), bool)
    repeated[1:] = codes[1:] == codes[:-1]
    repeated[histories.offsets[:-1]] = False
    return repeated


def _duplicates(histories: Histories) -> np.ndarray:
    """Bool (events,): equal to an earlier event of the same user in every column."""
    keys = [np.repeat(np.arange(len(histories.users)), np.diff(histories.offsets))]
    for values in histories.columns.values():
        keys.append((values.indices if pa.types.is_dictionary(values.type) else values).to_numpy())
    # Stable: of equal events the first in the log's order comes first.
    order = np.lexsort(keys[::-1])
    same = np.ones(max(len(order) - 1, 0), bool)
    for key in keys:
        ordered = key[order]
        same &= ordered[1:] == ordered[:-1]
    duplicated = np.zeros(len(order), bool)
    duplicated[order[1:][same]] = True
    return duplicated
