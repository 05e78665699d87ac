"""The view `interactions`: pointwise rows of a user, an item and a label, for two towers and rankers.

A row comes of one event of the log; with `--negatives` it is followed by rows of items that the user did not touch.
Nothing in a train row, and no statistic, depends on a held-out event: histories, the items that negatives avoid, and
the means and counts of valid and test rows all look at the events up to the row's own split only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from beam_jobs.aggregates import Totals, leave_one_out
from beam_jobs.encode import Feature, PackedValues, encode_examples, pack
from beam_jobs.hashing import hash_ids, mix
from beam_jobs.histories import Histories
from beam_jobs.labels import DROPPED, Labels
from beam_jobs.lookups import Lookups
from beam_jobs.negatives import NegativeSampler
from beam_jobs.options import PrepareOptions
from beam_jobs.splits.split import SPLIT_NAMES, TRAIN, Split
from beam_jobs.subsampling import uniform
from beam_jobs.views.view import RecordSet, View
from beam_jobs.vocabulary import look_up
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, FeatureSpec


class Rows(NamedTuple):
    """Rows of one split, int64 (rows,) each.

    Attributes:
        event: The event that a row comes of; a sampled negative has that of its positive.
        item: Id of the item.
        label: 0 or 1.
    """

    event: np.ndarray
    item: np.ndarray
    label: np.ndarray


class Windows(NamedTuple):
    """The histories of all events, as windows over packed items.

    Attributes:
        items: Ids of the events that may be in a history, and no others.
        start, end: int64 (events,), where each event's history begins and ends in `items`.
    """

    items: PackedValues
    start: np.ndarray
    end: np.ndarray


class Interactions(View):
    """One row an event, and with `--negatives` so many more.

    Raises:
        DataError: A rule reads a column that the log lacks.
    """

    name = "interactions"

    def __init__(self, options: PrepareOptions, roles: Iterable[str], split: Split) -> None:
        super().__init__(options, roles, split)
        self.labels = Labels(options, self.roles)

    def feature_specs(self, lookups: Lookups) -> dict[str, FeatureSpec]:
        items = {"vocabulary": "vocab/item.txt", "cardinality": lookups.items.num_rows}
        specs = {
            "user": FeatureSpec("bytes", (1,), "vocab/user.txt", lookups.users.num_rows),
            "user_id": FeatureSpec("int64", (1,), "vocab/user.txt", lookups.users.num_rows),
            "item": FeatureSpec("int64", (1,), **items),
            "time": FeatureSpec("int64", (1,)),
            "label": FeatureSpec("int64", (1,)),
            "history": FeatureSpec("int64", (-1,), **items),
            "user_count": FeatureSpec("int64", (1,)),
            "item_count": FeatureSpec("int64", (1,)),
        }
        if self.options.label is not None:
            # Means of sampled labels would be the sampler's.
            specs |= {"user_mean_label": FeatureSpec("float32", (1,)), "item_mean_label": FeatureSpec("float32", (1,))}
            if "rating" in self.roles:
                specs["rating"] = FeatureSpec("float32", (1,))
        return {**specs, **lookups.user_features.specs, **lookups.item_features.specs}

    def item_sums(self, histories: Histories, marks: np.ndarray) -> Mapping[str, np.ndarray]:
        labels = self.labels.of(histories)
        counted = (marks == TRAIN) & (labels != DROPPED)
        totals = Totals.of(histories.item_codes, labels, counted, len(histories.items.dictionary))
        return {"rows": totals.rows, "labels": totals.total}

    def record_sets(self, unit: str, lookups: Lookups) -> Iterator[RecordSet]:
        part = _Part(self, Histories.read(unit), lookups)
        for mark, split in enumerate(SPLIT_NAMES):
            rows = part.rows(mark)
            yield RecordSet(split, len(rows.event), partial(part.encode, rows, part.windows(mark)))


class _Part:
    """A sorted partition as rows."""

    def __init__(self, view: Interactions, histories: Histories, lookups: Lookups) -> None:
        self.view, self.options, self.histories, self.lookups = view, view.options, histories, lookups
        self.marks, self.labels = view.split.marks(histories), view.labels.of(histories)
        self.in_history = view.labels.in_history(histories)
        self.items = look_up(histories.items, lookups.item_ids)
        self.user = histories.owners(np.arange(histories.events))
        self.users, self.user_ids = (
            pack(histories.users),
            look_up(histories.users.dictionary_encode(), lookups.user_ids),
        )
        self.user_rows = lookups.user_features.find(histories.users)
        self.item_rows = lookups.item_features.find(histories.items.dictionary)
        self.rank_rows = lookups.item_features.find(lookups.item_ids)
        if "rating" in histories.columns:
            self.ratings = histories.columns["rating"].to_numpy()
        self.user_hash = hash_ids(histories.users)
        sums = lookups.items
        self.item_totals = Totals(sums["interactions.rows"].to_numpy(), sums["interactions.labels"].to_numpy())
        self.counted = (self.marks == TRAIN) & (self.labels != DROPPED) & (self.items >= FIRST_ITEM_ID)
        self.everything = self.item_totals.everything()
        self.user_totals = Totals.of(self.user, self.labels, self.counted, len(histories.users))

    def rows(self, mark: int) -> Rows:
        """The rows of a split: those of train in a seeded random order, the others by user and time."""
        event = np.flatnonzero((self.marks == mark) & (self.labels != DROPPED))
        rows = Rows(event, self.items[event], self.labels[event].astype(np.int64))
        if self.options.negatives:
            rows = self._with_negatives(rows, mark, self.options.negatives)
        if mark != TRAIN:
            return rows
        # Readers mix shards and a buffer of records; in the order of the users a batch would hold few of them.
        keys = self._keys(rows.event, mark) ^ mix(rows.item.astype(np.uint64))
        order = np.argsort(uniform(keys, self.options.seed), kind="stable")
        return Rows(*(column[order] for column in rows))

    def _keys(self, event: np.ndarray, mark: int) -> np.ndarray:
        """A hash of each row's event, uint64: of its user, and its place among the user's rows of the split."""
        place = np.cumsum((self.marks == mark) & (self.labels != DROPPED))
        before = np.append(0, place)[self.histories.offsets[:-1]]
        user = self.user[event]
        return mix(self.user_hash[user] ^ mix((place[event] - before[user]).astype(np.uint64)))

    def _with_negatives(self, rows: Rows, mark: int, count: int) -> Rows:
        """Every row, and after it the negatives that are drawn for it."""
        counts = self.lookups.items["count"].to_numpy()
        touched = np.flatnonzero((self.marks <= mark) & (self.items >= FIRST_ITEM_ID))
        sampler = NegativeSampler.of(self.options.negative_sampling, counts, self.options.seed)
        row, rank = sampler.draw(
            self._keys(rows.event, mark),
            self.user[rows.event],
            self.user[touched],
            self.items[touched] - FIRST_ITEM_ID,
            count,
        )
        order = np.argsort(np.append(np.arange(len(rows.event)), row), kind="stable")
        return Rows(
            np.append(rows.event, rows.event[row])[order],
            np.append(rows.item, rank + FIRST_ITEM_ID)[order],
            np.append(rows.label, np.zeros(len(row), np.int64))[order],
        )

    def windows(self, mark: int) -> Windows:
        """The histories of the events of a split: earlier events of this split and of those that come before it."""
        chosen = (self.marks <= mark) & self.in_history
        before = np.append(0, np.cumsum(chosen))
        end = before[:-1]
        first = before[self.histories.offsets[:-1]][self.user]
        return Windows(pack(self.items[chosen]), np.maximum(first, end - self.options.history_length), end)

    def encode(self, rows: Rows, windows: Windows, first: int, last: int) -> pa.LargeBinaryArray:
        """Serialised records [first, last)."""
        event, item, label = (column[first:last] for column in rows)
        user = self.user[event]
        columns = {
            "user_id": self.user_ids[user],
            "item": item,
            "time": self.histories.times[event],
            "label": label,
            **self._aggregates(event, item, label),
        }
        if self.options.label is not None and "rating" in self.histories.columns:
            columns["rating"] = self.ratings[event]
        one = np.arange(len(event))
        features = [Feature(name, pack(values), one, one + 1) for name, values in columns.items()]
        features.append(Feature("user", self.users, user, user + 1))
        features.append(Feature("history", windows.items, windows.start[event], windows.end[event]))
        features += self.lookups.user_features.features_of(self.user_rows[user])
        return encode_examples(features + self.lookups.item_features.features_of(self._item_rows(event, item)))

    def _item_rows(self, event: np.ndarray, item: np.ndarray) -> np.ndarray:
        """Rows of the item features: by raw id for the item of an event, which may have no id, else by rank."""
        own = self.item_rows[self.histories.item_codes[event]]
        if not self.options.negatives:
            return own
        return np.where(item == self.items[event], own, self.rank_rows[np.maximum(item - FIRST_ITEM_ID, 0)])

    def _aggregates(self, event: np.ndarray, item: np.ndarray, label: np.ndarray) -> dict[str, np.ndarray]:
        counted = self.counted[event]
        user_count, user_mean = leave_one_out(self.user_totals, self.everything, self.user[event], label, counted)
        # A negative is no train event: there is nothing of it to be left out of its item. Its user's count is without
        # its positive all the same, or the count would tell the two apart.
        counted = counted & (item == self.items[event])
        group = np.where(item >= FIRST_ITEM_ID, item - FIRST_ITEM_ID, -1)
        item_count, item_mean = leave_one_out(self.item_totals, self.everything, group, label, counted)
        counts = {"user_count": user_count, "item_count": item_count}
        if self.options.label is None:
            return counts
        return {**counts, "user_mean_label": user_mean, "item_mean_label": item_mean}
