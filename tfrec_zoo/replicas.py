"""What the copies of a model that train beside one another (tf.distribute) have to agree on."""

from __future__ import annotations

from typing import TypeVar

import keras
import tensorflow as tf

Values = TypeVar("Values")


def sum_over_replicas(values: Values) -> Values:
    """Sums tensors, or gradients of either kind, over the replicas of a step; elsewhere they stay as they are.

    Args:
        values: A tensor, or a list of tensors and tf.IndexedSlices. The rows of slices are joined, not added up.
    """
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return values
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, values)


def gather_over_replicas(values: tf.Tensor) -> tf.Tensor:
    """Joins the rows of all replicas of a step, in their order; elsewhere they stay as they are. Has a gradient."""
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return values
    return replica.all_gather(values, axis=0)


def replica_index() -> tf.Tensor:
    """Which of the replicas of a step this is, from 0; int32 ()."""
    replica = tf.distribute.get_replica_context()
    return tf.zeros((), tf.int32) if replica is None else tf.cast(replica.replica_id_in_sync_group, tf.int32)


def update_mean(mean: keras.metrics.Mean, value: tf.Tensor, weight: tf.Tensor) -> None:
    """Adds a scalar to a running mean, on replicas that take a step together and on workers that don't.

    Keras reads a sum, adds, and writes it back: what another worker of a parameter server adds in between is lost.
    """
    if isinstance(tf.distribute.get_strategy(), tf.distribute.ParameterServerStrategy):
        mean.total.value.assign_add(value * weight)
        mean.count.value.assign_add(weight)
    else:
        mean.update_state(value, sample_weight=weight)


def uniforms_of_rows(seed: tf.Tensor, steps: tf.Tensor | int, rows: tf.Tensor | int) -> tf.Tensor:
    """Uniform numbers in [0, 1) for the rows of this replica; the same for a row of the batch on however many replicas.

    Args:
        seed: int (2,), equal on all replicas.
        steps: Numbers a row.
        rows: Rows of this replica, as many as on the others.

    Returns:
        float32 (steps, rows).
    """
    replica = tf.distribute.get_replica_context()
    count = 1 if replica is None else replica.num_replicas_in_sync
    numbers = tf.random.stateless_uniform((steps, count * rows), seed)
    first = replica_index() * rows
    return numbers[:, first : first + rows]
