"""The synthetic language of SeqGAN's paper: a fixed random LSTM writes the data, and says how likely any text is.

An oracle file (.npz) holds emb (vocabulary, 32); W_g, U_g (32, 32) and b_g (32,) for the gates g = i, f, o, c; W_out
(32, vocabulary) and b_out. Token t is the item with id t + 4; every sequence follows token 0, which is not part of it.

Yu et al., SeqGAN, AAAI 2017, section 4.1.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfrec_zoo.backbones.lstm_generator import LSTMGenerator
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID
from tfrec_zoo.errors import DataError
from tfrec_zoo.losses.next_item import negative_log_likelihood

VOCABULARY, DIM, LENGTH = 5000, 32, 20
START = FIRST_ITEM_ID
"""The item that stands before every sequence."""

_GATES = "ifco"  # in the order of Keras
_WRITTEN_AT_ONCE, _READ_AT_ONCE = 1024, 256


class Language:
    """A generator as the language that it writes: sequences after `START`.

    Args:
        generator: Built.
        length: Items of a sequence.
    """

    def __init__(self, generator: LSTMGenerator, length: int = LENGTH) -> None:
        self.generator, self.length = generator, length
        self._write_part = tf.function(self._write)
        self._nll_part = tf.function(self.nlls_in_graph, reduce_retracing=True)

    def write(self, count: int, seed: int, temperature: float = 1.0) -> np.ndarray:
        """Draws sequences.

        Args:
            count: How many.
            seed: Of the draws.
            temperature: Of the softmax.

        Returns:
            int32 (count, length), item ids.
        """
        parts = range(-(-count // _WRITTEN_AT_ONCE))
        return np.concatenate([self._write_part(tf.constant((seed, part)), temperature) for part in parts])[:count]

    def nll(self, sequences: np.ndarray, temperature: float = 1.0) -> float:
        """-log p of sequences, int32 (n, length), in nats: the mean over their items."""
        return float(self.nlls(sequences, temperature).mean())

    def nlls(self, sequences: np.ndarray, temperature: float = 1.0) -> np.ndarray:
        """As `nll`, of every sequence: float64 (n,)."""
        parts = range(0, len(sequences), _READ_AT_ONCE)
        each = [self._nll_part(sequences[part : part + _READ_AT_ONCE], temperature) for part in parts]
        return np.concatenate(each).astype(np.float64)

    def nlls_in_graph(self, sequences: tf.Tensor, temperature: float = 1.0) -> tf.Tensor:
        """As `nlls`, of one batch, part of whatever graph is being built: float32 (n,)."""
        logits = self.generator.logits(after_start(sequences)[:, :-1]) / temperature
        return tf.reduce_mean(negative_log_likelihood(logits, sequences), axis=1)

    def _write(self, seed: tf.Tensor, temperature: float) -> tf.Tensor:
        rows = _WRITTEN_AT_ONCE
        state = self.generator.state_after(tf.zeros((rows, 0), tf.int32))
        uniforms = tf.random.stateless_uniform((self.length, rows), seed)
        return self.generator.generate(tf.fill((rows,), START), state, uniforms, temperature)


def after_start(sequences: np.ndarray | tf.Tensor) -> tf.Tensor:
    """`START` and the sequences: int32 (n, length + 1)."""
    return tf.pad(tf.convert_to_tensor(sequences), [[0, 0], [1, 0]], constant_values=START)


def read_oracle(path: str | os.PathLike[str]) -> Language:
    """The oracle of a file.

    Raises:
        DataError: The file cannot be read, an array is missing or has another shape.
    """
    try:
        with np.load(path) as file:
            weights = dict(file)
    except (OSError, ValueError) as error:
        raise DataError(f"the oracle {path} cannot be read: {error}") from None
    try:
        return _oracle(weights)
    except (KeyError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path} is no oracle (emb, W_i ... b_o, W_out, b_out): {reason}") from None


def draw_oracle(seed: int = 0, vocabulary: int = VOCABULARY) -> Language:
    """An oracle of the paper's recipe: all weights from N(0, 1)."""
    rng = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {f"{kind}_{gate}": (DIM, DIM) for kind in "WU" for gate in _GATES}
    shapes |= {f"b_{gate}": (DIM,) for gate in _GATES}
    shapes |= {"emb": (vocabulary, DIM), "W_out": (DIM, vocabulary), "b_out": (vocabulary,)}
    return _oracle({name: rng.normal(size=shape) for name, shape in shapes.items()})


def _oracle(weights: Mapping[str, np.ndarray]) -> Language:
    table = weights["emb"]
    vocabulary, dim = table.shape
    values = [
        np.concatenate([np.zeros((FIRST_ITEM_ID, dim)), table]),
        *(np.concatenate([weights[f"{kind}_{gate}"] for gate in _GATES], axis=-1) for kind in "WUb"),
        weights["W_out"],
        weights["b_out"],
    ]
    generator = LSTMGenerator(vocabulary, dim, len(weights["U_i"]))
    generator.build((None, LENGTH))
    for variable, value in zip(generator.weights, values, strict=True):
        variable.assign(value)
    return Language(generator)
