"""The items that an exported version knows: those that the model was trained on, and perhaps newer ones.

A new item has no weights and no content here. It is given a prior: the mean score of the items that are about as
popular as it is, so that it ranks where an average item of its popularity ranks for this user. The model's weights stay
as they are, and any model that scores its catalogue can be refreshed. Models of features do better: they encode what
the newer dataset says of the item (catalogue_features.py).
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np

from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ExportError

NEIGHBOURS = 20
"""Items of the nearest popularity whose scores a new item's prior averages."""


@dataclasses.dataclass(frozen=True)
class ItemCatalogue:
    """Items by column of the score matrix.

    Attributes:
        vocabulary: File with a raw item id a line; line n is column n and the item with id n + 4.
        items: What it holds.
        counts: float64 (items,), train interactions of each.
        neighbours: int32 (new items, neighbours), columns whose mean score each item after the model's own gets.
        dataset: That which the model was trained on.
        newer: That which has the items after the model's own.
    """

    vocabulary: Path
    items: list[str]
    counts: np.ndarray
    neighbours: np.ndarray
    dataset: DatasetSpec
    newer: DatasetSpec | None = None

    @classmethod
    def of_dataset(cls, spec: DatasetSpec) -> ItemCatalogue:
        """The items of the dataset that the model was trained on."""
        counts = np.asarray(spec.item_counts, np.float64)
        return cls(spec.vocabulary_path("item"), spec.vocabulary("item"), counts, np.zeros((0, 1), np.int32), spec)

    def refreshed(self, newer: DatasetSpec, folder: str | os.PathLike[str]) -> ItemCatalogue:
        """The same items in the same columns, with those that only a newer dataset has after them.

        Args:
            newer: The dataset with the new items; its counts replace those of the items that it knows.
            folder: Where the longer vocabulary is written.

        Raises:
            ExportError: It has no new item.
        """
        count_of = dict(zip(newer.vocabulary("item"), map(float, newer.item_counts), strict=True))
        known = set(self.items)
        new = [item for item in count_of if item not in known]
        if not new:
            raise ExportError(f"{newer.directory} has no item that the model doesn't know; nothing is to be refreshed.")
        counts = np.array([count_of.get(item, old) for item, old in zip(self.items, self.counts, strict=True)])
        new_counts = np.array([count_of[item] for item in new])
        items = [*self.items, *new]
        vocabulary = Path(folder) / self.vocabulary.name
        vocabulary.write_text("".join(f"{item}\n" for item in items), encoding="utf-8")
        return ItemCatalogue(
            vocabulary,
            items,
            np.concatenate([counts, new_counts]),
            _nearest(counts, new_counts),
            self.dataset,
            newer,
        )

    @property
    def new_items(self) -> int:
        """How many of the items the model was not trained on."""
        return len(self.neighbours)


def _nearest(counts: np.ndarray, new_counts: np.ndarray) -> np.ndarray:
    """Columns of the counts nearest to each new one; int32 (new, neighbours)."""
    order = np.argsort(counts, kind="stable")
    width = min(NEIGHBOURS, len(counts))
    middle = np.searchsorted(counts[order], new_counts)
    first = np.clip(middle - width // 2, 0, len(counts) - width)
    return order[first[:, None] + np.arange(width)].astype(np.int32)
