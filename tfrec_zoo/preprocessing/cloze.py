"""The cloze task: some items of a history are hidden behind MASK and have to be named.

Reference: Sun et al., "BERT4Rec: Sequential Recommendation with Bidirectional Encoder Representations from
Transformer", CIKM 2019, section 3.6.
"""

from typing import NamedTuple

import tensorflow as tf

from tfrec_zoo.dataset_spec import MASK, PAD


class ClozeBatch(NamedTuple):
    """Masked histories with the hidden items.

    Attributes:
        item_ids: int32 (batch, length), MASK where an item is hidden.
        positions: int32 (batch, masks), columns of the hidden items; arbitrary where the weight is 0.
        targets: int32 (batch, masks), the hidden item ids.
        weights: float32 (batch, masks), 1 for a hidden item, 0 for an unused place.
    """

    item_ids: tf.Tensor
    positions: tf.Tensor
    targets: tf.Tensor
    weights: tf.Tensor


def cloze(
    history: tf.Tensor, mask_rate: float, masks_per_sequence: int | None, last_item_share: float, seed: tf.Tensor
) -> ClozeBatch:
    """Hides a random share of every row's items, or in some rows just the last one, as at prediction time.

    Every row with an item hides at least one; PAD is never hidden.

    Args:
        history: int32 (batch, length), right-aligned.
        mask_rate: Share of a row's items to hide, in (0, 1].
        masks_per_sequence: Upper bound of hidden items a row, at most `length`; default: none but `mask_rate`.
        last_item_share: Probability that a row hides exactly its last item.
        seed: int (2,); the same seed hides the same items.

    Returns:
        A `ClozeBatch`; masks is the largest number of items that some row hides.
    """
    batch, length = tf.shape(history)[0], tf.shape(history)[1]
    draws = tf.random.stateless_uniform((batch, length + 2), seed)
    real = history != PAD
    count = tf.math.count_nonzero(real, axis=1, dtype=tf.int32)

    # Stochastic rounding keeps the expected share exact for short rows too.
    hidden = tf.cast(mask_rate * tf.cast(count, tf.float32) + draws[:, -1], tf.int32)
    most = length if masks_per_sequence is None else tf.minimum(masks_per_sequence, length)
    hidden = tf.minimum(tf.clip_by_value(hidden, 1, most), count)
    last_only = (draws[:, -2] < last_item_share) & (count > 0)
    hidden = tf.where(last_only, 1, hidden)
    masks = tf.reduce_max(hidden)

    # The hidden columns are the real ones with the lowest draws; the last column is put first where it goes alone.
    priority = tf.where(real, draws[:, :length], 2.0)
    is_last = tf.range(length) == length - 1
    priority = tf.where(last_only[:, None] & is_last, -1.0, priority)
    positions = tf.argsort(priority, axis=1, stable=True)[:, :masks]
    used = tf.range(masks) < hidden[:, None]

    hits = tf.one_hot(tf.where(used, positions, -1), length, on_value=True, off_value=False, dtype=tf.bool)
    return ClozeBatch(
        item_ids=tf.where(tf.reduce_any(hits, axis=1), MASK, history),
        positions=positions,
        targets=tf.gather(history, positions, batch_dims=1),
        weights=tf.cast(used, tf.float32),
    )
