"""Continuations: what a row gets depends on its own values alone, and how they rank."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfrec_zoo.backbones.lstm_generator import LSTMGenerator
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, PAD
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.models.continuations import Draws, rank_by_continuations, write_on

ITEMS, WIDTH = 14, 6


@pytest.fixture(scope="module")
def generator() -> LSTMGenerator:
    generator = LSTMGenerator(ITEMS, 4, 5)
    generator.build((None, WIDTH))
    rng = np.random.default_rng(0)
    for weight in generator.weights:
        weight.assign(rng.normal(size=weight.shape))
    return generator


def histories() -> np.ndarray:
    history = np.random.default_rng(1).integers(FIRST_ITEM_ID, FIRST_ITEM_ID + ITEMS, (5, WIDTH)).astype(np.int32)
    history[1, :4] = PAD
    history[2] = PAD
    return history


def draws_of_rows() -> Draws:
    return Draws(
        n=tf.constant([2, 5, 1, 3, 4], tf.int64),
        length=tf.constant([4, 1, 3, 6, 2], tf.int64),
        temperature=tf.constant([1.0, 2.0, 0.0, 0.5, 1.0]),
        seed=tf.constant([3, 3, 0, -1, 2**62], tf.int64),
        top_p=tf.constant([1.0, 0.5, 0.9, 1.0, 0.8]),
        no_repeats=tf.constant([True, False, False, True, True]),
    )


def rows_of(draws: Draws, rows: list[int]) -> Draws:
    return Draws(**{field.name: tf.gather(getattr(draws, field.name), rows) for field in dataclasses.fields(draws)})


@pytest.mark.parametrize("in_graph", [False, True])
def test_a_row_depends_on_its_own_values_alone(generator: LSTMGenerator, in_graph: bool) -> None:
    history, draws = histories(), draws_of_rows()

    def write(rows: list[int]) -> np.ndarray:
        def run() -> tf.Tensor:
            return write_on(generator, tf.constant(history[rows]), tf.constant(history[rows]), rows_of(draws, rows))

        return (tf.function(run) if in_graph else run)().numpy()

    together = write([0, 1, 2, 3, 4])
    assert together.shape == (5, 5, 6)
    for rows in ([0], [1], [2], [3], [4], [4, 0, 3]):
        written = write(rows)
        for place, row in enumerate(rows):
            n, length = int(draws.n[row]), int(draws.length[row])
            np.testing.assert_array_equal(written[place, :n, :length], together[row, :n, :length])
            assert (together[row, :n, :length] >= FIRST_ITEM_ID).all()
            assert (together[row, n:] == PAD).all()
            assert (together[row, :, length:] == PAD).all()


def test_more_continuations_and_longer_ones_begin_alike(generator: LSTMGenerator) -> None:
    history = histories()
    few = write_on(generator, history, history, Draws.alike(history, 2, 3, seed=5)).numpy()
    many = write_on(generator, history, history, Draws.alike(history, 7, 5, seed=5)).numpy()
    np.testing.assert_array_equal(few, many[:, :2, :3])
    assert len(np.unique(many[0], axis=0)) > 1, "continuations differ"


def test_no_item_comes_again_until_none_is_left(generator: LSTMGenerator) -> None:
    history = histories()
    written = write_on(generator, history, history, Draws.alike(history, 4, ITEMS + 2, seed=0, no_repeats=True)).numpy()
    for seen, row in zip(history, written, strict=True):
        left = set(range(FIRST_ITEM_ID, FIRST_ITEM_ID + ITEMS)) - set(seen.tolist())
        for continuation in row:
            assert set(continuation[: len(left)].tolist()) == left
            assert (continuation[len(left) :] == PAD).all()


def test_a_collapsed_generator_repeats_itself_unless_it_must_not(generator: LSTMGenerator) -> None:
    bias = generator.projection.bias.numpy()
    generator.projection.bias.assign(np.where(np.arange(ITEMS) == 2, 1e6, bias))
    history = histories()[2:3]
    try:
        written = write_on(generator, history, history, Draws.alike(history, 3, 4, seed=0)).numpy()
        assert (written == FIRST_ITEM_ID + 2).all()
        freed = write_on(generator, history, history, Draws.alike(history, 3, 4, 0, top_p=0.9, no_repeats=True)).numpy()
        assert all(len(set(row.tolist())) == 4 for row in freed[0])
    finally:
        generator.projection.bias.assign(bias)


def test_the_first_item_can_be_drawn_by_other_logits(generator: LSTMGenerator) -> None:
    history = histories()
    first = np.full((5, ITEMS), -1e6, np.float32)
    first[:, 4] = 0
    written = write_on(generator, history, history, Draws.alike(history, 2, 2, seed=0), first=first).numpy()
    assert (written[:, :, 0] == FIRST_ITEM_ID + 4).all()


def test_an_empty_batch_is_empty(generator: LSTMGenerator) -> None:
    @tf.function(input_signature=[tf.TensorSpec((None, WIDTH), tf.int32)])
    def write(history: tf.Tensor) -> tf.Tensor:
        return write_on(generator, history, history, Draws.alike(history, 2, 3, seed=0, no_repeats=True))

    assert write(tf.zeros((0, WIDTH), tf.int32)).shape[0] == 0
    assert write(histories()).shape == (5, 2, 3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n": 0}, "at least 1 continuation"),
        ({"length": 0}, "at least 1 item"),
        ({"temperature": -0.5}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": float("nan")}, "top_p"),
    ],
)
def test_impossible_writing_is_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Draws.alike(histories(), **{"n": 1, "length": 1, "seed": 0, **wrong})


def test_often_and_early_ranks_first() -> None:
    a, b, c, d = range(FIRST_ITEM_ID, FIRST_ITEM_ID + 4)
    continuations = np.array(
        [
            [[a, b, a], [b, c, PAD], [PAD] * 3],
            [[PAD] * 3] * 3,
            [[d, d, d], [a, d, c], [c, b, a]],
        ],
        np.int32,
    )
    logits = np.log(np.array([[0.1, 0.2, 0.3, 0.4]] * 3, np.float32))
    second, third = 1 / np.log2(3), 1 / np.log2(4)
    wanted = [
        np.array([1 + 0.1, 1 + second + 0.2, second + 0.3, 0.4]) / 3,
        np.array([0.1, 0.2, 0.3, 0.4]),
        np.array([1 + third + 0.1, second + 0.2, 1 + third + 0.3, 1 + second + 0.4]) / 4,
    ]
    np.testing.assert_allclose(rank_by_continuations(continuations, logits), wanted, rtol=1e-5)
