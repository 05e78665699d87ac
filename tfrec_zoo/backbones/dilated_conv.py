"""Dilated convolutions over a right-aligned item sequence, causal or looking both ways."""

from collections.abc import Sequence
from typing import Any

import keras

from tfrec_zoo.dataset_spec import PAD
from tfrec_zoo.layers.dilated_residual_block import DilatedResidualBlock
from tfrec_zoo.layers.item_embedding import ItemEmbedding
from tfrec_zoo.layers.item_table import LookUp
from tfrec_zoo.layers.patching import Patches


@keras.saving.register_keras_serializable("tfrec_zoo")
class DilatedConvBackbone(keras.layers.Layer):
    """Item embedding followed by a stack of dilated residual blocks.

    Order is known from the convolutions alone, so that a sequence may have any length; what lies beyond its ends, or is
    PAD, is zero at every layer.

    Args:
        catalog_size: Number of items.
        dim: Width of every layer.
        dilations: Dilation l of every block; its two convolutions have l and 2l.
        kernel_size: Taps of a convolution.
        dropout: Share of dropped activations.
        causal: Whether a position sees only itself and what is older, or both sides.

    Call args:
        item_ids: int (batch, length), right-aligned.
        patches: As many as `patch_places`, None where there is none; default: none at all.
        look_up: As of the embedding.

    Returns:
        float (batch, length, dim); zeros at PAD.

    Reference:
        Yuan et al., PeterRec, SIGIR 2020, section 3.2; both ways as in Yuan et al., Future Data Helps Training, WWW
        2020.
    """

    def __init__(
        self,
        catalog_size: int,
        dim: int,
        dilations: Sequence[int],
        kernel_size: int,
        dropout: float,
        causal: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._config = {
            "catalog_size": catalog_size,
            "dim": dim,
            "dilations": list(dilations),
            "kernel_size": kernel_size,
            "dropout": dropout,
            "causal": causal,
        }
        self.dim, self.causal = dim, causal
        self._kernel_size, self._dilations = kernel_size, tuple(dilations)
        self.embedding = ItemEmbedding(catalog_size, dim, dropout, dtype=self.dtype_policy)
        self.blocks = [
            DilatedResidualBlock(dim, kernel_size, dilation, dropout, causal, dtype=self.dtype_policy)
            for dilation in dilations
        ]
        self.patch_places = [place for block in self.blocks for place in block.patch_places]

    @property
    def receptive_field(self) -> int:
        """Columns that can reach one position's output."""
        return 1 + (self._kernel_size - 1) * sum(dilation + 2 * dilation for dilation in self._dilations)

    @property
    def layer_parameters(self) -> int:
        """Parameters of the convolutions, biases included."""
        return sum(layer.count_params() for block in self.blocks for layer in block.convolutions)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.embedding.build(input_shape)
        for block in self.blocks:
            block.build((*input_shape, self.dim))

    def call(
        self, item_ids: Any, patches: Patches | None = None, look_up: LookUp | None = None, training: bool | None = None
    ) -> Any:
        real = item_ids != PAD
        hidden = self.embedding(item_ids, look_up=look_up, training=training)
        first = 0
        for block in self.blocks:
            last = first + len(block.patch_places)
            hidden = block(hidden, real, patches=patches and patches[first:last], training=training)
            first = last
        return hidden

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._config}
