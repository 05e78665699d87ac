"""Leaving items out of a score matrix, in evaluation and in the exported graph alike."""

import numpy as np
import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID


def leave_out(scores: tf.Tensor, item_ids: tf.Tensor | tf.RaggedTensor) -> tf.Tensor:
    """Sets the scores of some items of every row to minus infinity.

    Args:
        scores: float (batch, catalog_size); column j belongs to the item with id j + 4.
        item_ids: int32 (batch, n), dense or ragged; reserved ids (PAD, OOV...) name no item.

    Returns:
        Like `scores`.
    """
    if isinstance(item_ids, tf.RaggedTensor):
        rows, flat = tf.cast(item_ids.value_rowids(), tf.int32), item_ids.values
    else:
        shape = tf.shape(item_ids)
        rows, flat = tf.repeat(tf.range(shape[0]), shape[1]), tf.reshape(item_ids, [-1])
    places = tf.boolean_mask(tf.stack([rows, flat - FIRST_ITEM_ID], axis=1), flat >= FIRST_ITEM_ID)
    return tf.tensor_scatter_nd_update(
        scores, places, tf.fill([tf.shape(places)[0]], tf.constant(-np.inf, scores.dtype))
    )
