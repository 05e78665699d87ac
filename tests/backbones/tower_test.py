import keras
import numpy as np
import pytest

from tfrec_zoo.backbones.tower import Tower

INPUTS = np.random.default_rng(0).normal(size=(64, 5)).astype(np.float32)


def built(**options: object) -> Tower:
    keras.utils.set_random_seed(0)
    tower = Tower((7, 4), **options)
    tower.build((None, 5))
    return tower


def test_every_layer_is_given() -> None:
    first, last = built()(INPUTS)
    assert first.shape == (64, 7)
    assert last.shape == (64, 4)
    assert np.min(first) == np.min(last) == 0


def test_a_linear_points_in_any_direction() -> None:
    tower = built(linear=True, dropout=0.5, batch_norm=False)
    first, last = tower(INPUTS)
    assert np.min(first) == 0
    np.testing.assert_allclose(last, tower._dense[-1](first), rtol=1e-5, atol=1e-5)
    assert np.min(last) < 0


@pytest.mark.parametrize("linear", [False, True])
def test_the_configuration_makes_the_same_tower(linear: bool) -> None:
    tower = built(linear=linear, batch_norm=False)
    again = Tower.from_config(tower.get_config())
    again.build((None, 5))
    again.set_weights(tower.get_weights())
    np.testing.assert_array_equal(again(INPUTS)[-1], tower(INPUTS)[-1])
    assert again.compute_output_shape((None, 5)) == [(None, 7), (None, 4)]
