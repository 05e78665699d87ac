"""Roll-outs: what a prefix of a sequence is worth, by completing it many times and judging what comes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfrec_zoo.backbones.lstm_generator import LSTMGenerator, State
from tfrec_zoo.replicas import uniforms_of_rows


@keras.saving.register_keras_serializable("tfrec_zoo")
class RolloutPolicy(keras.layers.Layer):
    """A copy of a generator that follows it slowly and completes its sequences.

    Args:
        catalog_size: Number of items.
        dim: Width of the generator's embedding.
        units: Width of its LSTM.
        rate: Share of the copy's own weights that `follow` keeps.

    Reference:
        Yu et al., SeqGAN, AAAI 2017, section 3.1, equations 3 and 4.
    """

    def __init__(self, catalog_size: int, dim: int, units: int, rate: float, **kwargs: Any) -> None:
        super().__init__(trainable=False, **kwargs)
        self._config = {"catalog_size": catalog_size, "dim": dim, "units": units, "rate": rate}
        self.rate = rate
        self.generator = LSTMGenerator(catalog_size, dim, units, dtype=self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.generator.build(input_shape)
        self.generator.trainable = False

    def copy(self, generator: LSTMGenerator) -> None:
        """Takes over all weights."""
        for own, other in zip(self.generator.weights, generator.weights, strict=True):
            own.assign(other)

    def follow(self, generator: LSTMGenerator) -> None:
        """Moves to rate * own + (1 - rate) * the generator's weights; the embeddings are copied."""
        embeddings = {id(variable) for variable in self.generator.embedding.weights}
        for own, other in zip(self.generator.weights, generator.weights, strict=True):
            moved = other if id(own) in embeddings else self.rate * own + (1.0 - self.rate) * other
            own.assign(moved)

    def rewards(
        self,
        item_ids: tf.Tensor,
        last: tf.Tensor,
        state: State,
        score: Callable[[tf.Tensor, int], tf.Tensor],
        samples: int,
        seed: tf.Tensor,
    ) -> tf.Tensor:
        """Action values of every item of generated sequences, in one call of the graph.

        Of an item with others after it, the mean score of `samples` completions of the prefix that it ends; of the last
        item, the score of the sequence. The loop over prefixes holds a loop over places, so that the graph is as small
        for long sequences as for short ones.

        Args:
            item_ids: int32 (batch, length), of static length: what the generator wrote.
            last: int32 (batch,), the item before.
            state: Of this policy, after everything before that item.
            score: From sequences int32 (batch * n, length), n in a row for each of the batch, and n to float32
                (batch * n,).
            samples: Completions of a prefix.
            seed: int32 (2,); the completions of prefix t are drawn with (seed[0], seed[1] + t).

        Returns:
            float32 (batch, length).
        """
        length, batch = item_ids.shape[1], tf.shape(item_ids)[0]

        def of_prefix(known: tf.Tensor, state: State, values: tf.TensorArray) -> tuple[Any, ...]:
            completed = self.complete(item_ids, known, state, samples, seed)
            scores = tf.reshape(score(completed, samples), (batch, samples))
            state = self.generator.advance(item_ids[:, known - 1], state)
            return known + 1, state, values.write(known - 1, tf.reduce_mean(scores, axis=1))

        values = tf.TensorArray(tf.float32, size=length, element_shape=(item_ids.shape[0],))
        _, _, values = tf.while_loop(
            lambda known, *_: known < length,
            of_prefix,
            (1, self.generator.advance(last, state), values),
            parallel_iterations=1,
        )
        return tf.transpose(values.write(length - 1, score(item_ids, 1)).stack())

    def complete(
        self, item_ids: tf.Tensor, known: tf.Tensor | int, state: State, samples: int, seed: tf.Tensor
    ) -> tf.Tensor:
        """Completes prefixes.

        Args:
            item_ids: int32 (batch, length), of static length.
            known: Items of the prefix, at least 1.
            state: After everything before the prefix's last item.
            samples: Completions of each.
            seed: As of `rewards`.

        Returns:
            int32 (batch * samples, length), the completions of a row after one another.
        """
        length, rows = item_ids.shape[1], samples * tf.shape(item_ids)[0]
        uniforms = uniforms_of_rows(tf.stack([seed[0], seed[1] + known]), length - known, rows)
        repeated = tf.repeat(item_ids, samples, axis=0)
        output, cell = (tf.repeat(part, samples, axis=0) for part in state)
        new = self.generator.generate(repeated[:, known - 1], (output, cell), uniforms)
        return tf.ensure_shape(tf.concat([repeated[:, :known], new], axis=1), (None, length))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._config}
