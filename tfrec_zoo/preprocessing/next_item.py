"""Next-item training: at every position of a history, the item after it is the target."""

import tensorflow as tf

from tfrec_zoo.dataset_spec import PAD


def next_items(history: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
    """Shifts histories by one.

    Args:
        history: int32 (batch, length + 1), right-aligned.

    Returns:
        Inputs: "item_ids" int32 (batch, length), all but the newest items, and "positions" int32 (batch, length), all
        columns. Targets: int32 (batch, length). Weights: float32 (batch, length), 0 at PAD: the first item of a history
        has nothing before it.
    """
    item_ids, targets = history[:, :-1], history[:, 1:]
    positions = tf.broadcast_to(tf.range(tf.shape(item_ids)[1]), tf.shape(item_ids))
    return {"item_ids": item_ids, "positions": positions}, targets, tf.cast(item_ids != PAD, tf.float32)
