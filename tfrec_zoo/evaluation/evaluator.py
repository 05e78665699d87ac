"""Evaluation over the whole catalogue: one scoring pass, the rank of every held-out target, all metrics from the ranks.

The rank is counted, not sorted: 1 + the items scored higher + half of the items scored equal. Nothing is sampled.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf

from tfrec_zoo.data import records
from tfrec_zoo.data.sequences import evaluation_batches
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec
from tfrec_zoo.errors import ConfigError, DataError, EvaluationError
from tfrec_zoo.metrics.ranking import summarize
from tfrec_zoo.preprocessing.seen import leave_out

DEFAULT_KS = (1, 5, 10, 20, 50)


class Scorer(Protocol):
    """Anything that scores the catalogue: a model of the zoo or a baseline."""

    def score(self, history: tf.Tensor) -> tf.Tensor:
        """Scores int32 histories (batch, n), right-aligned, as float32 (batch, catalog_size)."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What one scorer reached.

    Attributes:
        metrics: "ndcg@10", "hr@10", "mrr" and so on: means over the users.
        ranks: float64 (users,), rank of every target in the order of the shards; inf for an item without train rows.
        seconds: Wall time of the pass.
    """

    metrics: Mapping[str, float]
    ranks: np.ndarray
    seconds: float


class Evaluator:
    """Ranks every held-out target of a split among all items; made once, called after every change of the scorer.

    Args:
        scorer: The model or baseline.
        spec: The dataset.
        split: "valid" or "test".
        filter_seen: Leave the user's earlier items out of the ranking, all of them, however short the model's input is.
            The target itself is never left out.
        ks: Cut-offs, each from 1 to the catalogue's size; default: 1, 5, 10, 20, 50, as far as the catalogue reaches.
        batch_size: Users scored at once; memory is batch_size x catalogue floats.

    Raises:
        ConfigError: A cut-off out of range.
        DataError: The split holds no users.
    """

    def __init__(
        self,
        scorer: Scorer,
        spec: DatasetSpec,
        *,
        split: str = "test",
        filter_seen: bool = False,
        ks: Sequence[int] | None = None,
        batch_size: int = 256,
    ) -> None:
        if ks is None:
            ks = [k for k in DEFAULT_KS if k <= spec.catalog_size]
        for k in ks:
            if not 1 <= k <= spec.catalog_size:
                raise ConfigError(
                    f"k = {k} is out of range: the catalogue has {spec.catalog_size} items, so k is from 1 to that."
                )
        self.users = spec.records("sequences", split)
        if not self.users:
            raise DataError(
                f"the {split} part of {spec.directory} holds no users: every user of the log has fewer than 3 items."
            )
        self._scorer, self._spec, self._filter_seen, self._ks = scorer, spec, filter_seen, tuple(ks)
        self._batches = evaluation_batches(spec, split, batch_size)
        # One trace for batches of every size and histories of every length.
        self._rank = tf.function(self._rank_batch, input_signature=[self._batches.element_spec])

    def __call__(self, progress: Callable[[int], None] | None = None) -> Evaluation:
        """Scores every user once.

        Args:
            progress: Called with the number of users of every batch done.

        Raises:
            EvaluationError: Scores that are not finite or not of the catalogue's width.
        """
        start = time.perf_counter()
        ranks: list[np.ndarray] = []
        for batch in records.explained(self._batches, self._spec):
            batch_ranks, finite = self._rank(batch)
            if not finite:
                raise EvaluationError(
                    "the model's scores hold NaN or infinity and cannot be ranked: its training diverged. Train "
                    "again with a lower training.learning_rate."
                )
            ranks.append(batch_ranks.numpy())
            if progress:
                progress(len(ranks[-1]))
        joined = np.concatenate(ranks)
        return Evaluation(summarize(joined, self._ks), joined, time.perf_counter() - start)

    def _rank_batch(self, batch: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        scores = tf.cast(self._scorer.score(batch["history"]), tf.float32)
        if scores.shape[1] != self._spec.catalog_size:
            raise EvaluationError(
                f"the model scores {scores.shape[1]} items, {self._spec.directory} has {self._spec.catalog_size}: it "
                "was trained on another dataset. Evaluate it on its own."
            )
        ranks = target_ranks(scores, batch["target"], batch["seen"] if self._filter_seen else None)
        return ranks, tf.reduce_all(tf.math.is_finite(scores))


def target_ranks(scores: tf.Tensor, target: tf.Tensor, seen: tf.RaggedTensor | None = None) -> tf.Tensor:
    """Rank of every target among the items that may be recommended.

    Args:
        scores: float32 (batch, catalog_size), finite.
        target: int32 (batch,), item ids; an id below 4 (OOV) ranks at infinity.
        seen: int32 (batch, None), item ids to leave out, or None; the target is never left out.

    Returns:
        float64 (batch,): 1 + items scored higher + half of the other items scored equal.
    """
    batch = tf.shape(scores)[0]
    column = target - FIRST_ITEM_ID
    known = column >= 0
    place = tf.stack([tf.range(batch), tf.maximum(column, 0)], axis=1)
    own = tf.gather_nd(scores, place)
    if seen is not None:
        scores = leave_out(scores, seen)
        scores = tf.tensor_scatter_nd_update(scores, place, own)
    higher = tf.math.count_nonzero(scores > own[:, None], axis=1)
    equal = tf.math.count_nonzero(scores == own[:, None], axis=1) - 1
    rank = 1.0 + tf.cast(higher, tf.float64) + 0.5 * tf.cast(equal, tf.float64)
    return tf.where(known, rank, tf.constant(np.inf, tf.float64))
