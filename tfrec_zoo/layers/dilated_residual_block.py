"""One residual block of dilated convolutions, as NextItNet and PeterRec have it."""

from typing import Any

import keras
from keras import ops

from tfrec_zoo.layers.patching import LAYER, NORM, Patches, Place, patched


@keras.saving.register_keras_serializable("tfrec_zoo")
class DilatedResidualBlock(keras.layers.Layer):
    """Convolution, LayerNorm, ReLU with dilation l, the same with dilation 2l, plus the block's input.

    Args:
        dim: Width of the block.
        kernel_size: Taps of a convolution.
        dilation: l.
        dropout: Share dropped from the residual branch.
        causal: Whether a position reads only itself and what is older, or as many columns on both sides.

    Call args:
        hidden: float (batch, length, dim), zeros at PAD.
        real: bool (batch, length), False at PAD.
        patches: Two for each convolution: after it, and after its LayerNorm.

    Returns:
        float (batch, length, dim), zeros at PAD: padding is what a convolution reads beyond the ends of a sequence.

    Reference:
        Yuan et al., A Simple Convolutional Generative Network for Next Item Recommendation, WSDM 2019, section 4.2;
        Yuan et al., PeterRec, SIGIR 2020, section 3.2.
    """

    def __init__(
        self, dim: int, kernel_size: int, dilation: int, dropout: float, causal: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._config = {
            "dim": dim,
            "kernel_size": kernel_size,
            "dilation": dilation,
            "dropout": dropout,
            "causal": causal,
        }
        shared = {"dtype": self.dtype_policy}
        self.convolutions = [
            keras.layers.Conv1D(
                dim,
                kernel_size,
                padding="causal" if causal else "same",
                dilation_rate=rate,
                kernel_initializer="he_normal",
                **shared,
            )
            for rate in (dilation, 2 * dilation)
        ]
        self._norms = [keras.layers.LayerNormalization(epsilon=1e-6, **shared) for _ in self.convolutions]
        self._dropout = keras.layers.Dropout(dropout, **shared)
        self.patch_places = [Place(LAYER, dim, dim), Place(NORM, dim, dim)] * len(self.convolutions)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        for layer in (*self.convolutions, *self._norms):
            layer.build(input_shape)

    def call(self, hidden: Any, real: Any, patches: Patches | None = None, training: bool | None = None) -> Any:
        after = iter(patches or [None] * len(self.patch_places))
        branch = hidden
        for convolution, norm in zip(self.convolutions, self._norms, strict=True):
            convolved = patched(next(after), convolution(branch), branch)
            branch = ops.relu(patched(next(after), norm(convolved), convolved))
            # Bias and LayerNorm make something of nothing: without this, padding would flow into the next layer.
            branch = ops.where(real[..., None], branch, ops.zeros_like(branch))
        return hidden + self._dropout(branch, training=training)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._config}
