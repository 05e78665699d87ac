"""Losses among the items of a batch, beside naive computations."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfrec_zoo.losses.in_batch import in_batch_softmax
from tfrec_zoo.losses.info_nce import info_nce
from tfrec_zoo.training.strategy import mirrored

RNG = np.random.default_rng(0)
USERS, ITEMS = (RNG.normal(size=(6, 4)).astype(np.float32) for _ in range(2))
IDS = np.array([4, 5, 6, 4, 7, 5], np.int32)
LOG_Q = np.log(np.array([0.3, 0.2, 0.1, 0.3, 0.05, 0.2], np.float32))


def naive(logits: np.ndarray) -> np.ndarray:
    """Cross-entropy of the diagonal; other places with the row's id are no candidates."""
    losses = []
    for row in range(len(logits)):
        others = [place for place in range(len(logits)) if place == row or IDS[place] != IDS[row]]
        losses.append(np.log(np.exp(logits[row, others]).sum()) - logits[row, row])
    return np.array(losses)


@pytest.mark.parametrize("log_q", [None, LOG_Q])
def test_softmax_among_the_items_of_the_batch(log_q: np.ndarray | None):
    logits = USERS @ ITEMS.T - (0.0 if log_q is None else log_q)
    found = in_batch_softmax(*map(tf.constant, (USERS, ITEMS, IDS)), None if log_q is None else tf.constant(log_q))
    np.testing.assert_allclose(found, naive(logits), rtol=1e-5)


def test_a_correction_lifts_what_is_seldom_drawn():
    """With the other sign, the complaint of 1-product.md, a rare positive would cost more."""
    with_q = in_batch_softmax(*map(tf.constant, (USERS, ITEMS, IDS, LOG_Q))).numpy()
    without = in_batch_softmax(*map(tf.constant, (USERS, ITEMS, IDS)), None).numpy()
    assert with_q[4] < without[4], "the rarest item"
    assert with_q[0] > without[0], "the most frequent one"


def test_hard_negatives_are_those_with_the_highest_logits():
    found = in_batch_softmax(*map(tf.constant, (USERS, ITEMS, np.arange(4, 10, dtype=np.int32))), None, 2).numpy()
    logits = USERS @ ITEMS.T
    for row in range(6):
        hardest = np.sort(np.delete(logits[row], row))[-2:]
        expected = np.log(np.exp(np.append(hardest, logits[row, row])).sum()) - logits[row, row]
        assert found[row] == pytest.approx(expected, rel=1e-5)


def test_info_nce_beside_a_naive_loop():
    u, v = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (USERS, ITEMS))
    found = info_nce(*map(tf.constant, (USERS, ITEMS, IDS)), 0.2)
    np.testing.assert_allclose(found, naive(u @ v.T / 0.2), rtol=1e-4)


@pytest.mark.parametrize(
    "loss",
    [lambda u, v, ids, q: in_batch_softmax(u, v, ids, q), lambda u, v, ids, q: info_nce(u, v, ids, 0.2)],
    ids=["in_batch_softmax", "info_nce"],
)
def test_two_replicas_have_the_candidates_and_gradients_of_one(loss):
    def parts(u, v, ids, q):
        with tf.GradientTape() as tape:
            tape.watch([u, v])
            losses = loss(u, v, ids, q)
            total = tf.reduce_sum(losses)
        return losses, *tape.gradient(total, [u, v])

    batch = tuple(map(tf.constant, (USERS, ITEMS, IDS, LOG_Q)))
    alone = parts(*batch)
    strategy = mirrored()

    def of_replica(context):
        return tuple(values[3 * context.replica_id_in_sync_group :][:3] for values in batch)

    values = strategy.experimental_distribute_values_from_function(of_replica)
    both = tf.function(lambda given: strategy.run(parts, args=given))(values)
    for one, two in zip(alone, both, strict=True):
        joined = tf.concat(strategy.experimental_local_results(two), axis=0)
        np.testing.assert_allclose(joined, one, rtol=1e-4, atol=1e-6)


def test_nobody_elses_keras_changes():
    """A process that does not retrieve keeps Keras 3 as tf.keras; one that had it before is told what to do."""
    probe = (
        "import tensorflow as tf, tfrec_zoo, tfrec_zoo.models.dssm\n"
        "assert tf.keras.__version__.startswith('3')\n"
        "from tfrec_zoo.errors import ConfigError\n"
        "from tfrec_zoo.losses.tfrs import tensorflow_recommenders\n"
        "try: tensorflow_recommenders()\n"
        "except ConfigError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "TF_USE_LEGACY_KERAS=1" in done.stdout
