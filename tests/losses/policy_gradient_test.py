"""The estimator of the policy gradient on a toy of two tokens, whose exact gradient is known."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfrec_zoo.losses.policy_gradient import above_others, policy_gradient

THETA = [0.3, -0.5]
REWARDS = np.array([1.0, 0.25], np.float32)


def exact_gradient() -> np.ndarray:
    """Of the expected reward J = sum p r by the logits: p_k (r_k - J)."""
    p = np.exp(THETA) / np.exp(THETA).sum()
    return p * (REWARDS - p @ REWARDS)


@pytest.mark.parametrize("baseline", [False, True])
def test_the_estimator_is_unbiased(baseline: bool) -> None:
    """The mean over all batches of three draws, each with its probability, is the gradient of -J, exactly."""
    p = np.exp(THETA) / np.exp(THETA).sum()
    mean = np.zeros(2)
    for draws in itertools.product((0, 1), repeat=3):
        theta = tf.Variable(THETA)
        with tf.GradientTape() as tape:
            losses = -tf.gather(tf.nn.log_softmax(theta), draws)[:, None]
            rewards = tf.gather(REWARDS, draws)[:, None]
            if baseline:
                rewards = above_others(rewards, tf.ones(3))
            loss = tf.reduce_mean(policy_gradient(losses, rewards))
        mean += np.prod(p[list(draws)]) * tape.gradient(loss, theta).numpy()
    np.testing.assert_allclose(mean, -exact_gradient(), rtol=1e-5)


def test_a_baseline_of_all_rows_would_be_biased() -> None:
    """Which is why the row itself is left out: the check above can fail."""
    p = np.exp(THETA) / np.exp(THETA).sum()
    mean = np.zeros(2)
    for draws in itertools.product((0, 1), repeat=3):
        rewards = REWARDS[list(draws)]
        score = np.eye(2)[list(draws)] - p
        mean += np.prod(p[list(draws)]) * ((rewards - rewards.mean())[:, None] * score).mean(axis=0)
    np.testing.assert_allclose(mean, 2 / 3 * exact_gradient(), rtol=1e-5)


def test_rows_without_weight_are_no_part_of_the_baseline() -> None:
    rewards = tf.constant([[1.0], [3.0], [100.0]])
    found = above_others(rewards, tf.constant([1.0, 1.0, 0.0])).numpy()
    np.testing.assert_allclose(found[:2, 0], [-2.0, 2.0])


def test_a_row_alone_has_no_baseline() -> None:
    np.testing.assert_array_equal(
        above_others(tf.constant([[0.7, 0.2]]), tf.ones(1)), [[np.float32(0.7), np.float32(0.2)]]
    )
