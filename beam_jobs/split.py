"""Who learns what: cuts users' histories into train, valid and test records.

A split protocol is a function from the offsets of the users' events (sorted by time) to windows over those events. It
knows nothing of ids, files or encoding; a new protocol is a new function here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

TRAIN, VALID, TEST = "train", "valid", "test"
SPLIT_NAMES = (TRAIN, VALID, TEST)


class Records(NamedTuple):
    """Windows over the events of a partition, one a record, in the order of the users.

    Attributes:
        user: int64 (records,), row of the user.
        start, end: int64 (records,); the history is the events [start, end), not yet truncated.
        target: int64 (records,), the event to predict; None for train records.
    """

    user: np.ndarray
    start: np.ndarray
    end: np.ndarray
    target: np.ndarray | None


def leave_one_out(offsets: np.ndarray) -> dict[str, Records]:
    """The last event is the test target, the last but one the valid target; users with fewer than 3 are train-only.

    Args:
        offsets: int64 (users + 1,), where each user's events begin.

    Returns:
        Split name -> its records. The test history includes the valid target, the train history neither.

    Example:
        >>> leave_one_out(np.array([0, 4, 6]))["train"].end
        array([2, 6])
    """
    start, end = offsets[:-1], offsets[1:]
    held_out = end - start >= 3
    user = np.flatnonzero(held_out)
    return {
        TRAIN: Records(np.arange(len(start)), start, end - 2 * held_out, None),
        VALID: Records(user, start[user], end[user] - 2, end[user] - 2),
        TEST: Records(user, start[user], end[user] - 1, end[user] - 1),
    }


def train_events(train: Records, events: int) -> np.ndarray:
    """The events that training may see: bool (events,)."""
    edges = np.zeros(events + 1, np.int64)
    np.add.at(edges, train.start, 1)
    np.add.at(edges, train.end, -1)
    return np.cumsum(edges[:-1]) > 0
