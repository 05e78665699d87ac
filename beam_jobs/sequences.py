"""The view `sequences`: histories -> sequence records, as the DATA contract describes them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from beam_jobs.encode import Feature, encode_examples, pack
from beam_jobs.split import TRAIN, leave_one_out
from beam_jobs.vocabulary import look_up
from tfrec_zoo.dataset_spec import FeatureSpec

VIEW = "sequences"


class SequenceRecords:
    """The records of a sorted partition, encoded batch by batch.

    Values are packed once; the records of all splits are windows over them.

    Args:
        histories: One row a user, from `shuffle.histories`.
        vocabulary: Raw item ids in the order of their ids.
        max_length: Most recent events kept in `items`, `times` and `ratings`; `seen` is never truncated.

    Attributes:
        splits: Split name -> its records, see split.py.
    """

    def __init__(self, histories: pa.RecordBatch, vocabulary: pa.Array, max_length: int) -> None:
        self.max_length = max_length
        items = histories.column("items")
        self.splits = leave_one_out(items.offsets.to_numpy().astype(np.int64))
        self.users = pack(histories.column("user"))
        self.items = pack(look_up(items.values, vocabulary))
        self.events = {"items": self.items, "times": pack(histories.column("times").values.to_numpy())}
        if "ratings" in histories.schema.names:
            self.events["ratings"] = pack(histories.column("ratings").values.to_numpy())
        self.marker = pack(np.ones(1, np.int64))
        self.train_only = np.ones(len(histories), bool)
        for split, records in self.splits.items():
            if split != TRAIN:
                self.train_only[records.user] = False

    def encode(self, split: str, first: int, last: int) -> pa.LargeBinaryArray:
        """Serialised records [first, last) of a split."""
        user, start, end = (rows[first:last] for rows in self.splits[split][:3])
        target = self.splits[split].target
        recent = np.maximum(start, end - self.max_length)
        features = [Feature("user", self.users, user, user + 1)]
        features += [Feature(name, values, recent, end) for name, values in self.events.items()]
        if target is None:
            # Valid records with their target appended, and these: that is train + valid, for `tfrec train --refit`.
            none = np.zeros(len(user), np.int64)
            features.append(Feature("train_only", self.marker, none, none + 1, self.train_only[user]))
        else:
            features.append(Feature("target", self.items, target[first:last], target[first:last] + 1))
            features.append(Feature("seen", self.items, start, end))
        return encode_examples(features)


def feature_specs(users: int, items: int, with_rating: bool) -> dict[str, FeatureSpec]:
    """What dataset.json says of the records.

    Args:
        users: Lines of vocab/user.txt.
        items: Lines of vocab/item.txt.
        with_rating: Whether records have `ratings`.
    """
    specs = {
        "user": FeatureSpec("bytes", (1,), "vocab/user.txt", users),
        "items": FeatureSpec("int64", (-1,), "vocab/item.txt", items),
        "times": FeatureSpec("int64", (-1,)),
        "target": FeatureSpec("int64", (1,), "vocab/item.txt", items),
        "seen": FeatureSpec("int64", (-1,), "vocab/item.txt", items),
        "train_only": FeatureSpec("int64", (1,)),
    }
    return {**specs, "ratings": FeatureSpec("float32", (-1,))} if with_rating else specs
