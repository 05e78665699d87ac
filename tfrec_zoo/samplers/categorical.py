"""Items drawn from logits by inverse transform: one uniform number a row chooses, so equal numbers choose alike."""

import math

import tensorflow as tf

from tfrec_zoo.errors import ConfigError


def draw(logits: tf.Tensor, uniforms: tf.Tensor, temperature: float = 1.0) -> tf.Tensor:
    """Draws a column of every row from softmax(logits / temperature).

    The distribution function is summed over blocks of columns first, then within the chosen block: cumulative sums
    over all columns would cost more than the exponentials.

    Args:
        logits: float32 (rows, columns).
        uniforms: float32 (rows,), uniform in [0, 1).
        temperature: Below 1 favours what is likely; 0 takes the likeliest column.

    Returns:
        int32 (rows,).

    Raises:
        ConfigError: The temperature is negative or not finite.
    """
    check_temperature(temperature)
    if temperature == 0:
        return tf.argmax(logits, axis=-1, output_type=tf.int32)
    columns = logits.shape[-1]
    width = math.ceil(math.sqrt(columns))
    blocks = math.ceil(columns / width)
    weights = tf.exp((logits - tf.reduce_max(logits, axis=-1, keepdims=True)) / temperature)
    weights = tf.reshape(tf.pad(weights, [[0, 0], [0, blocks * width - columns]]), (-1, blocks, width))
    mass = tf.reduce_sum(weights, axis=-1)
    until = tf.cumsum(mass, axis=-1)
    threshold = uniforms * until[:, -1]
    block = _place(until, threshold)
    before = tf.gather(until - mass, block, batch_dims=1)
    within = tf.cumsum(tf.gather(weights, block, batch_dims=1), axis=-1)
    return tf.minimum(block * width + _place(within, threshold - before), columns - 1)


def check_temperature(temperature: float) -> None:
    """Checks what `draw` divides by.

    Raises:
        ConfigError: It is negative or not finite.
    """
    if not 0 <= temperature < math.inf:
        raise ConfigError(f"a temperature is 0 (the likeliest item) or a positive number, not {temperature}.")


def _place(until: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
    """First column whose cumulative weight is above the threshold: int32 (rows,)."""
    passed = tf.reduce_sum(tf.cast(until <= threshold[:, None], tf.int32), axis=-1)
    return tf.minimum(passed, until.shape[-1] - 1)  # rounding may leave a threshold at the very end
