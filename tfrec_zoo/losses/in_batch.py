"""Softmax of a user's item among the items of the batch, by TensorFlow Recommenders' retrieval task."""

from __future__ import annotations

import functools
from typing import Any

import tensorflow as tf

from tfrec_zoo.losses.tfrs import tensorflow_recommenders
from tfrec_zoo.replicas import gather_over_replicas, replica_index


def in_batch_softmax(
    users: tf.Tensor,
    items: tf.Tensor,
    item_ids: tf.Tensor,
    log_q: tf.Tensor | None,
    hard_negatives: int | None = None,
) -> tf.Tensor:
    """Cross-entropy of every row's item among the items of all rows, those with the same id left out.

    Items of all replicas are candidates, so that the loss is that of one device.

    Args:
        users: float32 (batch, dim).
        items: float32 (batch, dim), row by row the user's own; products are the logits.
        item_ids: int (batch,).
        log_q: float32 (batch,), logarithm of the probability that an item is drawn into a batch; it is subtracted from
            the item's logits, so that what is often drawn is not punished for it. None: no correction.
        hard_negatives: Only so many negatives with the highest logits count; None: all.

    Returns:
        float32 (batch,).

    Reference:
        Yi et al., Sampling-Bias-Corrected Neural Modeling, RecSys 2019, section 4.
    """
    own_first = -replica_index() * tf.shape(users)[0]

    def of_all(values: tf.Tensor) -> tf.Tensor:
        # The task takes the first candidates as the rows' own.
        return tf.roll(gather_over_replicas(values), own_first, axis=0)

    candidates, ids = of_all(items), of_all(item_ids)
    probabilities = None if log_q is None else tf.exp(of_all(log_q))
    task = _task(hard_negatives)

    @tf.function(autograph=True)  # the task's Python conditions on tensors need it, and Keras 3 traces without
    def loss() -> tf.Tensor:
        return task(
            users,
            candidates,
            candidate_sampling_probability=probabilities,
            candidate_ids=ids,
            compute_metrics=False,
            compute_batch_metrics=False,
        )

    return loss()


@functools.cache
def _task(hard_negatives: int | None) -> Any:
    package = tensorflow_recommenders()
    import tf_keras

    # One loss a row: what they are divided by is the matter of the training step, on one device and on many.
    rows = tf_keras.losses.CategoricalCrossentropy(from_logits=True, reduction=tf_keras.losses.Reduction.NONE)
    return package.tasks.Retrieval(loss=rows, num_hard_negatives=hard_negatives, remove_accidental_hits=True)
