"""Transformer over a right-aligned item sequence, bidirectional or causal."""

from typing import Any

import keras
from keras import ops

from tfrec_zoo.dataset_spec import PAD
from tfrec_zoo.layers.item_table import LookUp
from tfrec_zoo.layers.patching import Patches
from tfrec_zoo.layers.sequence_embedding import SequenceEmbedding
from tfrec_zoo.layers.transformer_block import TransformerBlock


@keras.saving.register_keras_serializable("tfrec_zoo")
class TransformerBackbone(keras.layers.Layer):
    """Sequence embedding followed by a stack of Transformer blocks.

    Args:
        catalog_size: Number of items.
        max_length: Longest sequence.
        dim: Width of every layer; a multiple of `heads`.
        blocks: Number of Transformer blocks.
        heads: Attention heads a block.
        dropout: Share of dropped activations.
        causal: Whether a position sees only itself and what is older, or the whole sequence.

    Call args:
        item_ids: int (batch, length), right-aligned, length at most `max_length`. No item attends to PAD.
        patches: As many as `patch_places`, None where there is none; default: none at all.
        look_up: As of the embedding.

    Returns:
        float (batch, length, dim); arbitrary at PAD.

    Reference:
        Sun et al., BERT4Rec, CIKM 2019, sections 3.3 and 3.4; causal as in Kang and McAuley, SASRec, ICDM 2018.
    """

    def __init__(
        self,
        catalog_size: int,
        max_length: int,
        dim: int,
        blocks: int,
        heads: int,
        dropout: float,
        causal: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._config = {
            "catalog_size": catalog_size,
            "max_length": max_length,
            "dim": dim,
            "blocks": blocks,
            "heads": heads,
            "dropout": dropout,
            "causal": causal,
        }
        self.dim, self.causal = dim, causal
        self.embedding = SequenceEmbedding(catalog_size, max_length, dim, dropout, dtype=self.dtype_policy)
        self.blocks = [TransformerBlock(dim, heads, dropout, dtype=self.dtype_policy) for _ in range(blocks)]
        self.patch_places = [place for block in self.blocks for place in block.patch_places]

    @property
    def layer_parameters(self) -> int:
        """Parameters of the attention and feed-forward layers, biases included."""
        return sum(block.layer_parameters for block in self.blocks)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.embedding.build(input_shape)
        for block in self.blocks:
            block.build((*input_shape, self.dim))

    def call(
        self, item_ids: Any, patches: Patches | None = None, look_up: LookUp | None = None, training: bool | None = None
    ) -> Any:
        attends = (item_ids != PAD)[:, None, :]
        if self.causal:
            columns = ops.arange(ops.shape(item_ids)[1])
            attends = attends & (columns[None, :] <= columns[:, None])[None]
        hidden = self.embedding(item_ids, look_up=look_up, training=training)
        first = 0
        for block in self.blocks:
            last = first + len(block.patch_places)
            hidden = block(hidden, attends, patches=patches and patches[first:last], training=training)
            first = last
        return hidden

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._config}
