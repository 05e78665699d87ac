"""Learning rate over the steps of a run: a linear rise, then constant, or a decay to 0."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from tfrec_zoo.runs.run_config import TrainingConfig


def make_schedule(config: TrainingConfig, total_steps: int) -> float | LearningRateSchedule:
    """Learning rate of a run, step by step.

    Args:
        config: Its learning_rate, schedule and warmup_share are read.
        total_steps: Steps until a schedule that decays reaches 0.
    """
    peak, warmup = config.learning_rate, round(config.warmup_share * total_steps)
    after: float | LearningRateSchedule = peak
    if config.schedule == "cosine":
        after = keras.optimizers.schedules.CosineDecay(peak, max(total_steps - warmup, 1))
    elif config.schedule == "linear":
        after = keras.optimizers.schedules.PolynomialDecay(peak, max(total_steps - warmup, 1), 0.0)
    return WarmUp(peak, warmup, after) if warmup else after


@keras.saving.register_keras_serializable("tfrec_zoo")
class WarmUp(LearningRateSchedule):
    """Rises linearly from 0, then follows another schedule from its beginning.

    Args:
        peak: Rate at the end of the rise.
        steps: Steps of the rise; positive.
        after: Rate, or schedule, from then on.
    """

    def __init__(self, peak: float, steps: int, after: float | LearningRateSchedule) -> None:
        super().__init__()
        self.peak, self.steps, self.after = peak, steps, after

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        after = (
            self.after(ops.maximum(step - self.steps, 0.0))
            if isinstance(self.after, LearningRateSchedule)
            else self.after
        )
        return ops.where(step < self.steps, self.peak * step / self.steps, after)

    def get_config(self) -> dict[str, Any]:
        after = (
            keras.saving.serialize_keras_object(self.after)
            if isinstance(self.after, LearningRateSchedule)
            else self.after
        )
        return {"peak": self.peak, "steps": self.steps, "after": after}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WarmUp:
        after = config["after"]
        if isinstance(after, dict):
            after = keras.saving.deserialize_keras_object(after)
        return cls(config["peak"], config["steps"], after)
