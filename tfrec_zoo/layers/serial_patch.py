"""Model patches: small bottlenecks that are added to a trained layer and start as the identity."""

from typing import Any, ClassVar

import keras


@keras.saving.register_keras_serializable("tfrec_zoo")
class SerialPatch(keras.layers.Layer):
    """Passes a layer's output through a bottleneck residual unit, `output + up(gelu(down(output)))`.

    `up` starts at zero, so that a new patch changes nothing, to the bit.

    Args:
        bottleneck: Width between `down` and `up`.

    Call args:
        output: float (..., dim): of the patched layer.
        inputs: float (..., any): of the patched layer; the parallel patch reads it.

    Returns:
        float (..., dim).

    Reference:
        Yuan et al., Parameter-Efficient Transfer from Sequential Behaviors for User Modeling and Recommendation, SIGIR
        2020, section 3.3, model patch.

    Example:
        >>> patch = SerialPatch(bottleneck=2)
        >>> output = keras.ops.ones((1, 3, 8))
        >>> bool((patch(output, output) == output).numpy().all())
        True
    """

    parallel: ClassVar[bool] = False

    def __init__(self, bottleneck: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bottleneck = bottleneck
        self._down = keras.layers.Dense(bottleneck, "gelu", dtype=self.dtype_policy)

    def build(self, output_shape: tuple[int | None, ...], inputs_shape: tuple[int | None, ...]) -> None:
        self._down.build(inputs_shape if self.parallel else output_shape)
        self._up = keras.layers.Dense(output_shape[-1], kernel_initializer="zeros", dtype=self.dtype_policy)
        self._up.build((*output_shape[:-1], self.bottleneck))

    def call(self, output: Any, inputs: Any) -> Any:
        return output + self._up(self._down(inputs if self.parallel else output))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bottleneck": self.bottleneck}


@keras.saving.register_keras_serializable("tfrec_zoo")
class ParallelPatch(SerialPatch):
    """Adds a bottleneck that reads what the layer reads: `output + up(gelu(down(inputs)))`; else as `SerialPatch`."""

    parallel = True
