"""A tower: the fields of a user or an item through dense layers to a vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


@keras.saving.register_keras_serializable("tfrec_zoo")
class Tower(keras.layers.Layer):
    """Dense layers with batch normalisation, ReLU and dropout.

    Batch statistics are those of the global batch, on one device and on many.

    Args:
        units: Width of every layer.
        dropout: Share of dropped activations.
        batch_norm: Whether layers are normalised.
        linear: Whether the last layer gives its vector as it is, without ReLU and dropout.

    Call args:
        inputs: float (batch, ..., width).

    Returns:
        The output of every layer, float (batch, ..., units[i]): the last is the tower's vector.
    """

    def __init__(
        self,
        units: Sequence[int],
        dropout: float = 0.0,
        batch_norm: bool = True,
        linear: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units, self.dropout, self.batch_norm, self.linear = tuple(units), dropout, batch_norm, linear
        self._dense = [
            keras.layers.Dense(width, kernel_initializer="he_normal", dtype=self.dtype_policy) for width in self.units
        ]
        # A dataset has few steps an epoch at the batch sizes of these models: Keras' momentum of .99 would lag behind.
        self._norms = [
            keras.layers.BatchNormalization(momentum=0.9, synchronized=True, dtype=self.dtype_policy)
            for _ in self.units
            if batch_norm
        ]
        self._dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        for place, dense in enumerate(self._dense):
            dense.build(input_shape)
            input_shape = (*input_shape[:-1], self.units[place])
            if self.batch_norm:
                self._norms[place].build(input_shape)
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> list[Any]:
        outputs = [inputs]
        for place, dense in enumerate(self._dense):
            hidden = dense(outputs[-1])
            if self.batch_norm:
                hidden = self._norms[place](hidden, training=training)
            if not (self.linear and dense is self._dense[-1]):
                hidden = self._dropout(keras.ops.relu(hidden), training=training)
            outputs.append(hidden)
        return outputs[1:]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> list[tuple[int | None, ...]]:
        return [(*input_shape[:-1], width) for width in self.units]

    def get_config(self) -> dict[str, Any]:
        own = {"units": list(self.units), "dropout": self.dropout, "batch_norm": self.batch_norm}
        return {**super().get_config(), **own, "linear": self.linear}
