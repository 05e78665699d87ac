"""Features of records back to the raw values that they were made of: what a request would have brought.

For requests that ask of real users and items, and for the items of a dataset whose vocabularies are not the model's.
What a record does not hold any more cannot come back: a category that train does not know, and a number that is
missing, which is the mean of its dataset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec, FeatureSpec
from tfrec_zoo.preprocessing.feature_columns import CATEGORY, HISTORY, SEVERAL, FeatureColumn


class RawFeatures:
    """Reads records of a view back.

    Args:
        spec: The dataset.
        features: What it says of them, by `FeatureColumn.name`.
        columns: The features.
    """

    def __init__(
        self, spec: DatasetSpec, features: Mapping[str, FeatureSpec], columns: Sequence[FeatureColumn]
    ) -> None:
        self._features = {column: features[column.name] for column in columns}
        files = {feature.vocabulary for feature in self._features.values() if feature.vocabulary}
        self._words = {file: spec.vocabulary(file.removeprefix("vocab/").removesuffix(".txt")) for file in files}

    def __call__(self, batch: Mapping[str, tf.Tensor]) -> dict[str, list[Any]]:
        """Reads a batch back.

        Args:
            batch: By `FeatureColumn.name`, as the readers of the views give them.

        Returns:
            By `FeatureColumn.raw_name`, a row a record: text, "" for what is unknown; a list of texts, all of one
            width, filled with "", on the left for a history; a float, or an int for a count.
        """
        return {
            column.raw_name: self._values(column, feature, batch[column.name])
            for column, feature in self._features.items()
        }

    def _values(self, column: FeatureColumn, feature: FeatureSpec, value: tf.Tensor) -> list[Any]:
        if column.kind in (SEVERAL, HISTORY):
            rows = value.to_list() if isinstance(value, tf.RaggedTensor) else value.numpy().tolist()
            return filled([self._texts(feature, row) for row in rows], left=column.kind == HISTORY)
        numbers = value.numpy()
        if column.kind == CATEGORY:
            return [next(iter(self._texts(feature, [each])), "") for each in numbers.tolist()]
        if feature.mean is None or feature.deviation is None:
            return numbers.tolist()
        return (numbers.astype(np.float64) * feature.deviation + feature.mean).tolist()

    def _texts(self, feature: FeatureSpec, ids: Sequence[int]) -> list[str]:
        assert feature.vocabulary is not None
        words = self._words[feature.vocabulary]
        return [words[each - FIRST_ITEM_ID] for each in ids if each >= FIRST_ITEM_ID]


def filled(rows: Sequence[list[str]], left: bool) -> list[list[str]]:
    """Rows of one width, filled with "" on the left or on the right; at least one column."""
    width = max([1, *map(len, rows)])
    return [[""] * (width - len(row)) + row if left else row + [""] * (width - len(row)) for row in rows]
