"""What every model's input goes through, in training and in the exported graph alike: one history, right-aligned.

Ids are those of DATA: 0 PAD, 1 OOV, 2 MASK, 3 CLS, items from 4. Dense TensorFlow ops only, batch first, so that the
same lines run in a tf.data pipeline and in a SavedModel.
"""

import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, PAD


def right_align(item_ids: tf.Tensor, length: int | None = None) -> tf.Tensor:
    """Moves the known items of every row to the right, in their order, PAD on the left.

    Everything that is no known item (PAD wherever it stands, OOV, MASK, CLS) is left out.

    Args:
        item_ids: int (batch, n), oldest first.
        length: Columns of the result; the latest items are kept. Default: n.

    Returns:
        The same dtype (batch, length).
    """
    known = item_ids >= FIRST_ITEM_ID
    order = tf.argsort(tf.cast(known, tf.int32), axis=1, stable=True)
    aligned = tf.gather(tf.where(known, item_ids, PAD), order, batch_dims=1)
    return aligned if length is None else latest(aligned, length)


def latest(history: tf.Tensor, length: int) -> tf.Tensor:
    """Cuts a right-aligned history to its last columns, or pads it on the left.

    Args:
        history: int (batch, n), right-aligned.
        length: Columns of the result.

    Returns:
        The same dtype (batch, length).
    """
    missing = tf.maximum(length - tf.shape(history)[1], 0)
    padded = tf.pad(history, [[0, 0], [missing, 0]], constant_values=PAD)
    kept = padded[:, tf.shape(padded)[1] - length :]
    return tf.ensure_shape(kept, (history.shape[0], length))


def seed_of(history: tf.Tensor) -> tf.Tensor:
    """A seed that a history determines, whatever its padding and the rest of the batch: int64 (batch,).

    Args:
        history: int (batch, n), right-aligned.
    """
    weights = tf.range(1, tf.shape(history)[1] + 1, dtype=tf.int64)
    return tf.reduce_sum(tf.cast(history, tf.int64) * weights[::-1], axis=1)  # PAD adds nothing


def append_token(history: tf.Tensor, token: int) -> tf.Tensor:
    """Appends a special id (MASK or CLS) after the newest item.

    Args:
        history: int (batch, length), right-aligned.
        token: The id to append.

    Returns:
        The same dtype (batch, length + 1).
    """
    return tf.pad(history, [[0, 0], [0, 1]], constant_values=token)


def random_windows(history: tf.Tensor, length: int, seed: tf.Tensor) -> tf.Tensor:
    """Cuts from every row a contiguous window of `length` items at a uniformly random place.

    Rows with at most `length` items are kept whole, so every window is full or complete.

    Args:
        history: int (batch, n), right-aligned.
        length: Columns of the result.
        seed: int (2,); the same seed cuts the same windows.

    Returns:
        The same dtype (batch, length).
    """
    count = tf.math.count_nonzero(history != PAD, axis=1, dtype=tf.int32)
    spare = tf.maximum(count - length, 0)
    draw = tf.random.stateless_uniform(tf.shape(spare), seed)
    skipped = tf.minimum(tf.cast(draw * tf.cast(spare + 1, tf.float32), tf.int32), spare)
    # With `length` columns of PAD in front, the latest window of any history starts at column n.
    padded = tf.pad(history, [[0, 0], [length, 0]], constant_values=PAD)
    first = tf.shape(history)[1] - skipped
    return tf.gather(padded, first[:, None] + tf.range(length), batch_dims=1)
