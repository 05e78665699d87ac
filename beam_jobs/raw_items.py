"""Records of the view `items` back to raw features: what the signature `encode_items` of an exported model takes.

Categories and numbers stand in records by the vocabularies and scales of their own dataset, which need not be those of
the model; raw values mean the same to both.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from beam_jobs.example_message import decode
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec, FeatureSpec

ITEM, RAW_ID = "item", "raw_id"


class RawItems:
    """Travels to the workers as the name of a dataset.

    Args:
        data: The dataset's directory.
    """

    def __init__(self, data: str) -> None:
        self.data = data

    def __reduce__(self) -> tuple[type[RawItems], tuple[str]]:
        return RawItems, (self.data,)

    @cached_property
    def features(self) -> dict[str, FeatureSpec]:
        """Feature -> what dataset.json says of it; the raw id of the item is `item`."""
        features = dict(self._spec.features["items"])
        return {ITEM: features.pop(RAW_ID), **features}

    def columns(self, records: Sequence[bytes], names: Sequence[str]) -> dict[str, np.ndarray]:
        """Reads records back.

        Args:
            records: Serialised records of the view.
            names: Some of `features`.

        Returns:
            For a category object (records,) of bytes, b"" where it is unknown; for several values object (records, n),
            b"" where there are fewer; for a number float32 (records,); for a count int64 (records,).
        """
        decoded = [decode(record) for record in records]
        return {
            name: self._column(name, [each[RAW_ID if name == ITEM else name][1] for each in decoded]) for name in names
        }

    def _column(self, name: str, rows: Sequence[Any]) -> np.ndarray:
        feature = self.features[name]
        if name == ITEM:
            return np.array([row[0] for row in rows], object)
        if feature.vocabulary is not None:
            texts = [self._texts(feature.vocabulary, row) for row in rows]
            if feature.shape == (1,):
                return np.array([text[0] if text else b"" for text in texts], object)
            width = max([1, *map(len, texts)])
            return np.array([text + [b""] * (width - len(text)) for text in texts], object)
        values = np.concatenate(rows)
        if feature.mean is None or feature.deviation is None:
            return values
        return (values.astype(np.float64) * feature.deviation + feature.mean).astype(np.float32)

    def _texts(self, vocabulary: str, ids: np.ndarray) -> list[bytes]:
        words = self._words[vocabulary]
        return [words[each - FIRST_ITEM_ID] for each in ids.tolist() if each >= FIRST_ITEM_ID]

    @cached_property
    def _spec(self) -> DatasetSpec:
        return DatasetSpec.read(self.data)

    @cached_property
    def _words(self) -> dict[str, list[bytes]]:
        files = {feature.vocabulary for feature in self.features.values() if feature.vocabulary}
        return {file: (Path(self.data) / file).read_bytes().split(b"\n")[:-1] for file in files}
