import numpy as np
import pytest
import tensorflow as tf

from tfrec_zoo.errors import ConfigError
from tfrec_zoo.layers.pooled_convolutions import PooledConvolutions


def test_it_equals_convolutions() -> None:
    layer = PooledConvolutions([1, 3, 5], [2, 4, 3])
    vectors = np.random.default_rng(0).normal(size=(6, 5, 4)).astype(np.float32)
    found = layer(vectors)
    layer.bias.assign(np.linspace(-1, 1, 9))
    found, pooled = layer(vectors), []
    for width, kernel in zip((1, 3, 5), layer.kernels, strict=True):
        pooled.append(tf.reduce_max(tf.nn.conv1d(vectors, tf.reshape(kernel, (width, 4, -1)), 1, "VALID"), axis=1))
    np.testing.assert_allclose(found, tf.nn.relu(tf.concat(pooled, 1) + layer.bias), rtol=1e-4, atol=1e-5)


def test_filters_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="2 widths"):
        PooledConvolutions([1, 2], [8])
    with pytest.raises(ConfigError, match="6 places do not fit a sequence of 5"):
        PooledConvolutions([6], [2]).build((None, 5, 4))
