"""Items drawn row by row, each row with a temperature, a nucleus and random numbers of its own.

The Gumbel-max trick draws: the largest of logits / temperature + noise is distributed as their softmax. It needs no
sums over the columns, in which the rounding of other batch sizes would add up, and no division at temperature 0.
"""

import tensorflow as tf

_TINY = 2.0**-126
"""The least normal float32: above 0 for logarithms and divisions."""


def draw_rows(logits: tf.Tensor, temperature: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """Draws a column of every row from softmax(logits / temperature).

    Args:
        logits: float32 (rows, columns); minus infinity where a column must not be drawn.
        temperature: float32 (rows,), finite; below 1 favours what is likely, 0 takes the likeliest column.
        noise: float32 (rows, columns), as of `gumbel_noise`.

    Returns:
        int32 (rows,); -1 where no column may be drawn.
    """
    # Both sides times min(temperature, 1): neither end of the temperatures overflows.
    hot, cold = tf.maximum(temperature, 1.0)[:, None], tf.minimum(temperature, 1.0)[:, None]
    columns = tf.argmax(logits / hot + cold * noise, axis=1, output_type=tf.int32)
    return tf.where(tf.reduce_any(logits > float("-inf"), axis=1), columns, -1)


def nucleus(logits: tf.Tensor, temperature: tf.Tensor, top_p: tf.Tensor) -> tf.Tensor:
    """Leaves the likeliest columns that together have a share `top_p` of the probability; ties at the end all stay.

    Args:
        logits: float32 (rows, columns), perhaps with minus infinity.
        temperature: float32 (rows,), of the softmax that the share is one of; 0 leaves the likeliest column.
        top_p: float32 (rows,), above 0; 1 leaves every column.

    Returns:
        Like `logits`, minus infinity outside of the nucleus.

    Reference:
        Holtzman et al., "The Curious Case of Neural Text Degeneration", ICLR 2020, section 3.1.
    """
    lowest = tf.maximum(temperature, _TINY)[:, None]
    best = tf.reduce_max(logits, axis=1, keepdims=True)
    weights = tf.exp((logits - tf.where(tf.math.is_finite(best), best, 0.0)) / lowest)
    ordered = tf.sort(weights, axis=1, direction="DESCENDING")
    share = top_p[:, None] * tf.reduce_sum(ordered, axis=1, keepdims=True)
    inside = tf.cumsum(ordered, axis=1, exclusive=True) < share
    least = tf.reduce_min(tf.where(inside, ordered, float("inf")), axis=1, keepdims=True)
    return tf.where((top_p[:, None] >= 1.0) | (weights >= least), logits, float("-inf"))


def gumbel_noise(seeds: tf.Tensor, columns: int) -> tf.Tensor:
    """Standard Gumbel numbers, every row from its own seed alone.

    Args:
        seeds: int64 (rows, 2).
        columns: Numbers a row.

    Returns:
        float32 (rows, columns).
    """

    def row(seed: tf.Tensor) -> tf.Tensor:
        uniforms = tf.random.stateless_uniform([columns], seed, minval=_TINY, maxval=1.0, alg="philox")
        return -tf.math.log(-tf.math.log(uniforms))

    return tf.map_fn(row, seeds, fn_output_signature=tf.TensorSpec((columns,), tf.float32))
