"""Who learns what: a split marks every event of a sorted partition as train, valid or test.

A split knows nothing of files, views or encoding. Its marks must depend on the log and its own options alone, never on
the number of partitions or workers.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from beam_jobs.hashing import hash_ids, mix
from beam_jobs.histories import Histories

TRAIN, VALID, TEST = range(3)
"""The marks; `SPLIT_NAMES[mark]` is the name of a mark."""

SPLIT_NAMES = ("train", "valid", "test")


class Split(abc.ABC):
    """A split protocol."""

    protocol: ClassVar[str]

    valid_completes_train: ClassVar[bool] = False
    """Whether a user's valid target and all events before it are just the user's train and valid events."""

    @property
    def fitted(self) -> bool:
        """Whether the split can mark events before the whole log is known."""
        return True

    def fit(self, times: Callable[[], Iterable[np.ndarray]]) -> Split:
        """A split that has learned of the whole log what it needs.

        Args:
            times: Gives the times of all events, int64, a part at a time; can be called again.

        Raises:
            DataError: The log cannot be split like that.
        """
        return self

    @abc.abstractmethod
    def marks(self, histories: Histories) -> np.ndarray:
        """uint8 (events,): `TRAIN`, `VALID` or `TEST`."""

    def targets(self, histories: Histories, marks: np.ndarray, mark: int) -> np.ndarray:
        """The events that a record of the split `mark` asks for, int64 (records,), ascending.

        The events with that mark which have an earlier one: without a history there is nothing to predict from.
        """
        rows = np.flatnonzero(marks == mark)
        return rows[rows > histories.offsets[histories.owners(rows)]]

    @property
    def details(self) -> Mapping[str, Any]:
        """What dataset.json says of the split beside its name."""
        return {}


def drawn_marks(drawn: np.ndarray, valid_share: float, test_share: float) -> np.ndarray:
    """Marks uint8 of numbers that are uniform in [0, 1): a larger share only adds to what a smaller one holds out."""
    marks = np.full(len(drawn), TRAIN, np.uint8)
    marks[drawn >= 1 - valid_share - test_share] = VALID
    marks[drawn >= 1 - test_share] = TEST
    return marks


def held_out_hash(histories: Histories, marks: np.ndarray, seed: int) -> int:
    """Sum modulo 2**64 of a hash of each held-out (user, item, time, mark).

    A sum has no order, and nothing of files and partitions is in it: partitions' sums add up to the log's.
    """
    users, names = hash_ids(histories.users, seed), hash_ids(histories.items.dictionary, seed + 2)
    total = 0
    for number, mark in enumerate((VALID, TEST)):
        rows = np.flatnonzero(marks == mark)
        state = mix(users[histories.owners(rows)] + np.uint64(number)) ^ names[histories.item_codes[rows]]
        total += int(mix(mix(state) ^ histories.times[rows].view(np.uint64)).sum(dtype=np.uint64))
    return total % (1 << 64)
