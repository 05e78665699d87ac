"""The view `transfer`: what a user did in the source domain, and one item that the user chose in the target domain.

A record is an event of the target log of a user that both logs know. Its target has an id of the target's vocabulary,
vocab/target_item.txt; its history has ids of vocab/item.txt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_jobs.encode import Feature, encode_examples, pack
from beam_jobs.hashing import hash_ids, mix
from beam_jobs.histories import Histories
from beam_jobs.lookups import Lookups
from beam_jobs.splits.split import SPLIT_NAMES, TRAIN
from beam_jobs.subsampling import keep_probability, uniform
from beam_jobs.target_domain import TargetDomain
from beam_jobs.views.view import RecordSet, View
from beam_jobs.vocabulary import look_up
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, FeatureSpec


class Unit(NamedTuple):
    """A partition of both logs: files of the same users."""

    source: str
    target: str


class Transfer(View):
    """One record a target event of a common user."""

    name = "transfer"

    def feature_specs(self, lookups: Lookups) -> dict[str, FeatureSpec]:
        items = {"vocabulary": "vocab/item.txt", "cardinality": lookups.items.num_rows}
        domain = TargetDomain(lookups.folder)
        targets = {"vocabulary": "vocab/target_item.txt", "cardinality": domain.items.num_rows}
        return {
            "user": FeatureSpec("bytes", (1,), "vocab/user.txt", lookups.users.num_rows),
            "items": FeatureSpec("int64", (-1,), **items),
            "times": FeatureSpec("int64", (-1,)),
            "target": FeatureSpec("int64", (1,), **targets),
            "time": FeatureSpec("int64", (1,)),
            "seen": FeatureSpec("int64", (-1,), **targets),
        }

    def units(self, partitions: Mapping[int, str], lookups: Lookups) -> Sequence[Unit]:
        targets = TargetDomain(lookups.folder).partitions
        return [Unit(path, targets[number]) for number, path in partitions.items() if number in targets]

    def record_sets(self, unit: Unit, lookups: Lookups) -> Iterator[RecordSet]:
        part = _Part(self, Histories.read(unit.source), Histories.read(unit.target), lookups)
        for mark, split in enumerate(SPLIT_NAMES):
            rows = part.rows(mark)
            yield RecordSet(split, len(rows), partial(part.encode, rows, mark != TRAIN))


class _Part:
    """A partition of both logs."""

    def __init__(self, view: Transfer, source: Histories, target: Histories, lookups: Lookups) -> None:
        self.options, self.source, self.target = view.options, source, target
        domain = TargetDomain(lookups.folder)
        self.marks = domain.split.marks(target)
        self.owner = target.owners(np.arange(target.events))
        places = pc.index_in(target.users, value_set=source.users).fill_null(-1).to_numpy(zero_copy_only=False)
        user = places[self.owner].astype(np.int64)
        self.common = user >= 0
        self.start = np.where(self.common, source.offsets[user], 0)
        self.end = np.where(self.common, source.offsets[user + 1], 0)
        if self.options.transfer_history == "earlier":
            self.end = np.where(self.common, earlier(source, user, target.times), 0)
        self.targets = look_up(target.items, domain.item_ids)
        self.counts = domain.items["count"].to_numpy()
        place = np.arange(target.events) - target.offsets[self.owner]
        self.keys = mix(hash_ids(target.users)[self.owner] ^ mix(place.astype(np.uint64)))
        self.users, self.packed_targets = pack(target.users), pack(self.targets)
        self.history = {"items": pack(look_up(source.items, lookups.item_ids)), "times": pack(source.times)}

    def rows(self, mark: int) -> np.ndarray:
        """The target events of a split's records: those of train thinned out and in a seeded random order."""
        # Without a source event there is nothing to transfer from.
        chosen = (self.marks == mark) & (self.end > self.start)
        if mark != TRAIN:
            return np.flatnonzero(chosen)
        rows = np.flatnonzero(chosen & (self.targets >= FIRST_ITEM_ID))
        if self.options.target_sample is not None:
            keep = keep_probability(self.counts, self.options.target_sample)[self.targets[rows] - FIRST_ITEM_ID]
            rows = rows[uniform(self.keys[rows], self.options.seed) < keep]
        return rows[np.argsort(uniform(mix(self.keys[rows]), self.options.seed), kind="stable")]

    def encode(self, rows: np.ndarray, with_seen: bool, first: int, last: int) -> pa.LargeBinaryArray:
        """Serialised records [first, last)."""
        rows = rows[first:last]
        owner, start, end = self.owner[rows], self.start[rows], self.end[rows]
        recent, one = np.maximum(start, end - self.options.max_length), np.arange(len(rows))
        features = [Feature(name, values, recent, end) for name, values in self.history.items()]
        features += [
            Feature("user", self.users, owner, owner + 1),
            Feature("target", self.packed_targets, rows, rows + 1),
            Feature("time", pack(self.target.times[rows]), one, one + 1),
        ]
        if with_seen:
            features.append(Feature("seen", self.packed_targets, self.target.offsets[owner], rows))
        return encode_examples(features)


def earlier(histories: Histories, user: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Where the events of a user that come before a time end.

    Args:
        histories: Of the users.
        user: int64 (n,), places in `histories.users`; for -1 the result means nothing.
        times: int64 (n,).

    Returns:
        int64 (n,): row of the user's first event that is not before the time, or the end of the user's events.
    """
    # Times become their ranks, so that user and time fit into one integer whatever the unit of time.
    ranks = np.unique(histories.times)
    rank = np.searchsorted(ranks, histories.times)
    wanted = np.searchsorted(ranks, times)
    owner = histories.owners(np.arange(histories.events))
    width = len(ranks) + 1
    return np.searchsorted(owner * width + rank, user * width + wanted)
