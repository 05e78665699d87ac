"""Optimizer of a run: Adam, weight decay that spares biases and LayerNorm, averaged weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from tfrec_zoo.runs.run_config import TrainingConfig
from tfrec_zoo.training.schedules import make_schedule


def make_optimizer(config: TrainingConfig, total_steps: int) -> keras.optimizers.Optimizer:
    """Adam, or AdamW where the configuration has a weight decay.

    Args:
        config: The run's training configuration.
        total_steps: Steps of the whole run, for the schedule.
    """
    options: dict[str, Any] = {"learning_rate": make_schedule(config, total_steps), "global_clipnorm": config.clip_norm}
    if config.ema_momentum is not None:
        options |= {"use_ema": True, "ema_momentum": config.ema_momentum}
    if not config.weight_decay:
        return keras.optimizers.Adam(**options)
    optimizer = keras.optimizers.AdamW(weight_decay=config.weight_decay, **options)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


@contextlib.contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Puts the moving average of the weights in their place for the length of a `with` block.

    The average over the last steps is what is validated and saved: a snapshot between two steps of a high learning rate
    is a matter of luck. Does nothing for an optimizer that keeps no average.

    Args:
        model: Compiled with the optimizer that trains it.
    """
    if not model.optimizer.use_ema:
        yield
        return
    weights = [variable.numpy() for variable in model.trainable_variables]
    model.optimizer.finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, weights, strict=True):
            variable.assign(value)
