from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec_zoo.sparse_gradients import add_up_rows
from tfrec_zoo.training import lazy_updates
from tfrec_zoo.training.lazy_adam import LazyAdam
from tfrec_zoo.training.row_wise_adagrad import RowWiseAdagrad
from tfrec_zoo.training.strategy import mirrored
from tfrec_zoo.training.summed_gradients import SGD, Adam

ROWS, DIM = 12, 3
OPTIONS = [{}, {"weight_decay": 0.1}, {"global_clipnorm": 0.5}, {"use_ema": True, "ema_momentum": 0.7}]


def variables() -> list[keras.Variable]:
    rng = np.random.default_rng(0)
    shapes = {"item_embeddings": (ROWS, DIM), "bias": (ROWS,), "kernel": (DIM, 4)}
    return [keras.Variable(rng.normal(size=shape).astype(np.float32), name=name) for name, shape in shapes.items()]


def gradients(rows: np.ndarray, seed: int) -> list[tf.Tensor | tf.IndexedSlices]:
    """Sparse ones of a table and of a bias, whose rows may repeat, and the dense one of a kernel."""
    rng = np.random.default_rng(seed)

    def sparse(*shape: int) -> tf.IndexedSlices:
        values = rng.normal(size=(len(rows), *shape)).astype(np.float32)
        return tf.IndexedSlices(tf.constant(values), tf.constant(rows), tf.constant((ROWS, *shape)))

    return [sparse(DIM), sparse(), tf.constant(rng.normal(size=(DIM, 4)), tf.float32)]


def dense(values: list[tf.Tensor | tf.IndexedSlices]) -> list[tf.Tensor]:
    return [tf.convert_to_tensor(value) for value in values]


def trained(optimizer: keras.Optimizer, steps: list[list]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Weights after the steps, and their averages."""
    weights = variables()
    apply = tf.function(lambda *values: optimizer.apply(list(values), weights))
    optimizer.build(weights)
    for step in steps:
        apply(*step)
    plain = [weight.numpy() for weight in weights]
    optimizer.finalize_variable_values(weights)
    return plain, [weight.numpy() for weight in weights]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_when_every_row_is_touched_it_is_adam(options: dict) -> None:
    everywhere = np.concatenate([np.arange(ROWS), [3, 3, 7]])
    steps = [gradients(np.random.default_rng(step).permutation(everywhere), step) for step in range(8)]
    lazy = trained(LazyAdam(0.05, **options), steps)
    adam = trained(keras.optimizers.Adam(0.05, **options), [dense(step) for step in steps])
    for one, other in zip([*lazy[0], *lazy[1]], [*adam[0], *adam[1]], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("make", [LazyAdam, RowWiseAdagrad])
def test_dense_gradients_and_sparse_ones_of_all_rows_are_one(make: Callable, options: dict) -> None:
    steps = [gradients(np.arange(ROWS), step) for step in range(5)]
    sparse, whole = (trained(make(0.05, **options), kind) for kind in (steps, [dense(step) for step in steps]))
    for one, other in zip([*sparse[0], *sparse[1]], [*whole[0], *whole[1]], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("make", [LazyAdam, RowWiseAdagrad])
def test_rows_that_nothing_touches_stay_to_the_last_bit(make: Callable, options: dict) -> None:
    before = [weight.numpy() for weight in variables()]
    touched = np.array([2, 5, 5, 9])
    after, averaged = trained(make(0.05, **options), [gradients(touched, step) for step in range(4)])
    rest = np.setdiff1d(np.arange(ROWS), touched)
    for weight, value, mean in zip(before[:2], after, averaged, strict=False):
        np.testing.assert_array_equal(value[rest], weight[rest])
        np.testing.assert_allclose(mean[rest], weight[rest], rtol=1e-6)
        assert (value[touched] != weight[touched]).all()


@pytest.mark.parametrize("make", [LazyAdam, RowWiseAdagrad])
def test_a_dense_gradient_of_many_rows_is_taken_in_parts(make: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [dense(gradients(np.arange(ROWS), step)) for step in range(4)]
    at_once = trained(make(0.05, **OPTIONS[3]), steps)
    monkeypatch.setattr(lazy_updates, "_ROWS_AT_ONCE", 5)
    in_parts = trained(make(0.05, **OPTIONS[3]), steps)
    for one, other in zip([*in_parts[0], *in_parts[1]], [*at_once[0], *at_once[1]], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_a_row_that_rests_neither_moves_nor_forgets() -> None:
    rows = [np.array([1, 2]), np.array([2, 2]), np.array([2]), np.array([1])]
    steps = [gradients(row, step) for step, row in enumerate(rows)]
    weight, _ = trained(LazyAdam(0.05), steps)
    # By hand for row 1: two steps of its own, the bias correction that of steps 1 and 4.
    value, first, second = variables()[0].numpy()[1].astype(np.float64), 0.0, 0.0
    for step in (1, 4):
        gradient = tf.convert_to_tensor(steps[step - 1][0])[1].numpy()
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        value -= 0.05 * first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-7)
    np.testing.assert_allclose(weight[0][1], value, rtol=1e-4)


def test_the_average_of_a_row_that_rests_is_that_of_every_step() -> None:
    rng = np.random.default_rng(0)
    steps = [gradients(rng.choice(ROWS, 3), step) for step in range(9)]
    weights, mean = variables(), None
    optimizer = LazyAdam(0.05, use_ema=True, ema_momentum=0.8)
    for step in steps:
        optimizer.apply(step, weights)
        now = [weight.numpy().astype(np.float64) for weight in weights]
        mean = now if mean is None else [0.8 * old + 0.2 * new for old, new in zip(mean, now, strict=True)]
    optimizer.finalize_variable_values(weights)
    for weight, expected in zip(weights, mean or [], strict=True):
        np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_row_wise_adagrad_agrees_with_its_definition() -> None:
    rows = [np.array([1, 4, 4]), np.array([4, 0]), np.array([1])]
    steps = [gradients(row, step) for step, row in enumerate(rows)]
    optimizer = RowWiseAdagrad(0.02, table_rate=5.0)
    weights, _ = trained(optimizer, steps)
    table, summed = variables()[0].numpy().astype(np.float64), np.zeros((ROWS, 1))
    for step in steps:
        gradient = tf.convert_to_tensor(step[0]).numpy()
        summed += np.mean(gradient**2, axis=1, keepdims=True)
        table -= 0.02 * 5.0 * gradient / (np.sqrt(summed) + 1e-7)
    np.testing.assert_allclose(weights[0], table, rtol=1e-5)
    adam, _ = trained(LazyAdam(0.02), steps)
    np.testing.assert_array_equal(weights[1], adam[1], "the bias is trained by lazy Adam")
    np.testing.assert_array_equal(weights[2], adam[2])
    assert [tuple(slot.shape) for slot in optimizer.variables].count((ROWS, DIM)) == 0, "one number a row"


def test_repeated_rows_are_added_up() -> None:
    slices = tf.IndexedSlices(tf.constant([[1.0], [2.0], [4.0]]), tf.constant([7, 0, 7]), tf.constant([9, 1]))
    summed = add_up_rows(slices)
    np.testing.assert_array_equal(summed.indices, [7, 0])
    np.testing.assert_array_equal(summed.values, [[5.0], [2.0]])


@pytest.mark.parametrize("make", [Adam, SGD, LazyAdam, RowWiseAdagrad])
@pytest.mark.parametrize("options", [{"global_clipnorm": 0.3}, {"weight_decay": 0.1}, OPTIONS[3]], ids=str)
def test_two_replicas_train_as_one_device_does(make: Callable, options: dict) -> None:
    """Each replica finds its own part of the gradient, some rows on both; the clipping is that of the sum."""
    options, rows = {"learning_rate": 0.05, **options}, [np.array([0, 3, 3, 8]), np.array([3, 9])]
    parts = [[gradients(rows[replica], 10 * step + replica) for replica in range(2)] for step in range(4)]
    whole = [[sum(pair) for pair in zip(dense(one), dense(other), strict=True)] for one, other in parts]
    sparse = [[add(*pair) for pair in zip(one, other, strict=True)] for one, other in parts]
    expected, averaged = trained(make(**options), whole if make in (Adam, SGD) else sparse)
    strategy = mirrored()
    with strategy.scope():
        weights = variables()
        optimizer = make(**options)
        optimizer.build(weights)

    @tf.function
    def step(one: list, other: list) -> None:
        def apply() -> None:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            optimizer.apply(one if replica == 0 else other, weights)

        strategy.run(apply)

    for one, other in parts:
        step(one, other)
    for weight, value in zip(weights, expected, strict=True):
        np.testing.assert_allclose(weight.numpy(), value, rtol=1e-5, atol=1e-6)
    for copy in strategy.experimental_local_results(weights[0].value):
        np.testing.assert_array_equal(copy.numpy(), weights[0].numpy())
    optimizer.finalize_variable_values(weights)
    for weight, value in zip(weights, averaged, strict=True):
        np.testing.assert_allclose(weight.numpy(), value, rtol=1e-5, atol=1e-6)


def add(one: tf.Tensor | tf.IndexedSlices, other: tf.Tensor | tf.IndexedSlices) -> tf.Tensor | tf.IndexedSlices:
    if not isinstance(one, tf.IndexedSlices):
        return one + other
    values, rows = tf.concat([one.values, other.values], 0), tf.concat([one.indices, other.indices], 0)
    return tf.IndexedSlices(values, rows, one.dense_shape)


@pytest.mark.parametrize("optimizer", [LazyAdam(0.1, beta_1=0.8, use_ema=True), RowWiseAdagrad(0.1, table_rate=3.0)])
def test_a_saved_optimizer_is_the_same_again(optimizer: LazyAdam) -> None:
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()


def test_what_would_cost_the_whole_table_is_refused() -> None:
    with pytest.raises(ValueError, match="LazyAdam takes no gradient_accumulation_steps"):
        LazyAdam(gradient_accumulation_steps=4)
