"""How varied generated sequences are: what falls when a generator collapses to a few modes."""

import tensorflow as tf

_FEWER, _LOST_NATS = 0.5, 1.0
"""A generator has collapsed below this share of the real sequences' distinct-2, or so far below their entropy."""


def has_collapsed(distinct_2: float, real_distinct_2: float, entropy: float, real_entropy: float) -> bool:
    """Whether what was generated is so much less varied than what is real that the generator has collapsed."""
    return distinct_2 < _FEWER * real_distinct_2 or real_entropy - entropy > _LOST_NATS


def distinct(sequences: tf.Tensor, n: int = 2) -> tf.Tensor:
    """Share of different ones among all n-grams.

    Args:
        sequences: int (batch, length).
        n: Items of an n-gram, at most `length`.

    Returns:
        float32 (), in (0, 1]; 0 of no sequences.

    Reference:
        Li et al., A Diversity-Promoting Objective Function, NAACL 2016, section 5.
    """
    grams = tf.stack([sequences[:, place : sequences.shape[1] - n + 1 + place] for place in range(n)], axis=-1)
    grams = tf.strings.reduce_join(tf.strings.as_string(tf.reshape(grams, (-1, n))), axis=-1, separator=" ")
    different, all_of_them = tf.size(tf.unique(grams).y), tf.size(grams)
    return tf.math.divide_no_nan(tf.cast(different, tf.float32), tf.cast(all_of_them, tf.float32))


def loops(sequences: tf.Tensor) -> tf.Tensor:
    """Which sequences have an item three times in a row.

    Args:
        sequences: int (batch, length).

    Returns:
        bool (batch,).
    """
    again = sequences[:, 1:] == sequences[:, :-1]
    return tf.reduce_any(again[:, 1:] & again[:, :-1], axis=1)


def entropy(sequences: tf.Tensor) -> tf.Tensor:
    """Entropy of the distribution of items over all places, in nats.

    Args:
        sequences: int (batch, length).

    Returns:
        float32 (): 0 where there is one item alone, log(n) for n equally frequent ones.
    """
    counts = tf.unique_with_counts(tf.reshape(sequences, [-1])).count
    shares = counts / tf.reduce_sum(counts)
    return tf.cast(-tf.reduce_sum(shares * tf.math.log(shares)), tf.float32)
