"""The training loop: the model's own `train_step` over endless batches, validation by ranking, the best kept."""

from __future__ import annotations

import csv
import dataclasses
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec_zoo.data.records import PARALLEL_CALLS
from tfrec_zoo.data.sequences import TRAIN, training_batches, training_records
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import TrainingError
from tfrec_zoo.evaluation.evaluator import Evaluator
from tfrec_zoo.models.recommender import Recommender
from tfrec_zoo.runs.run_config import TrainingConfig
from tfrec_zoo.training.optimizers import averaged_weights
from tfrec_zoo.training.progress import TrainingProgress

BEST_METRIC = "ndcg@10"


@dataclasses.dataclass
class TrainingResult:
    """What a run did.

    Attributes:
        steps: Steps trained.
        best_step: Step of the best validation; `steps` where nothing was validated.
        best_value: NDCG@10 on valid at that step; NaN where nothing was validated.
        seconds: Wall time of training and validation.
        training_seconds: Wall time of the steps alone, the first one (which compiles) left out.
        records: Records trained in `training_seconds`.
        data_wait_seconds: Part of `training_seconds` spent waiting for the next batch.
        history: One row a validated epoch.
    """

    steps: int = 0
    best_step: int = 0
    best_value: float = math.nan
    seconds: float = 0.0
    training_seconds: float = 0.0
    records: int = 0
    data_wait_seconds: float = 0.0
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)

    @property
    def sequences_per_s(self) -> float:
        """Trained records a second, validation and compilation left out."""
        return self.records / self.training_seconds if self.training_seconds else 0.0

    @property
    def data_wait_share(self) -> float:
        """Share of the training time in which the step waited for its batch."""
        return self.data_wait_seconds / self.training_seconds if self.training_seconds else 0.0


class Trainer:
    """Trains a compiled model on a dataset.

    Args:
        model: Compiled with its optimizer.
        spec: The dataset.
        config: Batch size, epochs, windows, validation.
        seed: Of the data's order, windows and masks.
        split: "train", or "train+valid" for a refit.
        progress: Shows how it goes.
    """

    def __init__(
        self,
        model: Recommender,
        spec: DatasetSpec,
        config: TrainingConfig,
        *,
        seed: int = 0,
        split: str = TRAIN,
        progress: TrainingProgress,
    ) -> None:
        self.model, self.spec, self.config, self.seed, self.split = model, spec, config, seed, split
        self.steps_per_epoch = steps_per_epoch(spec, config)
        self._progress = progress
        self._step = tf.function(model.train_step, reduce_retracing=True)

    def batches(self) -> tf.data.Dataset:
        """Endless (inputs, targets, weights) of the model, prepared beside the step."""
        batches = training_batches(
            self.spec,
            self.config.batch_size,
            self.model.history_length,
            split=self.split,
            windows=self.config.windows,
            seed=self.seed,
        )
        return batches.map(self.model.training_inputs, num_parallel_calls=PARALLEL_CALLS).prefetch(4)

    def fit(self, keep_best: Callable[[], None]) -> TrainingResult:
        """Trains with validation and stops after `patience` validations without a better NDCG@10.

        Args:
            keep_best: Called after every validation that is the best so far: saves the model.

        Raises:
            TrainingError: The loss is not finite.
        """
        evaluate = Evaluator(
            self.model,
            self.spec,
            split="valid",
            filter_seen=self.config.filter_seen,
            ks=(min(10, self.spec.catalog_size),),
        )
        result, start, waited = TrainingResult(), time.perf_counter(), 0
        for epoch, row in self._epochs(result, self.config.epochs * self.steps_per_epoch):
            if epoch % self.config.validate_every and epoch != self.config.epochs:
                continue
            with averaged_weights(self.model):
                metrics = evaluate().metrics
                value = metrics[next(name for name in metrics if name.startswith("ndcg"))]
                best = not value <= result.best_value
                if best:
                    result.best_step, result.best_value, waited = result.steps, value, 0
                    keep_best()
                else:
                    waited += 1
            result.history.append({**row, **{f"val_{name}": figure for name, figure in metrics.items()}})
            shown = {name: metrics[name] for name in metrics if name.startswith(("ndcg", "hr"))}
            self._progress.validation(epoch, row["loss"], row["sequences_per_s"], shown, best)
            if waited >= self.config.patience:
                break
        result.seconds = time.perf_counter() - start
        return result

    def fit_steps(self, steps: int) -> TrainingResult:
        """Trains a fixed number of steps without validation, as a refit does.

        The model ends with its weights as they are; `averaged_weights` puts their average in place.

        Raises:
            TrainingError: The loss is not finite.
        """
        result, start = TrainingResult(), time.perf_counter()
        for _, row in self._epochs(result, steps):
            result.history.append(row)
        result.best_step, result.seconds = result.steps, time.perf_counter() - start
        return result

    def _epochs(self, result: TrainingResult, steps: int) -> Iterator[tuple[int, dict[str, float]]]:
        """Trains up to `steps` steps; yields after every epoch, the last of which may be short."""
        batches = iter(self.batches())
        while result.steps < steps:
            self.model.reset_metrics()
            before = dataclasses.replace(result)
            logs: dict[str, Any] = {}
            for _ in range(min(self.steps_per_epoch, steps - result.steps)):
                logs = self._timed_step(batches, result)
            loss = float(logs["loss"])
            if not np.isfinite(loss):
                raise TrainingError(
                    f"the loss became {loss} in the epoch that ends at step {result.steps}. Lower "
                    "training.learning_rate or set training.clip_norm; the best model until then was kept."
                )
            epoch = math.ceil(result.steps / self.steps_per_epoch)
            seconds = result.training_seconds - before.training_seconds
            rate = (result.records - before.records) / seconds if seconds else 0.0
            self._progress.epoch(epoch, loss, rate)
            yield epoch, {"epoch": epoch, "step": result.steps, "loss": loss, "sequences_per_s": rate}

    def _timed_step(self, batches: Iterator[Any], result: TrainingResult) -> dict[str, Any]:
        start = time.perf_counter()
        batch = next(batches)
        ready = time.perf_counter()
        logs = self._step(batch)
        result.steps += 1
        if result.steps > 1:
            result.training_seconds += time.perf_counter() - start
            result.data_wait_seconds += ready - start
            result.records += self.config.batch_size
        return logs


def steps_per_epoch(spec: DatasetSpec, config: TrainingConfig) -> int:
    """Steps after which every training record was seen once."""
    return max(1, math.ceil(training_records(spec) / config.batch_size))


def write_history(rows: list[dict[str, float]], path: str | os.PathLike[str]) -> None:
    """Writes one CSV row a validated epoch."""
    if not rows:
        return
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[-1]))
        writer.writeheader()
        writer.writerows(rows)
