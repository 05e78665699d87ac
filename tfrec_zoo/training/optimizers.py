"""Optimizer of a run: its kind, schedule, clipping, weight decay that spares biases and LayerNorm, averaged weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from tfrec_zoo.models.recommender import Recommender
from tfrec_zoo.runs.run_config import TrainingConfig
from tfrec_zoo.training.lazy_adam import LazyAdam
from tfrec_zoo.training.loss_scaling import LossScaling
from tfrec_zoo.training.row_wise_adagrad import RowWiseAdagrad
from tfrec_zoo.training.schedules import make_schedule
from tfrec_zoo.training.summed_gradients import SGD, Adam

_KINDS = {"adam": Adam, "lazy_adam": LazyAdam, "row_wise_adagrad": RowWiseAdagrad, "sgd": SGD}


def make_optimizer(config: TrainingConfig, total_steps: int) -> keras.optimizers.Optimizer:
    """The optimizer of a configuration; where training is in float16, it scales the loss.

    Args:
        config: The run's training configuration.
        total_steps: Steps of the whole run, for the schedule.
    """
    options: dict[str, Any] = {"learning_rate": make_schedule(config, total_steps), "global_clipnorm": config.clip_norm}
    if config.ema_momentum is not None:
        options |= {"use_ema": True, "ema_momentum": config.ema_momentum}
    if config.weight_decay:
        options["weight_decay"] = config.weight_decay
    optimizer = _KINDS[config.optimizer](**options)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return LossScaling(optimizer) if config.precision == "mixed_float16" else optimizer


@contextlib.contextmanager
def averaged_weights(model: Recommender) -> Iterator[None]:
    """Puts the moving average of the weights in their place for the length of a `with` block.

    The average over the last steps is what is validated and saved: a snapshot between two steps of a high learning rate
    is a matter of luck. Does nothing for an optimizer that keeps no average.

    Args:
        model: Compiled with the optimizer that trains it.
    """
    inner: Any = getattr(model.optimizer, "inner_optimizer", model.optimizer)  # of one that scales the loss
    if not inner.use_ema:
        yield
        return
    weights = [variable.numpy() for variable in model.optimized_variables]
    model.optimizer.finalize_variable_values(model.optimized_variables)
    try:
        yield
    finally:
        for variable, value in zip(model.optimized_variables, weights, strict=True):
            variable.assign(value)
