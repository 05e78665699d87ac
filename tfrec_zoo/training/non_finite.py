"""Where a training run stopped being finite: the step, the batch, and the parameter or gradient that went first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfrec_zoo.models.recommender import Recommender


def find_divergence(
    model: Recommender, train_step: Callable[[Any], Any], batches: Iterator[Any], steps: range, path: Path
) -> str:
    """Repeats the steps after a checkpoint and looks closely at the last two of them.

    What a loss shows at one step may have been done to the weights by the gradient of the step before.

    Args:
        model: Restored to the state before the first of the steps; it is of no use afterwards.
        train_step: Trains on one batch.
        batches: One a step.
        steps: Numbers of the steps; the last one showed a loss or a weight that is not finite.
        path: Where the offending batch goes (.npz).

    Returns:
        The rest of a sentence: what went first, and where the batch is; empty when repeating the steps showed nothing.
    """
    for step in steps:
        batch = next(batches)
        found = first_non_finite(model, batch) if step >= steps[-1] - 1 else ""
        if found:
            text = f": {found}" if step == steps[-1] else f": {found}, a step earlier"
            try:
                save_batch(batch, path)
            except OSError as error:
                return f"{text}; the batch could not be saved: {error.strerror}"
            return f"{text}; the batch is in {path}"
        train_step(batch)
    return ""


def first_non_finite(model: Recommender, batch: Any) -> str:
    """Says what is not finite when the model trains on a batch; empty when everything is.

    Args:
        model: Its weights stay as they are, and so do the states of its random generators.
        batch: (inputs, targets, weights) as `training_inputs` makes them.
    """
    weights = model.trainable_variables
    for weight in weights:
        if not _finite(weight):
            return f"the weight {weight.path} was the first that is not finite"
    kept = [(variable, variable.numpy().copy()) for variable in model.non_trainable_variables]
    inputs, targets, target_weights = keras.utils.unpack_x_y_sample_weight(batch)
    with tf.GradientTape() as tape:
        losses = model.target_losses(inputs, targets, True) * target_weights
        loss = tf.math.divide_no_nan(tf.reduce_sum(losses), tf.reduce_sum(target_weights))
    gradients = tape.gradient(loss, weights)
    for variable, value in kept:
        variable.assign(value)
    # From the loss backwards: the last layers' gradients are the first to break.
    broken = [
        weight.path
        for weight, gradient in zip(weights, gradients, strict=True)
        if gradient is not None and not _finite(gradient)
    ]
    if not _finite(loss):
        largest = max(weights, key=lambda weight: float(tf.reduce_max(tf.abs(weight))))
        size = float(tf.reduce_max(tf.abs(largest)))
        return (
            f"all weights were finite and the forward pass was not; the largest weight is {largest.path} ({size:.3g})"
        )
    if broken:
        return f"the gradient of {broken[-1]} was the first that is not finite"
    return ""


def save_batch(batch: Any, path: Path) -> None:
    """Saves a nested batch as arrays named after their places, such as "inputs/item_ids".

    Raises:
        OSError: The file cannot be written.
    """
    inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(batch)
    arrays: dict[str, Any] = dict(_arrays({"inputs": inputs, "targets": targets, "weights": weights}, ""))
    np.savez(path, **arrays)


def _arrays(values: Any, name: str) -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from _arrays(value, f"{name}/{key}" if name else str(key))
    elif isinstance(values, Sequence):
        for place, value in enumerate(values):
            yield from _arrays(value, f"{name}/{place}")
    elif values is not None:
        yield name, np.asarray(values)


def _finite(values: Any) -> bool:
    values = values.values if isinstance(values, tf.IndexedSlices) else values
    return bool(tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(values))))
