import numpy as np
import pytest
import tensorflow as tf

from tfrec_zoo.errors import ConfigError
from tfrec_zoo.samplers.categorical import draw


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_a_grid_of_uniform_numbers_gives_the_distribution(temperature: float) -> None:
    logits = np.random.default_rng(0).normal(size=37).astype(np.float32)
    n = 20_000
    columns = draw(np.tile(logits, (n, 1)), (np.arange(n) + 0.5).astype(np.float32) / n, temperature).numpy()
    wanted = np.exp(logits / temperature)
    wanted /= wanted.sum()
    np.testing.assert_allclose(np.bincount(columns, minlength=37) / n, wanted, atol=2 / n)
    assert (np.diff(columns) >= 0).all(), "the inverse of the distribution function"


def test_temperature_0_takes_the_likeliest() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 9)).astype(np.float32)
    np.testing.assert_array_equal(draw(logits, tf.zeros(5), 0.0), logits.argmax(axis=1))


def test_the_ends_of_the_interval_stay_within_the_columns() -> None:
    logits = np.zeros((2, 5), np.float32)
    almost_1 = np.nextafter(np.float32(1), np.float32(0))
    np.testing.assert_array_equal(draw(logits, np.array([0, almost_1], np.float32)), [0, 4])


@pytest.mark.parametrize("temperature", [-1.0, float("inf"), float("nan")])
def test_a_wrong_temperature_is_refused(temperature: float) -> None:
    with pytest.raises(ConfigError, match="temperature"):
        draw(tf.zeros((1, 2)), tf.zeros(1), temperature)
