"""Roll-outs in one graph beside a Python loop, and the policy that follows its generator."""

import numpy as np
import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID
from tfrec_zoo.models.rollout_policy import RolloutPolicy

ITEMS, LENGTH, BATCH, SAMPLES = 11, 5, 3, 4
SEED = (3, 7)


def new_policy(rate: float = 0.8, seed: int = 0) -> RolloutPolicy:
    policy = RolloutPolicy(ITEMS, 4, 6, rate)
    policy.build((None, LENGTH))
    rng = np.random.default_rng(seed)
    for weight in policy.generator.weights:
        weight.assign(rng.normal(size=weight.shape))
    return policy


def score(item_ids: tf.Tensor, copies: int) -> tf.Tensor:
    return tf.reduce_mean(tf.cast(item_ids % 3 == 0, tf.float32), axis=1)


def test_one_graph_equals_a_python_loop_with_the_same_seeds() -> None:
    policy = new_policy()
    items = np.random.default_rng(2).integers(FIRST_ITEM_ID, FIRST_ITEM_ID + ITEMS, (BATCH, LENGTH)).astype(np.int32)
    last = np.full(BATCH, FIRST_ITEM_ID, np.int32)
    empty = policy.generator.state_after(np.zeros((BATCH, 0), np.int32))

    @tf.function
    def in_one_graph() -> tf.Tensor:
        return policy.rewards(tf.constant(items), tf.constant(last), empty, score, SAMPLES, tf.constant(SEED))

    wanted = np.zeros((BATCH, LENGTH), np.float32)
    for known in range(1, LENGTH):
        uniforms = tf.random.stateless_uniform((LENGTH - known, BATCH * SAMPLES), (SEED[0], SEED[1] + known)).numpy()
        for row in range(BATCH):
            for sample in range(SAMPLES):
                written = list(items[row, :known])
                for step in range(LENGTH - known):
                    logits = policy.generator.logits(np.array([[FIRST_ITEM_ID, *written]]))[0, -1]
                    below = np.cumsum(tf.nn.softmax(logits)) <= uniforms[step, row * SAMPLES + sample]
                    written.append(FIRST_ITEM_ID + int(below.sum()))
                wanted[row, known - 1] += score(np.array([written]), 1).numpy()[0] / SAMPLES
    wanted[:, -1] = score(items, 1)
    np.testing.assert_allclose(in_one_graph(), wanted, rtol=1e-5)


def test_it_follows_as_specified() -> None:
    policy, generator = new_policy(), new_policy(seed=1).generator
    before = [weight.numpy() for weight in policy.generator.weights]
    policy.follow(generator)
    embedding, *others = zip(before, generator.weights, policy.generator.weights, strict=True)
    np.testing.assert_array_equal(embedding[2], embedding[1])
    for old, of_generator, new in others:
        np.testing.assert_allclose(new, 0.8 * old + 0.2 * of_generator.numpy(), rtol=1e-5, atol=1e-6)
    policy.copy(generator)
    for own, other in zip(policy.generator.weights, generator.weights, strict=True):
        np.testing.assert_array_equal(own, other)
    assert not policy.trainable_weights
