"""Sampled protocols: the target among a few drawn items, only to stand beside papers that were measured so.

Sampled metrics rank models differently than the whole catalogue does (Krichene and Rendle, On sampled metrics for item
recommendation, KDD 2020), so every result says how its candidates were drawn.
"""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec
from tfrec_zoo.errors import ConfigError

_LAWS = ("uniform", "popularity")


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How negatives are drawn: without replacement, never the target nor an item that the user has seen.

    Attributes:
        law: "uniform", or "popularity": in proportion to train interactions.
        negatives: Items drawn for every user; fewer where fewer are left.
        seed: Of the draws; a user's negatives are the same for every scorer and every batch size.
    """

    law: str
    negatives: int
    seed: int = 0

    @classmethod
    def parse(cls, text: str, seed: int = 0) -> Sampling:
        """Reads "uniform:100" or "popularity:100".

        Raises:
            ConfigError: Anything else.
        """
        match = re.fullmatch(r"(\w+):(\d+)", text)
        if not match or match[1] not in _LAWS or not int(match[2]):
            raise ConfigError(f"sampled candidates are uniform:N or popularity:N with N of 1 or more, not {text!r}.")
        return cls(match[1], int(match[2]), seed)

    def describe(self) -> str:
        """What the protocol says of the candidates."""
        return f"sampled: target and {self.negatives} {self.law} negatives, seed {self.seed}"

    def log_weights(self, spec: DatasetSpec) -> tf.Tensor:
        """Logarithm of every item's weight, float32 (catalog_size,)."""
        counts = np.asarray(spec.item_counts, np.float32)
        return tf.constant(np.log(counts) if self.law == "popularity" else np.zeros_like(counts))

    def draw(self, log_weights: tf.Tensor, first_user: tf.Tensor, excluded: tf.RaggedTensor) -> tf.Tensor:
        """Draws every user's negatives by the Gumbel top-k trick.

        Args:
            log_weights: float32 (catalog_size,).
            first_user: int64 (), place of the first row's user in the split.
            excluded: int32 (batch, None), item ids; reserved ids name no item.

        Returns:
            int32 (batch, negatives), columns; -1 where no item is left.
        """
        size = tf.shape(log_weights)[0]
        count = tf.minimum(self.negatives, size)

        def one(row: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            user, items = row
            noise = tf.random.stateless_uniform([size], tf.stack([tf.constant(self.seed, tf.int64), user]), 1e-30, 1.0)
            keys = log_weights - tf.math.log(-tf.math.log(noise))
            columns = tf.boolean_mask(items, items >= FIRST_ITEM_ID) - FIRST_ITEM_ID
            keys = tf.tensor_scatter_nd_update(keys, columns[:, None], tf.fill([tf.size(columns)], -np.inf))
            drawn = tf.math.top_k(keys, count)
            return tf.where(tf.math.is_finite(drawn.values), drawn.indices, -1)

        users = first_user + tf.range(excluded.nrows(), dtype=tf.int64)
        return tf.map_fn(one, (users, excluded), fn_output_signature=tf.TensorSpec([None], tf.int32))


def sampled_ranks(scores: tf.Tensor, target: tf.Tensor, negatives: tf.Tensor) -> tf.Tensor:
    """Rank of every target among its negatives, ties half; float64 (batch,), infinite for an OOV target.

    Args:
        scores: float32 (batch, catalog_size), finite.
        target: int32 (batch,), item ids.
        negatives: int32 (batch, n), columns; -1 is no item.
    """
    column = target - FIRST_ITEM_ID
    own = tf.gather(scores, tf.maximum(column, 0), batch_dims=1)[:, None]
    others = tf.gather(scores, tf.maximum(negatives, 0), batch_dims=1)
    drawn = negatives >= 0
    higher = tf.math.count_nonzero((others > own) & drawn, axis=1, dtype=tf.float64)
    equal = tf.math.count_nonzero((others == own) & drawn, axis=1, dtype=tf.float64)
    return tf.where(column >= 0, 1.0 + higher + 0.5 * equal, tf.constant(np.inf, tf.float64))
