"""The view `sequences`: histories, and for valid and test the item to predict, as the DATA contract describes them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from beam_jobs.encode import Feature, PackedValues, encode_examples, pack
from beam_jobs.histories import Histories
from beam_jobs.lookups import Lookups
from beam_jobs.splits.split import SPLIT_NAMES, TEST, TRAIN, VALID
from beam_jobs.views.view import RecordSet, View
from beam_jobs.vocabulary import look_up
from tfrec_zoo.dataset_spec import FeatureSpec

TRAIN_AND_VALID = "train+valid"
"""Histories for a refit, where they are not just the valid records with their targets appended and the train records
that carry `train_only`."""

_OPTIONAL = {"rating": "ratings"}


class _Packed(NamedTuple):
    """Values of histories, packed once: records are windows over them.

    Attributes:
        users: Raw ids.
        events: Name of the feature -> values of all events.
    """

    users: PackedValues
    events: dict[str, PackedValues]


class Windows(NamedTuple):
    """Histories of records, one a row: the events [start, end) of a user, not yet truncated; int64 (records,) each."""

    user: np.ndarray
    start: np.ndarray
    end: np.ndarray


class Sequences(View):
    """One record a user (or window) in train, one record a held-out target in valid and test."""

    name = "sequences"

    @property
    def _refit_apart(self) -> bool:
        return not self.split.valid_completes_train or self.options.window_stride is not None

    def feature_specs(self, lookups: Lookups) -> dict[str, FeatureSpec]:
        items = {"vocabulary": "vocab/item.txt", "cardinality": lookups.items.num_rows}
        specs = {
            "user": FeatureSpec("bytes", (1,), "vocab/user.txt", lookups.users.num_rows),
            "items": FeatureSpec("int64", (-1,), **items),
            "times": FeatureSpec("int64", (-1,)),
            "target": FeatureSpec("int64", (1,), **items),
            "seen": FeatureSpec("int64", (-1,), **items),
        }
        if not self._refit_apart:
            specs["train_only"] = FeatureSpec("int64", (1,))
        if "rating" in self.roles:
            specs["ratings"] = FeatureSpec("float32", (-1,))
        return specs

    def record_sets(self, unit: str, lookups: Lookups) -> Iterator[RecordSet]:
        histories = Histories.read(unit)
        marks, packed = self.split.marks(histories), _pack(histories, lookups)
        targets = {mark: self.split.targets(histories, marks, mark) for mark in (VALID, TEST)}
        train_only = None
        if not self._refit_apart:
            train_only = np.ones(len(histories.users), bool)
            train_only[histories.owners(targets[VALID])] = False
        yield self._training(SPLIT_NAMES[TRAIN], histories, packed, marks == TRAIN, lookups, train_only)
        if self._refit_apart:
            yield self._training(TRAIN_AND_VALID, histories, packed, marks != TEST, lookups, None)
        for mark, rows in targets.items():
            user = histories.owners(rows)
            windows = Windows(user, histories.offsets[user], rows)
            yield RecordSet(SPLIT_NAMES[mark], len(rows), partial(self._encode_targets, packed, windows))

    def _training(
        self,
        split: str,
        histories: Histories,
        packed: _Packed,
        chosen: np.ndarray,
        lookups: Lookups,
        train_only: np.ndarray | None,
    ) -> RecordSet:
        """One record a user of its chosen events, bool (events,)."""
        windows = leading(histories, chosen)
        if windows is None:
            histories = histories.select(chosen)
            packed = _pack(histories, lookups)
            windows = Windows(np.arange(len(histories.users)), histories.offsets[:-1], histories.offsets[1:])
        if self.options.window_stride:
            windows = cut(windows, self.options.max_length, self.options.window_stride)
        return RecordSet(split, len(windows.user), partial(self._encode_training, packed, windows, train_only))

    def _encode_training(
        self, packed: _Packed, windows: Windows, train_only: np.ndarray | None, first: int, last: int
    ) -> pa.LargeBinaryArray:
        some = Windows(*(rows[first:last] for rows in windows))
        features = self._history(packed, some)
        if train_only is not None:
            none = np.zeros(len(some.user), np.int64)
            features.append(Feature("train_only", _MARKER, none, none + 1, train_only[some.user]))
        return encode_examples(features)

    def _encode_targets(self, packed: _Packed, windows: Windows, first: int, last: int) -> pa.LargeBinaryArray:
        some = Windows(*(rows[first:last] for rows in windows))
        features = self._history(packed, some)
        features.append(Feature("target", packed.events["items"], some.end, some.end + 1))
        features.append(Feature("seen", packed.events["items"], some.start, some.end))
        return encode_examples(features)

    def _history(self, packed: _Packed, windows: Windows) -> list[Feature]:
        recent = np.maximum(windows.start, windows.end - self.options.max_length)
        features = [Feature("user", packed.users, windows.user, windows.user + 1)]
        return features + [Feature(name, values, recent, windows.end) for name, values in packed.events.items()]


_MARKER = pack(np.ones(1, np.int64))


def leading(histories: Histories, chosen: np.ndarray) -> Windows | None:
    """Every user's chosen events (bool (events,)) as windows, if they are everywhere the first ones; else None."""
    counts = histories.user_counts(chosen)
    user = np.flatnonzero(counts)
    start = histories.offsets[user]
    end = start + counts[user]
    edges = np.zeros(len(chosen) + 1, np.int8)
    edges[start] = 1
    edges[end] -= 1
    if not np.array_equal(np.cumsum(edges[:-1], dtype=np.int8).view(bool), chosen):
        return None
    return Windows(user, start, end)


def cut(windows: Windows, length: int, stride: int) -> Windows:
    """Windows of at most `length` events over longer ones, the oldest first; together they cover all events.

    Example:
        >>> cut(Windows(np.array([7]), np.array([0]), np.array([5])), 3, 2)
        Windows(user=array([7, 7]), start=array([0, 2]), end=array([3, 5]))
    """
    more = np.maximum(0, -(-(windows.end - windows.start - length) // stride))
    owner = np.repeat(np.arange(len(more)), more + 1)
    older = more[owner] - (np.arange(len(owner)) - np.repeat(np.cumsum(more + 1) - more - 1, more + 1))
    end = windows.end[owner] - older * stride
    return Windows(windows.user[owner], np.maximum(windows.start[owner], end - length), end)


def _pack(histories: Histories, lookups: Lookups) -> _Packed:
    events = {"items": pack(look_up(histories.items, lookups.item_ids)), "times": pack(histories.times)}
    for role, name in _OPTIONAL.items():
        if role in histories.columns:
            events[name] = pack(histories.columns[role].to_numpy())
    return _Packed(pack(histories.users), events)
