"""Length bucketing: histories of similar length share a batch, which is then only as wide as they need."""

import tensorflow as tf

from tfrec_zoo.dataset_spec import PAD

POOL_BATCHES = 16
"""Batches whose histories are sorted together: the more, the less padding and the less random the batches."""


def deal_by_length(history: tf.Tensor, batches: int, buckets: int, seed: tf.Tensor) -> tf.Tensor:
    """Deals a pool of histories out to batches so that most batches hold histories of one length bucket.

    Bucket k of K holds the histories of up to k / K of the columns. Within a bucket chance decides, and the batches
    come in a random order.

    Args:
        history: int (batches * batch, length), right-aligned.
        batches: Number of batches.
        buckets: Number K of buckets.
        seed: int (2,); the same seed deals the same batches.

    Returns:
        int32 (batches, batch): rows of `history`, each once.
    """
    rows, length = tf.shape(history)[0], tf.shape(history)[1]
    draws = tf.random.stateless_uniform((rows + batches,), seed)
    bucket = tf.cast(_bucket(_items(history), length, buckets), tf.float32)
    dealt = tf.reshape(tf.argsort(bucket + draws[:rows]), (batches, -1))
    return tf.gather(dealt, tf.argsort(draws[rows:]))


def narrow(history: tf.Tensor, buckets: int) -> tf.Tensor:
    """Cuts a batch to the width of the bucket of its longest history.

    Args:
        history: int (batch, length), right-aligned.
        buckets: Number of widths: length / buckets, 2 length / buckets, ..., length, rounded up.

    Returns:
        The same dtype (batch, width); what is cut off is PAD.
    """
    length = tf.shape(history)[1]
    bucket = _bucket(tf.reduce_max(_items(history)), length, buckets)
    return history[:, length - _ceil_div(bucket * length, buckets) :]


def _items(history: tf.Tensor) -> tf.Tensor:
    return tf.math.count_nonzero(history != PAD, axis=1, dtype=tf.int32)


def _bucket(count: tf.Tensor, length: tf.Tensor, buckets: int) -> tf.Tensor:
    """The lowest k in 1 .. buckets whose width, k * length / buckets rounded up, holds `count` columns."""
    return tf.clip_by_value(_ceil_div((count - 1) * buckets + 1, length), 1, buckets)


def _ceil_div(number: tf.Tensor, by: tf.Tensor | int) -> tf.Tensor:
    return -(-number // by)
