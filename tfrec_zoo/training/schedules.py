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
    if config.schedule == "constant" and not warmup:
        return peak
    steps = max(total_steps - warmup, 1)
    after: LearningRateSchedule
    if config.schedule == "cosine":
        after = keras.optimizers.schedules.CosineDecay(peak, steps)
    else:
        end = 0.0 if config.schedule == "linear" else peak
        after = keras.optimizers.schedules.PolynomialDecay(peak, steps, end)
    return WarmUp(peak, warmup, after) if warmup else after


@keras.saving.register_keras_serializable("tfrec_zoo")
class WarmUp(LearningRateSchedule):
    """Rises linearly from 0, then follows another schedule from its beginning.

    Args:
        peak: Rate at the end of the rise.
        steps: Steps of the rise; positive.
        after: The schedule from then on; it starts at its own step 0.
    """

    def __init__(self, peak: float, steps: int, after: LearningRateSchedule) -> None:
        super().__init__()
        self.peak, self.steps, self.after = peak, steps, after

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        after = self.after(ops.maximum(step - self.steps, 0.0))
        return ops.where(step < self.steps, self.peak * step / self.steps, after)

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "steps": self.steps, "after": keras.saving.serialize_keras_object(self.after)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WarmUp:
        return cls(config["peak"], config["steps"], keras.saving.deserialize_keras_object(config["after"]))
