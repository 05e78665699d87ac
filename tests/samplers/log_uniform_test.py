import numpy as np
import pytest
import tensorflow as tf

from tfrec_zoo.samplers import log_uniform


def test_probabilities_sum_to_one_and_match_the_draws() -> None:
    probability = np.exp(log_uniform.log_probability(tf.range(30), 30))
    assert abs(probability.sum() - 1) < 1e-5
    assert (np.diff(probability) < 0).all()
    drawn = log_uniform.sample(200_000, 30, tf.constant([0, 1])).numpy()
    np.testing.assert_allclose(np.bincount(drawn, minlength=30) / len(drawn), probability, atol=4e-3)


def test_equal_seeds_draw_alike() -> None:
    first, again, other = (log_uniform.sample(50, 1000, tf.constant([0, seed])).numpy() for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_every_item_of_a_large_catalogue_can_be_drawn() -> None:
    """In float32 there are fewer uniform numbers near 1 than items in the tail."""
    items = 1_000_000
    drawn = log_uniform.sample(4_000_000, items, tf.constant([3, 1])).numpy()
    tail = drawn[drawn >= items - 20_000]
    # Of n draws among 20,000 almost equally likely items, 20,000 (1 - exp(-n / 20,000)) are expected to differ.
    expected = 20_000 * (1 - np.exp(-len(tail) / 20_000))
    assert len(np.unique(tail)) == pytest.approx(expected, rel=0.05)
