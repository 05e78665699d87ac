"""The generator beside an LSTM written out in NumPy."""

import numpy as np
import tensorflow as tf

from tfrec_zoo.backbones.lstm_generator import LSTMGenerator
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID
from tfrec_zoo.losses.next_item import negative_log_likelihood

ITEMS, DIM, UNITS, LENGTH = 7, 3, 4, 6


def new_generator() -> LSTMGenerator:
    generator = LSTMGenerator(ITEMS, DIM, UNITS)
    generator.build((None, LENGTH))
    rng = np.random.default_rng(0)
    for weight in generator.weights:
        weight.assign(rng.normal(size=weight.shape))
    return generator


def by_hand(generator: LSTMGenerator, item_ids: np.ndarray) -> np.ndarray:
    """Log-probabilities of what follows every item; float64 (batch, length, items)."""
    table, kernel, recurrent, bias, output, output_bias = (weight.numpy().astype(float) for weight in generator.weights)
    h = c = np.zeros((len(item_ids), UNITS))
    rows = []
    for column in item_ids.T:
        i, f, g, o = np.split(table[column] @ kernel + h @ recurrent + bias, 4, axis=1)
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
        logits = h @ output + output_bias
        rows.append(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))
    return np.stack(rows, axis=1)


def test_the_likelihood_is_exact() -> None:
    generator = new_generator()
    sequences = np.random.default_rng(1).integers(FIRST_ITEM_ID, FIRST_ITEM_ID + ITEMS, (5, LENGTH + 1))
    found = negative_log_likelihood(generator.logits(sequences[:, :-1]), sequences[:, 1:])
    logs = by_hand(generator, sequences[:, :-1])
    wanted = -np.take_along_axis(logs, sequences[:, 1:, None] - FIRST_ITEM_ID, axis=2)[..., 0]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_padding_changes_nothing_and_has_no_loss() -> None:
    generator = new_generator()
    sequence = np.array([[4, 9, 6, 5]])
    padded = np.pad(sequence, [[0, 0], [3, 0]])
    found = negative_log_likelihood(generator.logits(padded[:, :-1]), padded[:, 1:]).numpy()
    alone = negative_log_likelihood(generator.logits(sequence[:, :-1]), sequence[:, 1:]).numpy()
    np.testing.assert_allclose(found[:, -3:], alone, rtol=1e-5)
    assert (found[:, :2] == 0).all()


def test_writing_follows_the_distribution() -> None:
    """Frequencies of the second item written, beside the exact marginal."""
    generator, n = new_generator(), 40_000
    last = np.full(n, FIRST_ITEM_ID, np.int32)
    uniforms = tf.random.stateless_uniform((2, n), (1, 2))
    written = generator.generate(last, generator.state_after(np.zeros((n, 0), np.int32)), uniforms).numpy()
    assert written.shape == (n, 2)
    first = np.exp(by_hand(generator, np.array([[FIRST_ITEM_ID]])))[0, 0]
    both = np.array([[FIRST_ITEM_ID, FIRST_ITEM_ID + item] for item in range(ITEMS)])
    second = first @ np.exp(by_hand(generator, both))[:, 1]
    np.testing.assert_allclose(np.bincount(written[:, 0] - FIRST_ITEM_ID, minlength=ITEMS) / n, first, atol=0.01)
    np.testing.assert_allclose(np.bincount(written[:, 1] - FIRST_ITEM_ID, minlength=ITEMS) / n, second, atol=0.01)
