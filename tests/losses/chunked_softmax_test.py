import numpy as np
import pytest
import tensorflow as tf

from tests.losses.catalogue_test import BATCH, DIM, ITEMS, KNOWN, PLACES
from tfrec_zoo.losses import catalogue
from tfrec_zoo.losses.chunked_softmax import chunked_softmax

RESERVED = 4


def loss_and_gradients(loss, known, **options) -> list[np.ndarray]:
    """Of a sum of squares, so that every target's loss has another upstream gradient."""
    rng = np.random.default_rng(0)
    queries = tf.Variable(rng.normal(size=(BATCH, PLACES, DIM)), dtype=tf.float32)
    table = tf.Variable(rng.normal(size=(RESERVED + ITEMS, DIM)), dtype=tf.float32)
    bias = tf.Variable(rng.normal(size=ITEMS), dtype=tf.float32)
    targets = tf.constant(rng.integers(0, ITEMS, (BATCH, PLACES)), tf.int32)

    @tf.function
    def run() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            losses = loss(queries, targets, table, bias, known=known, first_row=RESERVED, **options)
            total = tf.reduce_sum(tf.square(losses))
        gradients = tape.gradient(total, [queries, table, bias])
        return [losses, *(tf.convert_to_tensor(gradient) for gradient in gradients)]

    return [value.numpy() for value in run()]


@pytest.mark.parametrize("known", [None, KNOWN, np.arange(ITEMS)[None].repeat(BATCH, 0)], ids=["none", "some", "all"])
@pytest.mark.parametrize("columns", [1, 7, ITEMS - 1, ITEMS, 1000])
def test_loss_and_gradients_are_those_of_the_full_softmax(known: np.ndarray | None, columns: int) -> None:
    known = None if known is None else tf.constant(known, tf.int32)
    chunked = loss_and_gradients(chunked_softmax, known, chunk_logits=columns * BATCH * PLACES)
    for one, other in zip(chunked, loss_and_gradients(catalogue.softmax, known), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert (chunked[2][:RESERVED] == 0).all()


def test_rows_may_be_read_from_where_they_are_stored() -> None:
    known = tf.constant(KNOWN, tf.int32)

    def stored(queries, targets, table, *rest, **options) -> tf.Tensor:
        return chunked_softmax(queries, targets, tf.convert_to_tensor(table), *rest, stored=table, **options)

    options = {"chunk_logits": 7 * BATCH * PLACES}
    expected = loss_and_gradients(chunked_softmax, known, **options)
    for one, other in zip(loss_and_gradients(stored, known, **options), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_large_logits_stay_finite() -> None:
    queries, items = tf.constant([[[300.0]]]), tf.constant([[1.0], [-1.0], [0.5]])
    losses = chunked_softmax(queries, tf.constant([[1]]), items, tf.zeros(3), chunk_logits=1)
    assert float(losses[0, 0]) == pytest.approx(600.0)


def test_no_tensor_of_targets_times_catalogue_is_made() -> None:
    """The widest tensor of float values is a chunk of logits, however many targets and items there are."""
    targets, items, chunk = 60, 5000, 6000
    table, queries, columns = tf.Variable(tf.zeros((items, 2))), tf.zeros((6, 10, 2)), tf.zeros((6, 10), tf.int32)

    def run() -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(queries)
            loss = tf.reduce_sum(chunked_softmax(queries, columns, table, tf.zeros(items), chunk_logits=chunk))
        return tape.gradient(loss, [queries, table])

    sizes: list[int] = []
    original = tf.exp
    tf.exp = lambda values: sizes.append(int(tf.size(values))) or original(values)
    try:
        run()
    finally:
        tf.exp = original
    assert max(sizes) <= chunk < targets * items
    assert sum(size for size in sizes if size > targets) == 2 * targets * items, "once forward, once in the gradient"
