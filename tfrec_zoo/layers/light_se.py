"""Light-SE: fields weighed by how important they are for this user or item."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("tfrec_zoo")
class LightSE(keras.layers.Layer):
    """Weighs every field's vector by a softmax over the fields, and adds the vector itself.

    Call args:
        fields: float (batch, fields, dim).

    Returns:
        The same shape: `fields * softmax(W mean(fields) + b) + fields`.

    Reference:
        Li et al., IntTower, CIKM 2022, section 3.2.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        count = input_shape[1]
        self._dense = keras.layers.Dense(count, dtype=self.dtype_policy)
        self._dense.build((input_shape[0], count))
        self.built = True

    def call(self, fields: Any) -> Any:
        weights = ops.softmax(self._dense(ops.mean(fields, axis=-1)), axis=-1)
        return fields * weights[..., None] + fields
