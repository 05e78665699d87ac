import numpy as np
import tensorflow as tf

from tfrec_zoo.losses.bpr import bpr


def test_the_loss_is_the_log_sigmoid_of_the_difference() -> None:
    rng = np.random.default_rng(0)
    queries, items, bias = (rng.normal(size=shape).astype(np.float32) for shape in ((3, 4), (6, 4), (6,)))
    targets, negatives = np.array([0, 2, 5]), np.array([1, 2, 3])
    scores = queries @ items.T + bias
    rows = np.arange(3)
    expected = np.log1p(np.exp(scores[rows, negatives] - scores[rows, targets]))
    np.testing.assert_allclose(bpr(queries, targets, negatives, items, bias), expected, rtol=1e-5)
    with tf.GradientTape() as tape:
        watched = tf.Variable(items)
        loss = bpr(queries[1:2], targets[1:2], negatives[1:2], watched, tf.constant(bias))
    dense = tf.math.unsorted_segment_sum(*(lambda g: (g.values, g.indices, 6))(tape.gradient(loss, watched)))
    assert not dense.numpy().any(), "a negative that is the target teaches nothing"
