"""Evaluation over the whole catalogue: one scoring pass, the rank of every held-out target, all metrics from the ranks.

The rank is counted, not sorted: 1 + the items scored higher + half of the items scored equal. Nothing is sampled,
unless a sampled protocol is asked for to stand beside a paper. Users are scored in batches small enough that memory is
bounded whatever the catalogue's size. A user has one target in a leave-one-out or user split, and may have several in
the others: figures are means over targets, intervals draw users with all of theirs.
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
from tfrec_zoo.evaluation.sampled import Sampling, sampled_ranks
from tfrec_zoo.metrics.ranking import summarize
from tfrec_zoo.preprocessing.seen import leave_out

DEFAULT_KS = (1, 5, 10, 20, 50)
SCORE_BYTES = 32 * 2**20
"""Largest score matrix of a batch; the pass holds a few of this size at once."""
_LARGEST_BATCH = 256


class Scorer(Protocol):
    """Anything that scores the catalogue: a model of the zoo or a baseline."""

    def score(self, history: tf.Tensor) -> tf.Tensor:
        """Scores int32 histories (batch, n), right-aligned, as float32 (batch, catalog_size)."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What one scorer reached; arrays are in the order of the shards.

    Attributes:
        metrics: "ndcg@10", "hr@10", "mrr" and so on: means over the targets.
        users: int64 (targets,), the user of every target, numbered from 0.
        ranks: float64 (targets,), rank of every target; inf for an item without train rows.
        seconds: Wall time of the pass.
        targets: int32 (targets,), column of every target; negative for an item without train rows.
        history_lengths: int32 (targets,), earlier interactions of the user, none left out.
        history_popularity: float64 (targets,), mean train interactions of these items; NaN where none is known.
        recommended: int32 (targets, list_length), columns of the best items, best first; -1 where fewer are left. No
            columns without `list_length`.
    """

    metrics: Mapping[str, float]
    users: np.ndarray
    ranks: np.ndarray
    seconds: float
    targets: np.ndarray
    history_lengths: np.ndarray
    history_popularity: np.ndarray
    recommended: np.ndarray


class Evaluator:
    """Ranks every held-out target of a split among all items; made once, called after every change of the scorer.

    Args:
        scorer: The model or baseline.
        spec: The dataset.
        split: "valid" or "test".
        filter_seen: Leave the user's earlier items out of the ranking, all of them, however short the model's input is.
            The target itself is never left out.
        ks: Cut-offs, each from 1 to the catalogue's size; default: 1, 5, 10, 20, 50, as far as the catalogue reaches.
        batch_size: Users scored at once; default: 256, or fewer where their scores would take over `SCORE_BYTES`.
        list_length: Also keep every user's best items, as many as the catalogue has at most; 0 keeps none.
        sampled: Rank the target among drawn items only.
        batches: The split's targets, if another view than `sequences` holds them: as `sequences.evaluation_batches`
            gives them, with what the scorer reads as "history".

    Raises:
        ConfigError: A cut-off out of range.
        DataError: The split holds no target.
    """

    def __init__(
        self,
        scorer: Scorer,
        spec: DatasetSpec,
        *,
        split: str = "test",
        filter_seen: bool = False,
        ks: Sequence[int] | None = None,
        batch_size: int | None = None,
        list_length: int = 0,
        sampled: Sampling | None = None,
        batches: tf.data.Dataset | None = None,
    ) -> None:
        candidates = min(sampled.negatives + 1, spec.catalog_size) if sampled else spec.catalog_size
        if ks is None:
            ks = [k for k in DEFAULT_KS if k <= candidates]
        for k in ks:
            if not 1 <= k <= candidates:
                among = "the target is among" if sampled else "the catalogue has"
                raise ConfigError(f"k = {k} is out of range: {among} {candidates} items, so k is from 1 to that.")
        self.targets = spec.records("sequences" if batches is None else "interactions", split)
        if not self.targets:
            why = (
                "every user of the log has fewer than 3 items"
                if spec.split.protocol == "leave-one-out"
                else (f"the {spec.split.protocol} split gives it no event with an earlier one of the same user")
            )
            raise DataError(f"the {split} part of {spec.directory} holds no users: {why}.")
        self.ks = tuple(ks)
        self._scorer, self._spec, self._filter_seen = scorer, spec, filter_seen
        self._list_length, self._sampled = min(list_length, spec.catalog_size), sampled
        self._counts = tf.constant(spec.item_counts, tf.float64)
        self._log_weights = sampled.log_weights(spec) if sampled else None
        if batches is None:
            batches = evaluation_batches(spec, split, batch_size or users_at_once(spec.catalog_size))
        self._batches = batches
        # One trace for batches of every size and histories of every length.
        signature = [self._batches.element_spec, tf.TensorSpec([], tf.int64)]
        self._rank = tf.function(self._rank_batch, input_signature=signature)

    def __call__(self, progress: Callable[[int], None] | None = None) -> Evaluation:
        """Ranks every target once.

        Args:
            progress: Called with the number of targets of every batch done.

        Raises:
            EvaluationError: Scores that are not finite or not of the catalogue's width.
        """
        start, done = time.perf_counter(), 0
        parts: list[dict[str, np.ndarray]] = []
        for batch in records.explained(self._batches, self._spec):
            part = {name: tensor.numpy() for name, tensor in self._rank(batch, tf.constant(done, tf.int64)).items()}
            if not part.pop("finite"):
                raise EvaluationError(
                    "the model's scores hold NaN or infinity and cannot be ranked: its training diverged. Train "
                    "again with a lower training.learning_rate."
                )
            parts.append(part)
            done += len(part["ranks"])
            if progress:
                progress(len(part["ranks"]))
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        joined["users"] = np.unique(joined["users"], return_inverse=True)[1]
        return Evaluation(metrics=summarize(joined["ranks"], self.ks), seconds=time.perf_counter() - start, **joined)

    def _rank_batch(self, batch: Mapping[str, tf.Tensor], first_user: tf.Tensor) -> dict[str, tf.Tensor]:
        scores = tf.cast(self._scorer.score(batch["history"]), tf.float32)
        if scores.shape[1] != self._spec.catalog_size:
            raise EvaluationError(
                f"the model scores {scores.shape[1]} items, {self._spec.directory} has {self._spec.catalog_size}: it "
                "was trained on another dataset. Evaluate it on its own."
            )
        finite = tf.reduce_all(tf.math.is_finite(scores))
        target, seen = batch["target"], batch["seen"]
        if self._filter_seen:
            scores = leave_out_seen(scores, target, seen)
        if self._sampled:
            ranks = sampled_ranks(scores, target, self._draw(target, seen, first_user))
        else:
            ranks = target_ranks(scores, target)
        best = tf.math.top_k(scores, self._list_length)
        return {
            "finite": finite,
            "users": batch["user"],
            "ranks": ranks,
            "targets": target - FIRST_ITEM_ID,
            "history_lengths": tf.cast(seen.row_lengths(), tf.int32),
            "history_popularity": self._mean_popularity(seen),
            "recommended": tf.where(tf.math.is_finite(best.values), best.indices, -1),
        }

    def _draw(self, target: tf.Tensor, seen: tf.RaggedTensor, first_user: tf.Tensor) -> tf.Tensor:
        assert self._sampled is not None
        return self._sampled.draw(self._log_weights, first_user, tf.concat([seen, target[:, None]], axis=1))

    def _mean_popularity(self, seen: tf.RaggedTensor) -> tf.Tensor:
        known = tf.ragged.boolean_mask(seen, seen >= FIRST_ITEM_ID)
        # 0 / 0 is NaN: nothing is known of the user.
        return tf.reduce_mean(known.with_flat_values(tf.gather(self._counts, known.flat_values - FIRST_ITEM_ID)), 1)


def users_at_once(catalog_size: int) -> int:
    """Users of a batch whose scores fit into `SCORE_BYTES`; at least 1."""
    return max(1, min(_LARGEST_BATCH, SCORE_BYTES // (4 * catalog_size)))


def leave_out_seen(scores: tf.Tensor, target: tf.Tensor, seen: tf.RaggedTensor) -> tf.Tensor:
    """Masks the seen items of every row with minus infinity, the target excepted.

    Args:
        scores: float32 (batch, catalog_size).
        target: int32 (batch,), item ids; an id below 4 (OOV) names no item.
        seen: int32 (batch, None), item ids.

    Returns:
        Like `scores`.
    """
    return leave_out(scores, tf.ragged.boolean_mask(seen, seen != target[:, None]))


def target_ranks(scores: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Rank of every target among the items that may be recommended.

    Args:
        scores: float32 (batch, catalog_size), finite for every target; masked items have minus infinity.
        target: int32 (batch,), item ids; an id below 4 (OOV) ranks at infinity.

    Returns:
        float64 (batch,): 1 + items scored higher + half of the other items scored equal.
    """
    column = target - FIRST_ITEM_ID
    own = tf.gather(scores, tf.maximum(column, 0), batch_dims=1)[:, None]
    # count_nonzero holds a matrix of its dtype: 32 bits make it no larger than the scores.
    higher = tf.math.count_nonzero(scores > own, axis=1, dtype=tf.int32)
    equal = tf.math.count_nonzero(scores == own, axis=1, dtype=tf.int32) - 1
    rank = 1.0 + tf.cast(higher, tf.float64) + 0.5 * tf.cast(equal, tf.float64)
    return tf.where(column >= 0, rank, tf.constant(np.inf, tf.float64))
