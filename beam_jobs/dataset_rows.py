"""Records of any view as rows for people: raw ids instead of numbers, the numbers of features in their own unit."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from beam_jobs.example_message import decode
from beam_jobs.record_reader import read_records
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec, FeatureSpec
from tfrec_zoo.errors import ConfigError

RESERVED = ("[PAD]", "[OOV]", "[MASK]", "[CLS]")
"""What ids below `FIRST_ITEM_ID` are called."""


def parts(spec: DatasetSpec) -> dict[str, list[str]]:
    """View -> its splits, train first, vocabularies left out."""
    found: dict[str, list[str]] = {}
    for file in spec.files:
        if file.view != "vocab":
            splits = found.setdefault(file.view, [])
            splits += [file.split] if file.split not in splits else []
    order = {name: place for place, name in enumerate(("train", "train+valid", "valid", "test"))}
    return {view: sorted(splits, key=lambda split: (order.get(split, 9), split)) for view, splits in found.items()}


def choose(spec: DatasetSpec, view: str | None, split: str | None) -> tuple[str, str]:
    """The part to show: the given one, else sequences (else the first view) and test (else its last split).

    Raises:
        ConfigError: The dataset has no such view or split.
    """
    found = parts(spec)
    view = view or ("sequences" if "sequences" in found else next(iter(found)))
    if view not in found:
        raise ConfigError(f"the dataset has no view {view!r}; it has {', '.join(found)}.")
    split = split or ("test" if "test" in found[view] else found[view][-1])
    if split not in found[view]:
        raise ConfigError(f"the view {view!r} has no split {split!r}; it has {', '.join(found[view])}.")
    return view, split


def sample(spec: DatasetSpec, view: str, split: str, count: int) -> list[dict[str, Any]]:
    """The first records of a part.

    Returns:
        One dict a record, feature -> value, or list of values where records differ in length.
    """
    reader = RowReader(spec, view)
    records = itertools.chain.from_iterable(read_records(Path(path)) for path in spec.paths(view, split))
    return [reader.row(record) for record, _ in itertools.islice(records, count)]


class RowReader:
    """Turns the records of a view into rows; opens a vocabulary when a feature needs it."""

    def __init__(self, spec: DatasetSpec, view: str) -> None:
        self.spec, self.features = spec, spec.features[view]

    def row(self, record: bytes) -> dict[str, Any]:
        """One record; features in the order of dataset.json, those that dataset.json does not know last."""
        decoded = decode(record)
        known = [name for name in self.features if name in decoded]
        others = [name for name in sorted(decoded) if name not in self.features]
        return {name: self._readable(self.features.get(name), decoded[name][1]) for name in known + others}

    def _readable(self, feature: FeatureSpec | None, values: list[bytes] | np.ndarray) -> Any:
        readable = list(self._values(feature, values))
        return readable[0] if feature is not None and feature.shape == (1,) and len(readable) == 1 else readable

    def _values(self, feature: FeatureSpec | None, values: list[bytes] | np.ndarray) -> Iterator[Any]:
        if isinstance(values, list):
            yield from (value.decode("utf-8", "backslashreplace") for value in values)
        elif feature is not None and feature.vocabulary and values.dtype == np.int64:
            words = self._words(feature.vocabulary)
            for value in values.tolist():
                place = value - FIRST_ITEM_ID
                yield words[place] if 0 <= place < len(words) else RESERVED[value] if 0 <= value < 4 else f"[{value}?]"
        elif feature is not None and feature.mean is not None:
            # As in features.py: a feature that never varies was not divided.
            yield from (round(value * (feature.deviation or 1.0) + feature.mean, 6) for value in values.tolist())
        else:
            yield from (round(value, 6) if isinstance(value, float) else value for value in values.tolist())

    @functools.cache  # noqa: B019 - lives as long as one command
    def _words(self, vocabulary: str) -> list[str]:
        return (self.spec.directory / vocabulary).read_text(encoding="utf-8").removesuffix("\n").split("\n")
