"""Whether the splits of a view hold different events, as far as its records tell.

A held-out event is known by its user and its place in the user's history, which is the length of `seen`. Events are
kept as 64-bit hashes, 8 bytes each.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfrec_zoo.dataset_spec import DatasetSpec

_HELD_OUT = ("valid", "test")


class SplitCheck:
    """Collects the records of a view, and says what is wrong between its splits.

    Args:
        spec: Of the dataset.
        view: Its records are given to `add`.
    """

    def __init__(self, spec: DatasetSpec, view: str) -> None:
        features = spec.features.get(view, {})
        self.view, self.split = view, spec.split
        self.targets = {"user", "target", "seen"} <= features.keys()
        self.rows = {"user", "item", "time"} <= features.keys()
        # Then the history of a user's valid record is just what train holds of the user.
        self.same_history = (
            spec.split.protocol == "leave-one-out"
            and view == "sequences"
            and not _has_windows(spec.options)
            and (spec.generated is None or spec.generated.real)
        )
        self.users: dict[str, array[int]] = defaultdict(lambda: array("q"))
        self.events: dict[str, array[int]] = defaultdict(lambda: array("q"))
        self.histories: dict[str, array[int]] = defaultdict(lambda: array("q"))
        self.too_late = 0

    def add(self, split: str, values: Mapping[str, Any]) -> None:
        """Takes one record: feature -> values."""
        if "user" not in values:
            return
        (user,) = values["user"]
        self.users[split].append(hash(user))
        if self.targets and split in _HELD_OUT and "seen" in values:
            self.events[split].append(hash((user, len(values["seen"]))))
        elif self.rows and {"item", "time"} <= values.keys() and int(values.get("label", [1])[0]):
            self.events[split].append(hash((user, values["item"].tobytes(), values["time"].tobytes())))
        if self.same_history and split in ("train", "valid") and "items" in values:
            self.histories[split].append(hash((user, values["items"].tobytes())))
        first = self.split.details.get("valid_from")
        if self.split.protocol == "temporal" and split == "train" and "times" in values and first is not None:
            self.too_late += int((values["times"] >= first).any())

    def faults(self) -> list[str]:
        """What must not be, in words."""
        found = []
        if self.targets:
            for split in _HELD_OUT:
                twice = len(self.events[split]) - len(np.unique(_numbers(self.events[split])))
                if twice:
                    found.append(f"{self.view}/{split} asks {twice} times for an event that it has asked for")
            both = len(np.intersect1d(_numbers(self.events["valid"]), _numbers(self.events["test"])))
            if both:
                found.append(f"{self.view}: {both} targets are in valid and in test")
        if self.same_history:
            foreign = len(np.setdiff1d(_numbers(self.histories["valid"]), _numbers(self.histories["train"])))
            if foreign:
                found.append(f"{self.view}: train holds other events of {foreign} users than lie before valid")
        if self.split.protocol == "user":
            names = sorted(split for split in self.users if split in ("train", *_HELD_OUT))
            for place, one in enumerate(names):
                for other in names[place + 1 :]:
                    both = len(np.intersect1d(_numbers(self.users[one]), _numbers(self.users[other])))
                    if both:
                        found.append(f"{self.view}: {both} users are in {one} and in {other}")
        if self.too_late:
            found.append(f"{self.view}: {self.too_late} train records hold events of the time of valid or test")
        return found

    def notes(self) -> list[str]:
        """What may be, but should be known."""
        if not self.rows:
            return []
        held_out = np.concatenate([_numbers(self.events[split]) for split in _HELD_OUT])
        both = len(np.intersect1d(_numbers(self.events["train"]), held_out))
        if not both:
            return []
        return [f"{self.view}: {both} rows of train occur in valid or test too (exact duplicates of the log)"]


def _numbers(values: array[int]) -> np.ndarray:
    return np.frombuffer(values, np.int64) if values else np.zeros(0, np.int64)


def _has_windows(options: Mapping[str, Any]) -> bool:
    return any("window" in name and value for name, value in options.items())
