"""The training loop: the model's own `train_step` over endless batches of its feed, validation, the best kept.

Steps are a pure function of the configuration, the dataset and the step before: with the same variables at the same
step, a run that was interrupted goes on bit for bit as one that was not. TensorFlow's op determinism stays off: on CPU
equal runs have equal weights to the last bit without it.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec_zoo.data.records import PARALLEL_CALLS, WHOLE, Part, explained
from tfrec_zoo.data.sequences import TRAIN
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import TrainingError
from tfrec_zoo.models.recommender import Recommender
from tfrec_zoo.runs.run_config import TrainingConfig
from tfrec_zoo.training.checkpoints import Checkpoints, all_finite
from tfrec_zoo.training.feeds import feed_class, shown
from tfrec_zoo.training.non_finite import find_divergence
from tfrec_zoo.training.optimizers import averaged_weights
from tfrec_zoo.training.progress import TrainingProgress
from tfrec_zoo.training.scalars import Scalars
from tfrec_zoo.training.state import TrainingResult, TrainingState
from tfrec_zoo.training.strategy import DEFAULT, Distribution

_STEPS_BETWEEN_CHECKS = 10
"""Reading the loss waits for the device; once in so many steps of a worker costs nothing."""


class Trainer:
    """Trains a compiled model on a dataset.

    Args:
        model: Compiled with its optimizer.
        spec: The dataset.
        config: Batch size, epochs, windows, validation.
        seed: Of the data's order, windows and masks.
        split: "train", or "train+valid" for a refit.
        progress: Shows how it goes.
        checkpoints: Where the state and the best model go; nothing is saved without.
        distribution: Where it trains; the model was made in its strategy's scope. Default: on one device.
        scalars: Where the curves for TensorBoard go.

    Raises:
        ConfigError: The replicas cannot share a batch equally.
        DataError: Fewer records than workers that are to have their own.
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
        checkpoints: Checkpoints | None = None,
        distribution: Distribution | None = None,
        scalars: Scalars | None = None,
    ) -> None:
        self.model, self.spec, self.config, self.seed, self.split = model, spec, config, seed, split
        self._feed = feed_class(model)(model, spec)
        self.steps_per_epoch = steps_per_epoch(config, self._feed.records(spec))
        self._progress, self._checkpoints, self._scalars = progress, checkpoints, scalars
        self._distribution = where = distribution or Distribution.start(DEFAULT)
        self.local_model = where.local_model(model)
        where.check_batch_size(config.batch_size)
        by_file = config.sharding == "file" or (config.sharding == "auto" and not self._feed.is_small())
        self._part = Part(where.worker, where.workers) if by_file else WHOLE
        self._warm, self._saved_at, self._since = False, 0, 0.0
        self._recent_losses: list[Any] = []
        rows, own = config.batch_size // where.replicas, self._part.count > 1
        self._step = where.replicate(model.train_step, self.batches().element_spec, rows, own=own)

    @property
    def metric(self) -> str:
        """Name of the metric on valid that says which weights are best."""
        return self._feed.metric

    def batches(self, first_step: int = 0) -> tf.data.Dataset:
        """Endless (inputs, targets, weights) of the model, prepared beside the step: of all workers, or this one's.

        Args:
            first_step: Steps to skip, for a run that goes on.
        """
        rows = self.config.batch_size // self._part.count
        batches = self._feed.batches(self.config, rows, self.split, self.seed, first_step, self._part)
        return batches.map(self.model.training_inputs, num_parallel_calls=PARALLEL_CALLS).prefetch(4)

    def fit(self, state: TrainingState | None = None) -> TrainingResult:
        """Trains with validation and stops after `patience` validations without a better value of the feed's metric.

        Args:
            state: Where to go on, with the model restored to it; default: the start.

        Raises:
            DataError: A shard is damaged.
            TrainingError: The loss is not finite.
        """
        state = state or TrainingState()
        result, total = state.result, self.config.epochs * self.steps_per_epoch
        validate = self._feed.validation(self.local_model, self.config)
        followed = self._feed.metric.partition("@")[0]  # a small catalogue has fewer than the 10 places of a name
        for epoch, row in self._epochs(state, total):
            if epoch % self.config.validate_every and epoch != self.config.epochs:
                continue
            self._check_weights(state)
            with self.averaged() as model:
                metrics = self._distribution.share(dict(validate()) if self._distribution.is_chief else None)
                value = metrics[next(name for name in metrics if name.startswith(followed))]
                best = not value <= result.best_value
                if best or self.config.keep == "last":
                    result.best_step, result.best_value, state.waited = result.steps, value, 0
                    if self._checkpoints:
                        self._checkpoints.keep_best(model)
                else:
                    state.waited += 1
            result.history.append({**row, **{f"val_{name}": figure for name, figure in metrics.items()}})
            if self._scalars:
                self._scalars.write(result.steps, {f"val_{name}": figure for name, figure in metrics.items()})
            self._progress.validation(epoch, row["loss"], row["sequences_per_s"], shown(metrics), best)
            state.done = state.waited >= self.config.patience or result.steps >= total
            self._save(state)
        if self._checkpoints:
            self._checkpoints.finish_best()
        return result

    @contextlib.contextmanager
    def averaged(self) -> Iterator[Recommender]:
        """The model to validate and to save, with its averaged weights in place where the optimizer keeps some."""
        with averaged_weights(self.model):
            self._distribution.bring_home(self.model, self.local_model)
            yield self.local_model

    def fit_steps(self, steps: int, state: TrainingState | None = None) -> TrainingResult:
        """Trains a fixed number of steps without validation, as a refit does.

        The model ends with its weights as they are; `averaged` puts their average in place.

        Args:
            steps: Steps of the whole phase.
            state: Where to go on, with the model restored to it; default: the start.

        Raises:
            DataError: A shard is damaged.
            TrainingError: The loss is not finite.
        """
        state = state or TrainingState()
        for _, row in self._epochs(state, steps):
            state.result.history.append(row)
        state.result.best_step = state.result.steps
        if not state.done:
            state.done = True
            self._check_weights(state)
            self._save(state)
        return state.result

    def _epochs(self, state: TrainingState, steps: int) -> Iterator[tuple[int, dict[str, float]]]:
        """Trains up to `steps` steps; yields after every epoch, the last of which may be short."""
        result = state.result
        self._since, self._saved_at = time.perf_counter(), result.steps
        self._warm = False  # the first step, which compiles and fills the pipeline, has no say in the speed
        if not result.steps:
            self._save(state)  # a run has a checkpoint from its first step on
        batches = explained(self.batches(result.steps), self.spec)
        while result.steps < steps and not state.done:
            done = result.steps % self.steps_per_epoch
            if not done:  # the checkpoint of a run that stopped within an epoch holds its loss until there
                self.model.reset_metrics()
            seconds, records = result.training_seconds, result.records
            logs: dict[str, Any] = {}
            for left in reversed(range(min(self.steps_per_epoch - done, steps - result.steps))):
                logs = self._timed_step(batches, result)
                self._recent_losses.append(logs["loss"])
                if len(self._recent_losses) >= _STEPS_BETWEEN_CHECKS * self._distribution.steps_at_once:
                    self._check_losses(state)
                if left and self._is_due(result):
                    self._check_losses(state)
                    self._check_weights(state)
                    self._save(state)
            self._check_losses(state)
            loss = self._distribution.mean_loss(self.model, logs)
            epoch = math.ceil(result.steps / self.steps_per_epoch)
            seconds = result.training_seconds - seconds
            rate = (result.records - records) / seconds if seconds else 0.0
            self._progress.epoch(epoch, loss, rate)
            for warning in self.model.warnings():
                self._progress.note(warning)
            if self._scalars:
                # A constant rate is a variable, of which every replica has a copy.
                learning_rate = float(tf.convert_to_tensor(self.model.optimizer.learning_rate))
                self._scalars.write(
                    result.steps, {"loss": loss, "learning_rate": learning_rate, "sequences_per_s": rate}
                )
            yield epoch, {"epoch": epoch, "step": result.steps, "loss": loss, "sequences_per_s": rate}
            if self._is_due(result):
                self._check_weights(state)
                self._save(state)
        self._tick(result)

    def _timed_step(self, batches: Iterator[Any], result: TrainingResult) -> dict[str, Any]:
        start = time.perf_counter()
        batch = next(batches)
        ready = time.perf_counter()
        logs = self._step(batch)
        result.steps += 1
        if self._warm:
            result.training_seconds += time.perf_counter() - start
            result.data_wait_seconds += ready - start
            result.records += self.config.batch_size
        self._warm = True
        return logs

    def _whole_step(self, batch: Any) -> None:
        self._step(batch)
        self._distribution.join(self.model)

    def _is_due(self, result: TrainingResult) -> bool:
        return result.steps - self._saved_at >= self.config.save_every

    def _save(self, state: TrainingState) -> None:
        self._tick(state.result)
        self._saved_at = state.result.steps
        if self._checkpoints:
            self._checkpoints.save(self.model, state)

    def _tick(self, result: TrainingResult) -> None:
        now = time.perf_counter()
        result.seconds, self._since = result.seconds + now - self._since, now

    def _check_losses(self, state: TrainingState) -> None:
        start = time.perf_counter()
        self._distribution.join(self.model)
        # Each is the mean of its epoch so far: once it is not finite, it stays so until the epoch ends.
        losses, self._recent_losses = self._recent_losses, []
        last = float(losses[-1]) if losses else 0.0
        # Steps that a device or another machine still had to take end here.
        state.result.training_seconds += time.perf_counter() - start
        if not np.isfinite(last):
            bad = next(place for place, loss in enumerate(losses) if not np.isfinite(float(loss)))
            raise self._diverged(
                f"the loss became {float(losses[bad])}", state, state.result.steps - len(losses) + bad + 1
            )

    def _check_weights(self, state: TrainingState) -> None:
        # Finite losses come before weights that are not: the step that breaks them saw the weights of before.
        if not all_finite(self.model):
            raise self._diverged("weights are no longer finite", state, state.result.steps)

    def _diverged(self, what: str, state: TrainingState, step: int) -> TrainingError:
        """The error for a run whose step `step` is the first that shows something that is not finite."""
        details = ""
        checkpoint = self._checkpoints.latest() if self._checkpoints else None
        if self._checkpoints and checkpoint and checkpoint.state.phase == state.phase:
            checkpoint.restore(self.model)
            first = checkpoint.state.result.steps
            batches = explained(self.batches(first), self.spec)
            worker = self._distribution.worker  # each may have had rows of its own
            path = self._checkpoints.run.path / (f"bad_batch.worker-{worker}.npz" if worker else "bad_batch.npz")
            details = find_divergence(self.model, self._whole_step, batches, range(first + 1, step + 1), path)
        return TrainingError(
            f"{what} at step {step}{details}. Lower training.learning_rate or set training.clip_norm; the best model "
            "until then was kept."
        )


def steps_per_epoch(config: TrainingConfig, records: int) -> int:
    """Steps after which every one of so many training records was seen once."""
    return max(1, math.ceil(records / config.batch_size))
