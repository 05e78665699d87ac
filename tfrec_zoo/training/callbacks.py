"""Callbacks for Keras users who train with `model.fit`."""

from __future__ import annotations

from typing import Any

import keras

from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.evaluation.evaluator import Evaluator


class RankingValidation(keras.callbacks.Callback):
    """Adds "val_ndcg@10" and "val_hr@10" over the whole catalogue to the logs of an epoch.

    Put it before EarlyStopping or ModelCheckpoint, which can then monitor them with mode="max".

    Args:
        spec: The dataset; its valid part is ranked.
        every: Epochs between two validations; between them the last figures are repeated.
        filter_seen: Leave seen items out of the ranking.
    """

    def __init__(self, spec: DatasetSpec, every: int = 1, filter_seen: bool = True) -> None:
        super().__init__()
        self.spec, self.every, self.filter_seen = spec, every, filter_seen
        self._evaluator: Evaluator | None = None
        self._metrics: dict[str, float] = {}

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._evaluator = Evaluator(
            self.model, self.spec, split="valid", filter_seen=self.filter_seen, ks=(min(10, self.spec.catalog_size),)
        )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._evaluator and (not self._metrics or (epoch + 1) % self.every == 0):
            self._metrics = {f"val_{name}": value for name, value in self._evaluator().metrics.items()}
        if logs is not None:
            logs.update(self._metrics)
