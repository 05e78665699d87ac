"""Highway layer: a gate decides how much of a vector is transformed and how much of it passes."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("tfrec_zoo")
class Highway(keras.layers.Layer):
    """g * relu(W x + b) + (1 - g) * x with the gate g = sigmoid(V x + c); c begins at -2, so that x passes at first.

    Call args:
        vectors: float (..., dim).

    Returns:
        float (..., dim).

    Reference:
        Srivastava et al., Highway Networks, 2015, equation 3; as in Yu et al., SeqGAN, AAAI 2017, appendix.
    """

    def build(self, input_shape: tuple[Any, ...]) -> None:
        dim = input_shape[-1]
        # Both as one product.
        self.kernel = self.add_weight(name="kernel", shape=(dim, 2 * dim), initializer="glorot_uniform")
        self.transform_bias = self.add_weight(name="transform_bias", shape=(dim,), initializer="zeros")
        self.gate_bias = self.add_weight(name="gate_bias", shape=(dim,), initializer=keras.initializers.Constant(-2.0))

    def call(self, vectors: Any) -> Any:
        transform, gate = ops.split(ops.matmul(vectors, self.kernel), 2, axis=-1)
        gate = ops.sigmoid(gate + self.gate_bias)
        return gate * ops.relu(transform + self.transform_bias) + (1.0 - gate) * vectors
