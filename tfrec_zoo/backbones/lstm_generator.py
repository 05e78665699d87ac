"""A language model of items: reads a sequence item by item, says what comes next, and writes on by itself."""

from __future__ import annotations

from typing import Any, TypeAlias

import keras
import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, PAD
from tfrec_zoo.layers.item_embedding import ItemEmbedding
from tfrec_zoo.samplers.categorical import draw

State: TypeAlias = tuple[tf.Tensor, tf.Tensor]
"""Output and cell of the LSTM: float (batch, units) each."""


@keras.saving.register_keras_serializable("tfrec_zoo")
class LSTMGenerator(keras.layers.Layer):
    """Item embedding, LSTM, softmax over the catalogue.

    PAD leaves the state as it is, so that padding on the left changes nothing.

    Args:
        catalog_size: Number of items.
        dim: Width of the embedding.
        units: Width of the LSTM.

    Call args:
        item_ids: int (batch, length), right-aligned.

    Returns:
        float (batch, length, units): the output after every item.

    Reference:
        Yu et al., SeqGAN, AAAI 2017, section 3.2, equations 8 and 9; no bias of the forget gate.
    """

    def __init__(self, catalog_size: int, dim: int, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._config = {"catalog_size": catalog_size, "dim": dim, "units": units}
        self.catalog_size, self.dim, self.units = catalog_size, dim, units
        self.embedding = ItemEmbedding(catalog_size, dim, dropout=0.0, dtype=self.dtype_policy)
        # CuDNN's LSTM reads sequences that are padded on the right alone.
        self.lstm = keras.layers.LSTM(
            units,
            unit_forget_bias=False,
            return_sequences=True,
            return_state=True,
            use_cudnn=False,
            dtype=self.dtype_policy,
        )
        # In 16 bits the scores of a large catalogue would have far fewer values than there are items.
        self.projection = keras.layers.Dense(catalog_size, dtype="float32")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.embedding.build(input_shape)
        self.lstm.build((*input_shape, self.dim))
        self.projection.build((None, self.units))

    def call(self, item_ids: Any) -> Any:
        return self._read(item_ids)[0]

    def logits(self, item_ids: tf.Tensor) -> tf.Tensor:
        """What may follow every item of a sequence: float32 (batch, length, catalog_size)."""
        return self.projection(self(item_ids))

    def state_after(self, item_ids: tf.Tensor) -> State:
        """The state after a sequence, int (batch, length) of static length, which may be 0."""
        if item_ids.shape[1] == 0:
            zeros = tf.zeros((tf.shape(item_ids)[0], self.units), self.compute_dtype)
            return zeros, zeros
        _, output, cell = self._read(item_ids)
        return output, cell

    def advance(self, item_ids: tf.Tensor, state: State) -> State:
        """The state after one more item, int (batch,)."""
        _, (output, cell) = self.lstm.cell(self.embedding(item_ids), state)
        return output, cell

    def generate(self, last: tf.Tensor, state: State, uniforms: tf.Tensor, temperature: float = 1.0) -> tf.Tensor:
        """Writes on, in one loop of the graph.

        Args:
            last: int32 (batch,), the item that stands before.
            state: After everything before that item.
            uniforms: float32 (steps, batch), uniform in [0, 1): what chooses the items.
            temperature: Of the softmax; 0 takes the likeliest item.

        Returns:
            int32 (batch, steps).
        """
        steps = tf.shape(uniforms)[0]

        def step(place: tf.Tensor, last: tf.Tensor, state: State, written: tf.TensorArray) -> tuple[Any, ...]:
            state = self.advance(last, state)
            item_ids = FIRST_ITEM_ID + draw(self.projection(state[0]), uniforms[place], temperature)
            return place + 1, item_ids, state, written.write(place, item_ids)

        written = tf.TensorArray(tf.int32, size=steps, element_shape=(last.shape[0],))
        _, _, _, written = tf.while_loop(
            lambda place, *_: place < steps, step, (0, last, state, written), parallel_iterations=1
        )
        return tf.transpose(written.stack())

    def _read(self, item_ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        return self.lstm(self.embedding(item_ids), mask=item_ids != PAD)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._config}
