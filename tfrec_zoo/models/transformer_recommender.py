"""What BERT4Rec and SASRec share: a `SequenceRecommender` whose network is a Transformer."""

from __future__ import annotations

from typing import ClassVar

import pydantic

from tfrec_zoo.backbones.transformer import TransformerBackbone
from tfrec_zoo.models.sequence_recommender import SequenceConfig, SequenceRecommender


class TransformerConfig(SequenceConfig):
    """Shape of a Transformer and its loss.

    Attributes:
        dim: Width of the network; a multiple of `heads`.
        blocks: Transformer blocks L.
        heads: Attention heads.
    """

    blocks: int = pydantic.Field(2, ge=1)
    heads: int = pydantic.Field(2, ge=1)

    @pydantic.model_validator(mode="after")
    def _heads_divide_the_width(self) -> TransformerConfig:
        if self.dim % self.heads:
            raise ValueError(f"dim ({self.dim}) must be a multiple of heads ({self.heads})")
        return self


class TransformerRecommender(SequenceRecommender):
    """A `SequenceRecommender` with a Transformer; the configuration is a `TransformerConfig`."""

    causal: ClassVar[bool]
    config: TransformerConfig

    def make_backbone(self) -> TransformerBackbone:
        c = self.config
        return TransformerBackbone(
            self.catalog_size,
            c.max_length,
            c.dim,
            c.blocks,
            c.heads,
            c.dropout,
            causal=self.causal,
            dtype=self.dtype_policy,
        )
