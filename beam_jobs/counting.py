"""What must be known of the train part before encoding: counts of items and users, and the split's hash."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from beam_jobs.histories import Histories
from beam_jobs.splits.split import TRAIN, Split, held_out_hash
from beam_jobs.tables import write_table
from beam_jobs.views.view import View


class Counts(NamedTuple):
    """The counts of a partition.

    Attributes:
        items: `item` binary, `count` int64 (train events, perhaps 0) and the views' sums; None once they are added up.
        users_path: Arrow file of `user` and `count`, in the order of the partition's users.
        split_hash: Two sums modulo 2**64 over the held-out events.
    """

    items: pa.RecordBatch | None
    users_path: str
    split_hash: tuple[int, int]


class CountTrain:
    """Counts a partition; travels to the workers.

    Args:
        split: Marks the events.
        views: May want more sums an item.
        scratch: Existing folder that every worker can write to.
    """

    def __init__(self, split: Split, views: Sequence[View], scratch: str) -> None:
        self.split, self.views, self.scratch = split, list(views), scratch

    def __call__(self, number: int, histories: Histories) -> Counts:
        """Counts the partition `number`."""
        marks = self.split.marks(histories)
        train = marks == TRAIN
        size = len(histories.items.dictionary)
        columns = {"count": np.bincount(histories.item_codes[train], minlength=size)}
        for view in self.views:
            sums = view.item_sums(histories, marks)
            columns.update({f"{view.name}.{name}": values for name, values in sums.items()})
        items = pa.RecordBatch.from_arrays(
            [histories.items.dictionary, *(pa.array(values, pa.int64()) for values in columns.values())],
            names=["item", *columns],
        )
        present = np.zeros(size, bool)
        present[histories.item_codes] = True
        if not present.all():
            # Filters have taken every event of some items.
            items = items.filter(pa.array(present))
        users = pa.table({"user": histories.users, "count": pa.array(histories.user_counts(train), pa.int64())})
        path = Path(self.scratch) / f"users-{number:05d}-{uuid.uuid4().hex}.arrow"
        write_table(users, path)
        return Counts(items, str(path), (held_out_hash(histories, marks, 1), held_out_hash(histories, marks, 2)))
