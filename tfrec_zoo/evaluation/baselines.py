"""The baselines that stand in every table: popularity, and what most often followed the last item."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec_zoo.data import records
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec, FeatureSpec


class Popularity:
    """Ranks items by their number of train interactions, the same for every user."""

    def __init__(self, spec: DatasetSpec) -> None:
        self._counts = tf.constant(spec.item_counts, tf.float32)

    def score(self, history: tf.Tensor) -> tf.Tensor:
        """Train interactions of every item, float32 (batch, catalog_size), for int32 histories (batch, n)."""
        return tf.tile(self._counts[None], [tf.shape(history)[0], 1])


class Markov:
    """Ranks items by how often they directly followed the user's last item in train; equal counts by popularity.

    The transition counts are kept as a sparse matrix of (last item, next item, count), so that memory grows with the
    log and not with the square of the catalogue.
    """

    def __init__(self, spec: DatasetSpec) -> None:
        counts = np.asarray(spec.item_counts, np.float32)
        self._size = len(counts)
        # Below one transition even for the most popular item, so it only orders equal counts.
        self._popularity = tf.constant(counts / (2.0 * max(counts.max(initial=0), 1.0)), tf.float32)
        previous, following = _train_transitions(spec)
        pairs, times = np.unique(previous * self._size + following, return_counts=True)
        first = np.searchsorted(pairs // self._size, np.arange(self._size + 1))
        self._following = tf.RaggedTensor.from_row_splits(
            tf.constant(pairs % self._size, tf.int32), tf.constant(first, tf.int64)
        )
        self._times = self._following.with_values(tf.constant(times, tf.float32))

    def score(self, history: tf.Tensor) -> tf.Tensor:
        """Transition counts from the last column, float32 (batch, catalog_size), for int32 histories (batch, n)."""
        batch = tf.shape(history)[0]
        scores = tf.tile(self._popularity[None], [batch, 1])
        last = tf.pad(history, [[0, 0], [1, 0]])[:, -1] - FIRST_ITEM_ID
        known = tf.cast(tf.where(last >= 0)[:, 0], tf.int32)
        items = tf.gather(self._following, tf.gather(last, known))
        rows = tf.gather(known, tf.cast(items.value_rowids(), tf.int32))
        times = tf.gather(self._times, tf.gather(last, known)).values
        return tf.tensor_scatter_nd_add(scores, tf.stack([rows, items.values], axis=1), times)


def _train_transitions(spec: DatasetSpec) -> tuple[np.ndarray, np.ndarray]:
    """Columns of adjacent known items in the train histories, int64 (n,) each."""
    previous, following = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for batch in records.read(spec.paths("sequences", "train")).batch(4096):
        items = records.parse(batch, {"items": FeatureSpec("int64", (-1,))})["items"]
        values, rows = items.values.numpy() - FIRST_ITEM_ID, items.value_rowids().numpy()
        adjacent = (rows[1:] == rows[:-1]) & (values[1:] >= 0) & (values[:-1] >= 0)
        previous.append(values[:-1][adjacent])
        following.append(values[1:][adjacent])
    return np.concatenate(previous), np.concatenate(following)
