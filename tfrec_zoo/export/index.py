"""The index: a user's best items by the product of vectors."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID
from tfrec_zoo.losses.tfrs import tensorflow_recommenders


class ItemIndex(tf.Module):
    """Item vectors in TensorFlow Recommenders' `BruteForce`, which is exact.

    Popularity is one more column of the vectors, so that a user of whom nothing is known asks the same index.

    The layer is one of Keras 2; like the zoo's models of Keras 3, it stays in a closure and its variables are held one
    by one, so that the SavedModel needs no Keras. Its `query_with_exclusions` wants to know when the graph is made how
    many items are left out; here that is the width of a request's history, and the same is done with it: so many items
    more than wanted are found, and those to leave out are dropped from them.

    Args:
        vectors: float32 (items, dim).
        counts: float64 (items,), train interactions, for popularity.
    """

    def __init__(self, vectors: np.ndarray, counts: np.ndarray) -> None:
        super().__init__()
        index = tensorflow_recommenders().layers.factorized_top_k.BruteForce()
        index.index(tf.constant(np.concatenate([vectors, log_popularity(counts)[:, None]], axis=1)))
        self._columns, self._vectors = index.weights
        self._top = lambda queries, k: index(queries, k=k)

    def vectors(self, columns: tf.Tensor) -> tf.Tensor:
        """Vectors of items: int32 (...) -> float32 (..., dim)."""
        return tf.gather(self._vectors, columns)[..., :-1]

    def best(self, users: tf.Tensor, fallback: tf.Tensor, seen: tf.Tensor, max_k: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Finds the best items that a user has not seen.

        Args:
            users: float32 (batch, dim).
            fallback: bool (batch,), where popular items are wanted.
            seen: int32 (batch, n), ids of items to leave out; reserved ids among them leave nothing out.
            max_k: Columns of the answer.

        Returns:
            Scores float32 (batch, max_k), best first, minus infinity where there are fewer items; log popularity where
            `fallback` is True. And columns of the catalogue, int32 (batch, max_k).
        """
        asks_popularity = tf.cast(fallback, tf.float32)[:, None]
        queries = tf.concat([users * (1.0 - asks_popularity), asks_popularity], axis=1)
        found = tf.minimum(max_k + tf.shape(seen)[1], self._vectors.shape[0])
        scores, columns = self._top(queries, found)
        left_out = tf.reduce_any(columns[:, :, None] == seen[:, None, :] - FIRST_ITEM_ID, axis=2)
        scores = tf.where(left_out, float("-inf"), scores)
        missing = [[0, 0], [0, tf.maximum(max_k - found, 0)]]
        scores, places = tf.math.top_k(tf.pad(scores, missing, constant_values=float("-inf")), max_k)
        return scores, tf.gather(tf.pad(columns, missing), places, batch_dims=1)


def log_popularity(counts: np.ndarray) -> np.ndarray:
    """Logarithm of every item's share of the train interactions, at least one each: float64 (items,) -> float32."""
    counts = np.maximum(counts, 1.0)
    return np.log(counts / counts.sum()).astype(np.float32)
