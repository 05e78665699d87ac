"""A task's own scale and shift after a normalisation that it shares with other tasks."""

from typing import Any

import keras


@keras.saving.register_keras_serializable("tfrec_zoo")
class ScaleShift(keras.layers.Layer):
    """Computes `output * (1 + scale) + shift`, which starts as the identity, to the bit.

    After a LayerNorm it reaches whatever training the LayerNorm's own weights would, and leaves them alone.

    Call args:
        output: float (..., dim).
        inputs: Not read; every patch is called alike.

    Returns:
        float (..., dim).
    """

    def build(self, output_shape: tuple[int | None, ...], inputs_shape: tuple[int | None, ...]) -> None:
        self.scale = self.add_weight(name="scale", shape=output_shape[-1:], initializer="zeros")
        self.shift = self.add_weight(name="shift", shape=output_shape[-1:], initializer="zeros")

    def call(self, output: Any, inputs: Any) -> Any:
        return output * (1.0 + self.scale) + self.shift
