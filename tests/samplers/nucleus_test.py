import numpy as np
import pytest
import tensorflow as tf

from tfrec_zoo.samplers.nucleus import draw_rows, gumbel_noise, nucleus

NOTHING = float("-inf")


def seeds(rows: int) -> tf.Tensor:
    return tf.stack([tf.range(rows, dtype=tf.int64), tf.zeros(rows, tf.int64)], axis=1)


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_draws_follow_the_softmax(temperature: float) -> None:
    logits = np.random.default_rng(0).normal(size=7).astype(np.float32)
    rows = 20_000
    noise = tf.function(gumbel_noise)(seeds(rows), 7)
    columns = draw_rows(np.tile(logits, (rows, 1)), tf.fill((rows,), temperature), noise).numpy()
    np.testing.assert_allclose(np.bincount(columns, minlength=7) / rows, softmax(logits / temperature), atol=0.015)


def test_every_row_has_its_own_temperature_and_what_is_barred_is_never_drawn() -> None:
    logits = np.array([[0, 2, 1], [0, NOTHING, 1], [NOTHING] * 3, [0, 2, NOTHING]], np.float32)
    noise = np.array([[50, 0, 0]] * 4, np.float32)
    columns = draw_rows(logits, np.array([0, 0, 1, 3e38], np.float32), noise).numpy()
    assert columns.tolist() == [1, 2, -1, 0]


def test_noise_of_a_row_depends_on_its_seed_alone() -> None:
    noise = gumbel_noise(seeds(5), 100).numpy()
    np.testing.assert_array_equal(gumbel_noise(seeds(5)[3:4], 100)[0], noise[3])
    assert np.isfinite(noise).all()
    assert len(np.unique(noise)) > 490
    assert abs(noise.mean() - np.euler_gamma) < 0.2


def test_the_nucleus_is_the_smallest_likeliest_set_of_the_share() -> None:
    shares = np.array([0.05, 0.4, 0.3, 0.25], np.float32)
    wanted = {0.3: [1], 0.41: [1, 2], 0.75: [1, 2, 3], 0.96: [0, 1, 2, 3], 1.0: [0, 1, 2, 3], 1e-6: [1]}
    logits = np.tile(np.log(shares), (len(wanted), 1))
    left = nucleus(logits, tf.ones(len(wanted)), tf.constant(list(wanted))).numpy()
    assert [np.flatnonzero(np.isfinite(row)).tolist() for row in left] == list(wanted.values())
    np.testing.assert_array_equal(left[2, 1:], logits[2, 1:])


def test_the_nucleus_is_one_of_the_tempered_softmax_and_of_what_is_not_barred() -> None:
    logits = np.log(np.array([[0.1, 0.4, 0.3, 0.2]] * 4, np.float32))
    logits[2, 1] = NOTHING
    logits[3] = NOTHING
    left = nucleus(logits, np.array([100, 0, 1, 1], np.float32), tf.fill((4,), 0.55)).numpy()
    found = [np.flatnonzero(np.isfinite(row)).tolist() for row in left]
    assert found == [[1, 2, 3], [1], [2, 3], []]


def test_ties_and_a_share_of_1_leave_everything() -> None:
    assert np.isfinite(nucleus(tf.zeros((1, 4)), tf.ones(1), tf.fill((1,), 0.3))).all()
    steep = tf.constant([[0.0, -200.0]])
    np.testing.assert_array_equal(nucleus(steep, tf.ones(1), tf.ones(1)), steep)
