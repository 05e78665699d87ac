"""Losses of logits over the catalogue at places whose next item is known: likelihood, and distance in vector space."""

import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID


def negative_log_likelihood(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """-log p(target), in nats.

    Args:
        logits: float32 (batch, length, catalog_size); column j belongs to the item with id j + 4.
        targets: int (batch, length), item ids.

    Returns:
        float32 (batch, length); 0 where the target is no item.
    """
    columns = tf.maximum(targets - FIRST_ITEM_ID, 0)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=columns, logits=logits)
    return tf.where(targets >= FIRST_ITEM_ID, losses, 0.0)


def reconstruction(logits: tf.Tensor, targets: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
    """|| y_hat - y ||^2 of the targets' vectors y and the vectors y_hat that the softmax expects.

    The vectors are constants of it: otherwise it would be least where all items are alike.

    Args:
        logits: float32 (batch, length, catalog_size).
        targets: int (batch, length), item ids.
        vectors: float32 (4 + catalog_size, dim), of all ids.

    Returns:
        float32 (batch, length).
    """
    vectors = tf.stop_gradient(vectors)
    expected = tf.einsum("btn,nd->btd", tf.nn.softmax(logits), vectors[FIRST_ITEM_ID:])
    return tf.reduce_sum(tf.square(expected - tf.gather(vectors, targets)), axis=-1)
