"""Evaluation of labels: how well a model tells 1 from 0, within users too, and whether its probabilities are right."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf

from tfrec_zoo.data import records
from tfrec_zoo.data.interactions import LABEL, VIEW, evaluation_batches
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import DataError, EvaluationError
from tfrec_zoo.metrics import binary

_BATCH = 4096


class PointwiseScorer(Protocol):
    """Anything that gives a row of the view `interactions` a logit: a model or a baseline."""

    @property
    def features(self) -> Sequence[str]:
        """Names of the features that it reads."""

    @property
    def history_length(self) -> int:
        """Columns of the history."""

    def logits(self, batch: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Logits of the label: float32 (batch,)."""


@dataclasses.dataclass(frozen=True)
class PointwiseEvaluation:
    """What one scorer reached; arrays are in the order of the shards.

    Attributes:
        metrics: "auc", "gauc", "logloss", "calibration" (mean probability / mean label) and "ece".
        logits: float64 (rows,).
        labels: bool (rows,).
        users: int64 (rows,), numbered from 0.
    """

    metrics: Mapping[str, float]
    logits: np.ndarray
    labels: np.ndarray
    users: np.ndarray


class PointwiseEvaluator:
    """Scores every row of a split; made once, called after every change of the scorer.

    Args:
        scorer: The model or baseline.
        spec: The dataset.
        split: "valid" or "test".

    Raises:
        DataError: The split has no row.
    """

    def __init__(self, scorer: PointwiseScorer, spec: DatasetSpec, *, split: str = "test") -> None:
        if not spec.records(VIEW, split):
            raise DataError(f"{spec.directory} has no {split} rows in the view {VIEW}: the split left none.")
        names = list(dict.fromkeys([*scorer.features, "user", LABEL]))
        self._spec = spec
        self._batches = evaluation_batches(spec, split, _BATCH, scorer.history_length, features=names)
        self._score = tf.function(
            lambda batch: {"user": batch["user"], "label": batch[LABEL], "logit": scorer.logits(batch)},
            input_signature=[self._batches.element_spec],
        )

    def __call__(self) -> PointwiseEvaluation:
        """Scores every row once.

        Raises:
            EvaluationError: Scores that are not finite.
        """
        parts = [
            {name: value.numpy() for name, value in self._score(batch).items()}
            for batch in records.explained(self._batches, self._spec)
        ]
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        logits, labels = joined["logit"].astype(np.float64), joined["label"] > 0.5
        if not np.isfinite(logits).all():
            raise EvaluationError(
                "the model's scores hold NaN or infinity: its training diverged. Train again with a lower "
                "training.learning_rate."
            )
        users = np.unique(joined["user"], return_inverse=True)[1]
        return PointwiseEvaluation(binary.summarize(logits, labels, users), logits, labels, users)
