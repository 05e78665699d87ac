"""Rows of the view `interactions` for fake histories: the features of the item and of the real user, spliced.

A row stands for an item that a generator made up. What is known of the item comes from its record in the view `items`,
what is known of the user from a train row of the user whose history conditioned the generator. A label is

    with sampled negatives   1, and every row is followed by negatives drawn as the Beam job draws them
    with a label rule        drawn, since nobody rated the item: the odds of the user times those of the item over those
                             of all train rows, each mean with one row of the overall mean added
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec_zoo.augmentation.fake_histories import FakeHistory
from tfrec_zoo.augmentation.fake_records import fake_user
from tfrec_zoo.data import records
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec, FeatureSpec
from tfrec_zoo.errors import DataError

VIEW, ITEMS = "interactions", "items"

_BATCH = 4096
_ROWS = 3
"""What numbers are drawn for, beside the seed, as in fake_histories.py."""

_TRIES = 100
"""So often a negative is drawn before a user counts as one who knows everything."""


class RowSplicer:
    """Makes the rows of fake histories.

    Args:
        spec: The dataset, with the views `interactions` and `items`.
        seed: Of labels and negatives.

    Raises:
        DataError: The view `items` is missing.
    """

    def __init__(self, spec: DatasetSpec, seed: int) -> None:
        if ITEMS not in spec.features:
            raise DataError(
                f"{spec.directory} has the view {VIEW}, but not the view {ITEMS}, which fake rows take the features of "
                f"their items from: run `tfrec prepare` with --views {','.join([*sorted(spec.features), ITEMS])}."
            )
        features, self._seed = spec.features[VIEW], seed
        self._of_user = [name for name, feature in features.items() if feature.entity == "user"]
        self._of_item = [name for name, feature in features.items() if feature.entity == "item"]
        self._has_means, self._has_ratings = "item_mean_label" in features, "rating" in features
        self._history_length = int(spec.options.get("history_length", 50))
        self._negatives = int(spec.options.get("negatives") or 0)
        uniform = spec.options.get("negative_sampling", "uniform") == "uniform"
        weights = np.ones(spec.catalog_size) if uniform else np.asarray(spec.item_counts, np.float64)
        self._ends = np.cumsum(weights)
        serialized = records.fixed_parallelism(records.read(spec.paths(ITEMS, "all")).batch(_BATCH))
        # As bytes: a million parsed records would not fit into memory.
        self._items = [each for some in records.explained(serialized, spec) for each in some.numpy()]
        self._users, self._mean_label = _users_of(spec)

    def rows(self, history: FakeHistory) -> Iterator[bytes]:
        """Serialized records for the items of a fake history that its user did not touch.

        A user without a train row of this view, all of whose events were dropped, has none.
        """
        if history.real.user not in self._users:
            return
        user = _features(self._users[history.real.user])
        rng = np.random.default_rng([self._seed, _ROWS, history.real.number])
        known = np.append(history.real.items, history.items)
        for place in np.flatnonzero(history.made).tolist():
            item = int(history.items[place])
            of_item = self._features_of(item)
            label = int(rng.random() < self._probability(user, of_item)) if self._has_means else 1
            yield self._row(history, user, place, of_item, label)
            for negative in self._draw_negatives(rng, known):
                yield self._row(history, user, place, self._features_of(int(negative)), 0)

    def _features_of(self, item: int) -> Any:
        return _features(self._items[item - FIRST_ITEM_ID])

    def _row(self, history: FakeHistory, user: Any, place: int, of_item: Any, label: int) -> bytes:
        example = tf.train.Example()
        made = example.features.feature
        for name in self._of_user:
            if name in user:
                made[name].CopyFrom(user[name])
        for name in self._of_item:
            if name in of_item:
                made[name].CopyFrom(of_item[name])
        count, mean = _all_rows_of(user)
        made["user"].bytes_list.value.append(fake_user(history))
        made["user_id"].CopyFrom(user["user_id"])
        made["user_count"].int64_list.value.append(count)
        made["item"].CopyFrom(of_item["id"])
        made["item_count"].CopyFrom(of_item["item_count"])
        made["time"].int64_list.value.append(int(history.times[place]))
        made["label"].int64_list.value.append(label)
        made["history"].int64_list.value.extend(history.items[max(0, place - self._history_length) : place].tolist())
        if self._has_means:
            made["user_mean_label"].float_list.value.append(mean)
            made["item_mean_label"].CopyFrom(of_item["item_mean_label"])
        if self._has_ratings:
            made["rating"].float_list.value.append(0.0)
        return example.SerializeToString(deterministic=True)

    def _probability(self, user: Any, of_item: Any) -> float:
        """Of label 1, from the means of the real train rows."""
        both = [
            _all_rows_of(user),
            (of_item["item_count"].int64_list.value[0], of_item["item_mean_label"].float_list.value[0]),
        ]
        prior = self._mean_label
        smoothed = [(count * mean + prior) / (count + 1) for count, mean in both]
        ones = smoothed[0] * smoothed[1] * (1 - prior)
        zeros = (1 - smoothed[0]) * (1 - smoothed[1]) * prior
        return ones / (ones + zeros) if ones + zeros else prior

    def _draw_negatives(self, rng: np.random.Generator, known: np.ndarray) -> np.ndarray:
        """Ids of items that neither the real nor the fake history holds; none for a user who knows all."""
        found = np.zeros(0, np.int64)
        for _ in range(_TRIES if self._negatives else 0):
            draws = rng.random(self._negatives) * self._ends[-1]
            ids = np.searchsorted(self._ends, draws, side="right") + FIRST_ITEM_ID
            found = np.append(found, ids[~np.isin(ids, known)])
            if len(found) >= self._negatives:
                break
        return found[: self._negatives]


def _features(serialized: bytes) -> Any:
    return tf.train.Example.FromString(serialized).features.feature


def _users_of(spec: DatasetSpec) -> tuple[dict[bytes, bytes], float]:
    """One train row of every user, serialized, and the mean label of all."""
    wanted = {"user": FeatureSpec("bytes", (1,)), "label": FeatureSpec("int64", (1,))}
    users: dict[bytes, bytes] = {}
    ones = rows = 0
    serialized = records.fixed_parallelism(records.read(spec.paths(VIEW, "train")).batch(_BATCH))
    for some in records.explained(serialized, spec):
        batch = records.parse(some, wanted)
        ones, rows = ones + int(tf.reduce_sum(batch["label"])), rows + len(some)
        names, first = np.unique(batch["user"].numpy(), return_index=True)
        for name, place in zip(names, first, strict=True):
            if name not in users:
                users[name] = some[place].numpy()
    return users, ones / max(1, rows)


def _all_rows_of(user: Any) -> tuple[int, float]:
    """Count and mean label of all of a user's train rows, from one row, whose features are those of the others.

    The mean is 0 where there are no means.
    """
    others, label = user["user_count"].int64_list.value[0], user["label"].int64_list.value[0]
    mean = user["user_mean_label"].float_list.value[0] if "user_mean_label" in user else 0.0
    return others + 1, (others * mean + label) / (others + 1) if "user_mean_label" in user else 0.0
