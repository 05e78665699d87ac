"""InfoNCE between the users of a batch and their items, against the other items of the batch."""

import tensorflow as tf

from tfrec_zoo.replicas import gather_over_replicas, replica_index


def info_nce(users: tf.Tensor, items: tf.Tensor, item_ids: tf.Tensor, temperature: float) -> tf.Tensor:
    """Cross-entropy of every user's own item among all of the batch's items, by their cosine.

    Items of all replicas are candidates, so that the loss is that of one device. A candidate with the id of the user's
    own item is none: it would be a negative that is the positive.

    Args:
        users: float (batch, dim).
        items: float (batch, dim), row by row the user's own.
        item_ids: int (batch,).
        temperature: Divides the cosines.

    Returns:
        float32 (batch,).

    Reference:
        Li et al., IntTower, CIKM 2022, section 3.4, equation 9 (CIR).
    """
    users, items = (tf.nn.l2_normalize(tf.cast(side, tf.float32), axis=-1) for side in (users, items))
    candidates, ids = gather_over_replicas(items), gather_over_replicas(item_ids)
    logits = tf.matmul(users, candidates, transpose_b=True) / temperature
    rows = tf.shape(users)[0]
    own = tf.range(rows) + replica_index() * rows
    same = (item_ids[:, None] == ids[None]) & (own[:, None] != tf.range(tf.shape(ids)[0])[None])
    logits = tf.where(same, logits.dtype.min, logits)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=own, logits=logits)
