"""Baselines of labels: what the mean labels, or the counts, of a user and an item say by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfrec_zoo.data import records
from tfrec_zoo.data.interactions import LABEL, VIEW, evaluation_batches
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.metrics.binary import probabilities

_ITERATIONS = 30


class LogisticRegression:
    """Logistic regression on a few numbers of a row, by Newton's method.

    Args:
        spec: The dataset; it is fitted on the train rows.
        features: Names of numbers in the view `interactions`; counts are taken as log(1 + n).
    """

    history_length = 1

    def __init__(self, spec: DatasetSpec, features: Sequence[str]) -> None:
        self.features = list(features)
        rows, labels = [], []
        batches = evaluation_batches(spec, "train", 65_536, 1, features=[*self.features, LABEL])
        for batch in records.explained(batches, spec):
            rows.append(self._numbers(batch).numpy())
            labels.append(batch[LABEL].numpy())
        self.weights = _fit(np.concatenate(rows).astype(np.float64), np.concatenate(labels).astype(np.float64))

    def logits(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Logits of the label: float32 (batch,)."""
        return tf.linalg.matvec(self._numbers(batch), tf.constant(self.weights, tf.float32))

    def _numbers(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        columns = [tf.cast(batch[name], tf.float32) for name in self.features]
        columns = [
            tf.math.log1p(value) if name.endswith("_count") else value
            for name, value in zip(self.features, columns, strict=True)
        ]
        return tf.stack([tf.ones_like(columns[0]), *columns], axis=1)


def baselines(spec: DatasetSpec) -> dict[str, LogisticRegression]:
    """By name: "popularity", the item alone, and "two means", item and user; of counts where there are no means."""
    kind = "mean_label" if "item_mean_label" in spec.features[VIEW] else "count"
    both = "two means" if kind == "mean_label" else "two counts"
    return {
        "popularity": LogisticRegression(spec, [f"item_{kind}"]),
        both: LogisticRegression(spec, [f"user_{kind}", f"item_{kind}"]),
    }


def _fit(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    weights = np.zeros(rows.shape[1])
    for _ in range(_ITERATIONS):
        chance = probabilities(rows @ weights)
        curvature = (rows * (chance * (1 - chance))[:, None]).T @ rows + 1e-6 * np.eye(len(weights))
        step = np.linalg.solve(curvature, rows.T @ (labels - chance))
        weights += step
        if np.abs(step).max() < 1e-8:
            break
    return weights
