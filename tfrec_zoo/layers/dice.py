"""Dice: an activation whose bend follows the distribution of its input."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("tfrec_zoo")
class Dice(keras.layers.Layer):
    """PReLU with a soft bend at the mean of the batch.

    Call args:
        inputs: float (..., width).

    Returns:
        The same shape: `p x + (1 - p) alpha x` with `p = sigmoid((x - mean) / deviation)`; outside of training mean
        and deviation are running averages.

    Reference:
        Zhou et al., Deep Interest Network, KDD 2018, section 5.3, equation 8.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self._norm = keras.layers.BatchNormalization(
            momentum=0.9, center=False, scale=False, synchronized=True, dtype=self.dtype_policy
        )
        self._norm.build(input_shape)
        self.alpha = self.add_weight(name="alpha", shape=(input_shape[-1],), initializer="zeros")
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        share = ops.sigmoid(self._norm(inputs, training=training))
        return share * inputs + (1.0 - share) * self.alpha * inputs
