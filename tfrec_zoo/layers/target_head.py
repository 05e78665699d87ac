"""The head of a task: what the user's vector is multiplied with."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("tfrec_zoo")
class TargetHead(keras.layers.Layer):
    """Dot product of a user vector with a vector for every target (an item of another domain, a class), plus a bias.

    Args:
        targets: Number of targets.

    Call args:
        users: float (..., dim).

    Returns:
        float (..., targets).
    """

    def __init__(self, targets: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.targets = targets

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        initializer = keras.initializers.TruncatedNormal(stddev=0.02)
        self.vectors = self.add_weight(name="vectors", shape=(self.targets, input_shape[-1]), initializer=initializer)
        self.bias = self.add_weight(name="bias", shape=(self.targets,), initializer="zeros")

    def call(self, users: Any) -> Any:
        return ops.matmul(users, ops.transpose(self.vectors)) + self.bias

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "targets": self.targets}
