"""The index of models that draw several vectors for a user: every item is scored by the votes of all draws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfrec_zoo.export.index import log_popularity
from tfrec_zoo.preprocessing.seen import leave_out


class DrawnIndex(tf.Module):
    """Item vectors, and popularity for users of whom nothing is known; exact.

    Args:
        vectors: float32 (items, dim).
        counts: float64 (items,), train interactions, for popularity.
        match_all: Of the model: a user's draws (batch, draws, dim) and vectors to scores (batch, items).
    """

    def __init__(
        self, vectors: np.ndarray, counts: np.ndarray, match_all: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    ) -> None:
        super().__init__()
        self._vectors = tf.Variable(vectors, trainable=False)
        self._popularity = tf.Variable(log_popularity(counts), trainable=False)
        self._match_all = match_all

    def scores(self, users: tf.Tensor) -> tf.Tensor:
        """Scores of the catalogue: float32 (batch, draws, dim) -> (batch, items)."""
        return self._match_all(users, self._vectors.value())

    def best(self, users: tf.Tensor, fallback: tf.Tensor, seen: tf.Tensor, max_k: int) -> tuple[tf.Tensor, tf.Tensor]:
        """As of `ItemIndex.best`, for float32 (batch, draws, dim)."""
        scores = leave_out(tf.where(fallback[:, None], self._popularity[None], self.scores(users)), seen)
        items = scores.shape[1]
        missing = [[0, 0], [0, max(max_k - items, 0)]]
        scores, columns = tf.math.top_k(tf.pad(scores, missing, constant_values=float("-inf")), max_k)
        return scores, tf.minimum(columns, items - 1)
