import functools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfrec_zoo.losses import catalogue
from tfrec_zoo.losses.chunked_softmax import chunked_softmax

BATCH, PLACES, DIM, ITEMS = 3, 2, 5, 50
SEED = tf.constant([0, 0])


@pytest.fixture
def problem() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    rng = np.random.default_rng(0)
    queries, items, bias = rng.normal(size=(BATCH, PLACES, DIM)), rng.normal(size=(ITEMS, DIM)), rng.normal(size=ITEMS)
    targets = rng.integers(0, ITEMS, (BATCH, PLACES))
    return (
        tf.constant(queries, tf.float32),
        tf.constant(targets, tf.int32),
        tf.constant(items, tf.float32),
        tf.constant(bias, tf.float32),
    )


def test_softmax_is_the_negative_log_likelihood(problem: tuple) -> None:
    queries, targets, items, bias = (value.numpy() for value in problem)
    logits = queries @ items.T + bias
    expected = np.log(np.exp(logits).sum(axis=-1)) - np.take_along_axis(logits, targets[..., None], -1)[..., 0]
    np.testing.assert_allclose(catalogue.softmax(*problem), expected, rtol=1e-5)


def mean_gradient_error(problem: tuple, negatives: int, sign: float = 1.0, draws: int = 60) -> float:
    """Distance of the mean gradient of the sampled softmax from the full one's, relative."""
    queries, _targets, _items, _bias = problem

    def gradient(loss) -> np.ndarray:
        with tf.GradientTape() as tape:
            tape.watch(queries)
            value = tf.reduce_mean(loss())
        return tape.gradient(value, queries).numpy()

    exact = gradient(lambda: catalogue.softmax(*problem))
    original = catalogue.log_uniform.log_probability
    catalogue.log_uniform.log_probability = lambda *args: sign * original(*args)
    try:
        sampled = np.mean(
            [
                gradient(lambda seed=seed: catalogue.sampled_softmax(*problem, negatives, tf.constant([1, seed])))
                for seed in range(draws)
            ],
            axis=0,
        )
    finally:
        catalogue.log_uniform.log_probability = original
    return float(np.linalg.norm(sampled - exact) / np.linalg.norm(exact))


def test_the_bias_of_sampled_softmax_shrinks_with_more_negatives(problem: tuple) -> None:
    few, some, many = (mean_gradient_error(problem, negatives) for negatives in (5, 50, 1000))
    assert few > some > many
    assert many < 0.05


def test_with_log_q_of_the_wrong_sign_it_does_not(problem: tuple) -> None:
    assert mean_gradient_error(problem, 1000, sign=-1.0, draws=10) > 5 * mean_gradient_error(problem, 1000, draws=10)


@pytest.mark.parametrize("known", [None, [[7, 9, -4], [3, 3, 11], [-1, -4, -2]]], ids=["all", "without known"])
def test_sampled_softmax_estimates_the_sum_over_the_catalogue_without_bias(problem: tuple, known: list | None) -> None:
    """exp(loss) is 1 + the sum over the other items of exp(logit - target's logit), which logQ has to estimate."""
    known = None if known is None else tf.constant(known)

    @tf.function
    def draw(seed: tf.Tensor) -> tf.Tensor:
        return tf.exp(catalogue.sampled_softmax(*problem, 500, tf.stack([1, seed]), known=known))

    draws = np.array([draw(tf.constant(seed)) for seed in range(400)])
    expected = np.exp(catalogue.softmax(*problem, known=known))
    noise = draws.std(axis=0) / np.sqrt(len(draws))
    assert (noise < 0.02 * expected).all(), "else the test could not fail"
    assert (np.abs(draws.mean(axis=0) - expected) < 4 * noise).all()


SAMPLED = pytest.mark.parametrize(
    "loss",
    [
        functools.partial(catalogue.sampled_softmax, negatives=9, seed=SEED),
        functools.partial(catalogue.gbce, negatives=9, seed=SEED, calibration=0.5),
    ],
    ids=["sampled_softmax", "gbce"],
)


@SAMPLED
def test_the_gradient_of_a_sampled_loss_has_the_rows_that_it_read(problem: tuple, loss: Any) -> None:
    queries, targets, items, bias = problem
    rows = 4  # reserved ones before the items
    table = tf.Variable(tf.concat([tf.zeros((rows, DIM)), items], axis=0))
    biases = tf.Variable(bias)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(loss(queries, targets, table, biases, first_row=rows))
    of_table, of_bias = tape.gradient(value, [table, biases])
    assert isinstance(of_table, tf.IndexedSlices)
    assert isinstance(of_bias, tf.IndexedSlices)
    assert of_table.values.shape[0] == 9 + BATCH * PLACES
    with tf.GradientTape() as tape:
        tape.watch([items, bias])
        same = tf.reduce_sum(loss(queries, targets, items, bias))
    assert float(same) == pytest.approx(float(value), rel=1e-6)
    dense = tf.convert_to_tensor(of_table).numpy()
    assert (dense[:rows] == 0).all()
    expected = tape.gradient(same, [items, bias])
    np.testing.assert_allclose(dense[rows:], tf.convert_to_tensor(expected[0]), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(tf.convert_to_tensor(of_bias), tf.convert_to_tensor(expected[1]), rtol=1e-5, atol=1e-7)


@SAMPLED
def test_losses_of_queries_in_16_bits_are_computed_in_32(problem: tuple, loss: Any) -> None:
    queries, *rest = problem
    rounded = tf.cast(queries, tf.bfloat16)
    value = loss(rounded, *rest)
    assert value.dtype == tf.float32
    np.testing.assert_array_equal(value, loss(tf.cast(rounded, tf.float32), *rest))


def test_gbce_agrees_with_its_definition(problem: tuple) -> None:
    queries, targets, items, bias = (value.numpy().astype(np.float64) for value in problem)
    targets = targets.astype(int)
    negatives, calibration = 12, 0.6
    drawn = tf.random.stateless_uniform((negatives,), SEED, maxval=ITEMS, dtype=tf.int32).numpy()
    alpha = negatives / (ITEMS - 1)
    beta = alpha * (calibration * (1 - 1 / alpha) + 1 / alpha)
    logits = queries @ items.T + bias
    sigmoid = 1 / (1 + np.exp(-logits))
    losses = catalogue.gbce(*problem, negatives, calibration, SEED).numpy()
    for place, target in np.ndenumerate(targets):
        others = [column for column in drawn if column != target]
        expected = beta * np.log(sigmoid[place][target]) + np.log(1 - sigmoid[place][others]).sum()
        assert losses[place] == pytest.approx(-expected / (negatives + 1), rel=1e-4)


def test_without_calibration_gbce_is_binary_cross_entropy(problem: tuple) -> None:
    queries, targets, items, bias = problem
    plain = catalogue.gbce(*problem, 7, 0.0, SEED)
    drawn = tf.random.stateless_uniform((7,), SEED, maxval=ITEMS, dtype=tf.int32)
    drawn = tf.broadcast_to(drawn, (BATCH, PLACES, 7))
    columns = tf.concat([targets[..., None], drawn], axis=-1)
    logits = tf.einsum("bpd,bpkd->bpk", queries, tf.gather(items, columns)) + tf.gather(bias, columns)
    labels = tf.concat([tf.ones((BATCH, PLACES, 1)), tf.zeros((BATCH, PLACES, 7))], axis=-1)
    counts = tf.concat([labels[..., :1], tf.cast(drawn != targets[..., None], tf.float32)], axis=-1)
    expected = tf.reduce_sum(counts * tf.nn.sigmoid_cross_entropy_with_logits(labels, logits), axis=-1) / 8
    np.testing.assert_allclose(plain, expected, rtol=1e-5)


KNOWN = np.array([[7, 9, -4], [3, 3, 11], [-1, -4, -2]])


def test_the_softmax_without_known_items_is_one_over_the_other_items(problem: tuple) -> None:
    queries, targets, items, bias = (value.numpy().astype(np.float64) for value in problem)
    logits, targets = queries @ items.T + bias, targets.astype(int)
    losses = catalogue.softmax(*problem, known=tf.constant(KNOWN, tf.int32)).numpy()
    for (row, place), target in np.ndenumerate(targets):
        left_out = ({*KNOWN[row], *targets[row]} - {target}) & set(range(ITEMS))
        left = [column for column in range(ITEMS) if column not in left_out]
        expected = np.log(np.exp(logits[row, place, left]).sum()) - logits[row, place, target]
        assert losses[row, place] == pytest.approx(expected, rel=1e-4)


LOSSES = {
    "softmax": catalogue.softmax,
    "chunked_softmax": functools.partial(chunked_softmax, chunk_logits=60),
    "sampled_softmax": functools.partial(catalogue.sampled_softmax, negatives=500, seed=SEED),
    "gbce": functools.partial(catalogue.gbce, negatives=500, calibration=0.75, seed=SEED),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("known", [None, KNOWN], ids=["all", "without known"])
def test_a_place_without_a_target_leaves_nothing_out_of_the_negatives(
    problem: tuple, name: str, known: np.ndarray | None
) -> None:
    """Column 0, the most frequent item, is where a clipped number of such a place would point."""
    queries, targets, items, bias = problem
    targets = tf.where([[True, False]], tf.maximum(targets, 1), -4)
    alone = LOSSES[name](queries[:, :1], targets[:, :1], items, bias, known=known)
    beside = LOSSES[name](queries, targets, items, bias, known=known)
    np.testing.assert_allclose(beside[:, :1], alone, rtol=1e-5)
    assert np.isfinite(beside).all()


@pytest.mark.parametrize("known", [KNOWN, np.arange(ITEMS)[None].repeat(BATCH, 0)], ids=["some", "all"])
def test_its_gradient_is_the_one_of_the_formula(problem: tuple, known: np.ndarray) -> None:
    queries, targets, items, bias = problem
    weights = tf.constant([[0.5, 2.0], [0.0, 1.0], [3.0, 0.1]])

    def formula() -> tf.Tensor:
        logits = tf.einsum("bpd,nd->bpn", queries, items) + bias
        own = tf.one_hot(targets, ITEMS)
        left_out = np.zeros((BATCH, ITEMS), np.float32)
        for row in range(BATCH):
            left_out[row, [column for column in {*known[row], *targets[row].numpy()} if column >= 0]] = 1
        counted = own + (1 - own) * (1 - left_out[:, None])
        return tf.math.log(tf.reduce_sum(counted * tf.exp(logits), axis=-1)) - tf.reduce_sum(own * logits, axis=-1)

    gradients = []
    for loss in (formula, lambda: catalogue.softmax(*problem, known=tf.constant(known, tf.int32))):
        with tf.GradientTape() as tape:
            tape.watch([queries, items, bias])
            value = tf.reduce_sum(weights * loss())
        gradients.append(tape.gradient(value, [queries, items, bias]))
    for expected, ours in zip(*gradients, strict=True):
        np.testing.assert_allclose(tf.convert_to_tensor(ours), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("known", [KNOWN, np.arange(ITEMS)[None].repeat(BATCH, 0)], ids=["some", "all"])
def test_sampled_losses_leave_known_items_out_of_their_draws(problem: tuple, known: np.ndarray) -> None:
    queries, targets, items, bias = problem
    for loss in (catalogue.sampled_softmax, functools.partial(catalogue.gbce, calibration=0.5)):
        draw = functools.partial(loss, queries, targets, items, negatives=200, seed=SEED)
        before = draw(bias=bias, known=tf.constant(known, tf.int32)).numpy()
        assert np.isfinite(before).all()
        for row in range(BATCH):
            # Raising the bias of what the row knows changes the loss only where known items count as negatives.
            raised = sorted({column for column in known[row] if column >= 0} - set(targets[row].numpy()))
            shifted = bias + tf.reduce_sum(tf.one_hot(raised, ITEMS, 3.0), axis=0)
            after = draw(bias=shifted, known=tf.constant(known, tf.int32)).numpy()
            np.testing.assert_allclose(after[row], before[row], rtol=1e-5)
            assert not raised or (draw(bias=shifted).numpy()[row] > draw(bias=bias).numpy()[row]).all()
