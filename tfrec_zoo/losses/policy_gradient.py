"""Policy gradient (REINFORCE) of a generator of sequences, and a baseline that leaves it unbiased."""

import tensorflow as tf

from tfrec_zoo.replicas import sum_over_replicas


def policy_gradient(negative_log_likelihoods: tf.Tensor, rewards: tf.Tensor) -> tf.Tensor:
    """A loss whose expected gradient is that of the negative expected reward.

    Args:
        negative_log_likelihoods: float (batch, length), of the items that the policy drew.
        rewards: float (batch, length), the action values of these items; constants of the loss.

    Returns:
        float (batch, length).

    Reference:
        Williams, Simple statistical gradient-following algorithms, Machine Learning 8, 1992; Yu et al., SeqGAN, AAAI
        2017, equations 6 and 7.
    """
    return negative_log_likelihoods * tf.stop_gradient(rewards)


def above_others(rewards: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Rewards less the mean reward of the batch's other rows at the same place.

    The mean of the others doesn't depend on the row's own draws: the gradient has less variance and the same
    expectation. A mean over all rows would shrink it by 1 / rows.

    Args:
        rewards: float (batch, length).
        weights: float (batch,), 1 for rows that count and 0 for others. The rows of all replicas are one batch.

    Returns:
        float (batch, length); the rewards themselves where no other row counts.
    """
    weights = weights[:, None]
    total = sum_over_replicas(tf.reduce_sum(rewards * weights, axis=0))
    others = sum_over_replicas(tf.reduce_sum(weights)) - weights
    return rewards - tf.math.divide_no_nan(total - rewards * weights, others)
