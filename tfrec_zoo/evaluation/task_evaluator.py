"""Evaluation of tasks: rank of the target-domain item among all of its domain, or how well classes are told apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf

from tfrec_zoo.data import profiles, records, transfer
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import DataError, EvaluationError
from tfrec_zoo.evaluation.evaluator import leave_out_seen, target_ranks
from tfrec_zoo.metrics.classification import accuracy, log_loss, macro_auc
from tfrec_zoo.metrics.ranking import per_user, with_equal_names
from tfrec_zoo.models.transfer_task import NEXT_ITEM, TaskConfig

_BATCH = 256


class TargetScorer(Protocol):
    """Anything that scores a task's targets: a task or a baseline."""

    def score(self, history: tf.Tensor) -> tf.Tensor:
        """Scores int32 histories (batch, n), right-aligned, as float32 (batch, targets)."""


@dataclasses.dataclass(frozen=True)
class TaskEvaluation:
    """What a scorer reached on a task.

    Attributes:
        metrics: Figures by name.
        each: The same of every record, float64 (records,); those that are means over records.
        users: int64 (records,), the user of every record, numbered from 0.
        left_out: Users whose class is missing or was never seen in train.
    """

    metrics: Mapping[str, float]
    each: Mapping[str, np.ndarray]
    users: np.ndarray
    left_out: int = 0


class TaskEvaluator:
    """Scores every held-out record of a task; made once, called after every change of the scorer.

    Args:
        scorer: The task or a baseline.
        spec: The dataset.
        config: The task.
        split: "valid" or "test".
        filter_seen: Leave what the user had of the target domain out of the ranking.
        ks: Cut-offs of the ranking; those beyond the number of targets are left out.

    Raises:
        DataError: The split has no records.
    """

    def __init__(
        self,
        scorer: TargetScorer,
        spec: DatasetSpec,
        config: TaskConfig,
        *,
        split: str = "test",
        filter_seen: bool = False,
        ks: Sequence[int] = (1, 5, 10, 20, 50),
    ) -> None:
        view = transfer.VIEW if config.kind == NEXT_ITEM else profiles.VIEW
        if not spec.records(view, split):
            raise DataError(f"{spec.directory} has no {split} records in the view {view}.")
        self._scorer, self._spec, self._config, self._filter_seen, self._ks = scorer, spec, config, filter_seen, ks
        if config.kind == NEXT_ITEM:
            self._batches = transfer.evaluation_batches(spec, split, _BATCH)
        else:
            self._batches = profiles.evaluation_batches(spec, str(config.label), split, _BATCH)
        self._score = tf.function(self._score_batch, input_signature=[self._batches.element_spec])

    def __call__(self) -> TaskEvaluation:
        """Scores every record once.

        Raises:
            EvaluationError: Scores that are not finite.
        """
        parts = []
        for batch in records.explained(self._batches, self._spec):
            part = {name: value.numpy() for name, value in self._score(batch).items()}
            if not np.isfinite(part["scores"]).all():
                raise EvaluationError(
                    "the task's scores hold NaN or infinity: its training diverged. Lower training.learning_rate."
                )
            parts.append(part)
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        users = np.unique(joined["user"], return_inverse=True)[1]
        if self._config.kind == NEXT_ITEM:
            each = per_user(joined["ranks"], [k for k in self._ks if k <= joined["targets"][0]])
            return TaskEvaluation(with_equal_names({name: float(v.mean()) for name, v in each.items()}), each, users)
        known = joined["class"] >= 0
        if not known.any():
            raise EvaluationError(f"no user of {self._spec.directory} has a known class of {self._config.label}.")
        logits, classes = joined["scores"][known], joined["class"][known]
        each = {"accuracy": accuracy(logits, classes), "logloss": log_loss(logits, classes)}
        metrics = {name: float(values.mean()) for name, values in each.items()}
        return TaskEvaluation({**metrics, "auc": macro_auc(logits, classes)}, each, users[known], int((~known).sum()))

    def _score_batch(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        scores = tf.cast(self._scorer.score(batch["history"]), tf.float32)
        if self._config.kind != NEXT_ITEM:
            return {"user": batch["user"], "class": batch["class"], "scores": scores}
        ranked = leave_out_seen(scores, batch["target"], batch["seen"]) if self._filter_seen else scores
        # The ranks alone leave the graph: a score matrix of all records would not fit into memory.
        largest = tf.reduce_max(tf.abs(scores), axis=1)
        width = tf.fill(tf.shape(batch["target"]), tf.shape(scores)[1])
        ranks = target_ranks(ranked, batch["target"])
        return {"user": batch["user"], "ranks": ranks, "scores": largest, "targets": width}


class TargetPopularity:
    """The baseline of both kinds: targets by how frequent they are in train, the same for every user."""

    def __init__(self, counts: np.ndarray) -> None:
        counts = np.asarray(counts, np.float64) + 1.0
        self._scores = tf.constant(np.log(counts / counts.sum()), tf.float32)

    def score(self, history: tf.Tensor) -> tf.Tensor:
        """Log frequency, float32 (batch, targets)."""
        return tf.tile(self._scores[None], [tf.shape(history)[0], 1])


def target_counts(spec: DatasetSpec, config: TaskConfig) -> np.ndarray:
    """Train records of every target; float64 (targets,)."""
    if config.kind == NEXT_ITEM:
        assert spec.target is not None
        return np.asarray(spec.target.item_counts, np.float64)
    classes = len(spec.vocabulary(str(config.label)))
    counts = np.zeros(classes)
    for batch in records.explained(profiles.evaluation_batches(spec, str(config.label), "train", 4096), spec):
        known = batch["class"].numpy()
        counts += np.bincount(known[known >= 0], minlength=classes)
    return counts
