"""Optimizer of a run: Adam with a warm-up and decay schedule, weight decay that spares biases and LayerNorm."""

from __future__ import annotations

import keras

from tfrec_zoo.runs.run_config import TrainingConfig


def make_schedule(config: TrainingConfig, total_steps: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Learning rate over the steps of a run.

    Args:
        config: Its learning_rate, schedule and warmup_share are read.
        total_steps: Steps until a cosine schedule reaches 0.
    """
    warmup = round(config.warmup_share * total_steps)
    if config.schedule == "constant" and not warmup:
        return config.learning_rate
    end = 0.0 if config.schedule == "cosine" else 1.0
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else config.learning_rate,
        decay_steps=max(total_steps - warmup, 1),
        alpha=end,
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )


def make_optimizer(config: TrainingConfig, total_steps: int) -> keras.optimizers.Optimizer:
    """Adam, or AdamW where the configuration has a weight decay.

    Args:
        config: The run's training configuration.
        total_steps: Steps of the whole run, for the schedule.
    """
    schedule = make_schedule(config, total_steps)
    if not config.weight_decay:
        return keras.optimizers.Adam(schedule, global_clipnorm=config.clip_norm)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=config.weight_decay, global_clipnorm=config.clip_norm)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
