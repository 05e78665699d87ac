"""The log-loss of a label that is 0 or 1."""

import tensorflow as tf


def log_loss(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Negative log-likelihood of every label in nats; float32 of the shape of `logits`."""
    labels = tf.cast(labels, tf.float32)
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=tf.cast(logits, tf.float32))
