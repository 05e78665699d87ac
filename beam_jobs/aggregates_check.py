"""Whether the counts and mean labels of the view `interactions` are those of its train rows, and of no held-out label.

They are computed anew from the train rows: a held-out row must have what these say of its user and item, and a train
row what the others of them say. A feature that knows a held-out row's own label makes any model look better than it is.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from beam_jobs.aggregates import Totals, leave_one_out
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, GENERATED_USER, DatasetSpec

_GROUPS = ("user", "item")


class AggregatesCheck:
    """Collects the records of a view, and says which aggregates are of other rows than those of train.

    Datasets with sampled negatives have no mean labels, and are left alone. Generated rows count for nothing; a dataset
    without the real train rows cannot be checked. A row takes 26 bytes.

    Args:
        spec: Of the dataset.
        view: Its records are given to `add`.
    """

    def __init__(self, spec: DatasetSpec, view: str) -> None:
        self.view = view
        has_means = {f"{group}_mean_label" for group in _GROUPS} <= spec.features.get(view, {}).keys()
        self.generated = spec.generated
        self.applies = has_means and (self.generated is None or self.generated.real)
        self.splits: list[str] = []
        self.places = array("b")
        self.users: dict[bytes, int] = {}
        self.columns: dict[str, array[Any]] = {
            **{name: array("i") for name in ("user", "item", "user_count", "item_count")},
            **{name: array("f") for name in ("user_mean_label", "item_mean_label")},
            "label": array("b"),
        }

    def add(self, split: str, values: Mapping[str, Any]) -> None:
        """Takes one record: feature -> values."""
        if not self.applies or not self.columns.keys() <= values.keys():
            return
        if self.generated and values["user"][0].startswith(GENERATED_USER.encode()):
            return
        if split not in self.splits:
            self.splits.append(split)
        self.places.append(self.splits.index(split))
        (user,) = values["user"]
        self.columns["user"].append(self.users.setdefault(user, len(self.users)))
        for name, column in self.columns.items():
            if name != "user":
                column.append(values[name][0])

    def faults(self) -> list[str]:
        """What must not be, in words."""
        wrong: dict[str, dict[str, int]] = defaultdict(dict)
        for name, differs in self._differences() if len(self.places) else ():
            for place, split in enumerate(self.splits):
                count = int(differs[np.asarray(self.places) == place].sum())
                if count:
                    wrong[split][name] = count
        return [
            f"{self.view}/{split}: {name} of {count} rows is not that of the "
            + ("other train rows" if split == "train" else "train rows: it knows held-out labels")
            for split, names in wrong.items()
            for name, count in names.items()
        ]

    def _differences(self) -> Iterator[tuple[str, np.ndarray]]:
        """Feature, and bool (rows,) where it is not what the train rows give."""
        columns = {name: np.asarray(column) for name, column in self.columns.items()}
        label, known = columns["label"].astype(np.int64), columns["item"] >= FIRST_ITEM_ID
        train = self.splits.index("train") if "train" in self.splits else -1
        counted = (np.asarray(self.places) == train) & known
        for name in _GROUPS:
            group = columns[name] if name == "user" else np.where(known, columns[name], -1)
            totals = Totals.of(group, label, counted, max(1, int(group.max()) + 1))
            count, mean = leave_one_out(totals, totals.everything(), group, label, counted)
            yield f"{name}_count", count != columns[f"{name}_count"]
            yield f"{name}_mean_label", mean != columns[f"{name}_mean_label"]
