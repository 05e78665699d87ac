"""BERT4Rec: a bidirectional Transformer that names hidden items.

Sun et al., "BERT4Rec: Sequential Recommendation with Bidirectional Encoder Representations from Transformer", CIKM
2019.

    history  ->  cloze (3.6)  ->  item + position embedding (3.4)  ->  L Transformer blocks (3.3)
             ->  hidden positions only  ->  GELU dense, LayerNorm, tied item embeddings + bias (3.5, eq. 7)
             ->  negative log-likelihood of the hidden items (3.6, eq. 8)

To predict, MASK is appended after the history and its position is scored (3.6, "Test").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import pydantic
import tensorflow as tf

from tfrec_zoo.backbones.transformer import TransformerBackbone
from tfrec_zoo.config import Config
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, MASK
from tfrec_zoo.layers.catalog_projection import CatalogProjection
from tfrec_zoo.models.recommender import SCORES_CATALOGUE, Recommender
from tfrec_zoo.preprocessing.cloze import cloze
from tfrec_zoo.preprocessing.history import append_token, latest


class Bert4RecConfig(Config):
    """Shape and objective of a BERT4Rec; the defaults are the paper's for MovieLens, at length 50.

    Attributes:
        dim: Width of the network; a multiple of `heads`.
        blocks: Transformer blocks L.
        heads: Attention heads.
        max_length: Columns of the network's input; to predict, the latest max_length - 1 items and MASK.
        dropout: Share of dropped activations.
        mask_rate: Share p of a history's items to hide.
        masks_per_sequence: At most so many hidden items a history; default: 1.5 times the expected number.
        last_item_share: Share of the histories that hide exactly their last item, as at prediction time.
    """

    dim: int = pydantic.Field(64, ge=1)
    blocks: int = pydantic.Field(2, ge=1)
    heads: int = pydantic.Field(2, ge=1)
    max_length: int = pydantic.Field(50, ge=2)
    dropout: float = pydantic.Field(0.2, ge=0, lt=1)
    mask_rate: float = pydantic.Field(0.2, gt=0, le=1)
    masks_per_sequence: int | None = pydantic.Field(None, ge=1)
    last_item_share: float = pydantic.Field(0.0, ge=0, le=1)

    @pydantic.model_validator(mode="after")
    def _heads_divide_the_width(self) -> Bert4RecConfig:
        if self.dim % self.heads:
            raise ValueError(f"dim ({self.dim}) must be a multiple of heads ({self.heads})")
        return self


@keras.saving.register_keras_serializable("tfrec_zoo")
class Bert4Rec(Recommender):
    """BERT4Rec over a catalogue.

    Args:
        catalog_size: Number of items.
        config: `Bert4RecConfig` or its values.

    Call args:
        inputs: "item_ids" int32 (batch, length), right-aligned, MASK at hidden items; "positions" int32 (batch,
            masks), the columns to predict.

    Returns:
        float32 (batch, masks, catalog_size): logits of the hidden items; column j belongs to the item with id j + 4.

    Raises:
        ConfigError: An unknown key or a value out of its range.
    """

    name_in_zoo = "bert4rec"
    capabilities = frozenset({SCORES_CATALOGUE})
    config_class = Bert4RecConfig
    config: Bert4RecConfig

    def __init__(self, catalog_size: int, config: Bert4RecConfig | Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(catalog_size, config, **kwargs)
        c = self.config
        self.backbone = TransformerBackbone(catalog_size, c.max_length, c.dim, c.blocks, c.heads, c.dropout)
        self.projection = CatalogProjection(catalog_size)
        self.backbone.build((None, c.max_length))
        self.projection.build((None, c.dim))
        self.built = True

    @property
    def history_length(self) -> int:
        return self.config.max_length

    def training_inputs(self, batch: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        c = self.config
        masks = c.masks_per_sequence or min(c.max_length, max(1, round(1.5 * c.mask_rate * c.max_length)))
        masked = cloze(batch["history"], c.mask_rate, masks, c.last_item_share, batch["seed"])
        return {"item_ids": masked.item_ids, "positions": masked.positions}, masked.targets, masked.weights

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        hidden = self.backbone(inputs["item_ids"], training=training)
        # Gathering before the projection keeps its cost at masks x catalogue instead of length x catalogue.
        hidden = tf.gather(hidden, inputs["positions"], batch_dims=1)
        return self.projection(hidden, self.backbone.embedding.item_embeddings)

    def target_losses(self, inputs: Any, targets: tf.Tensor, training: bool) -> tf.Tensor:
        logits = self(inputs, training=training)
        # Unused places may hold PAD; their weight is 0, their column just has to exist.
        columns = tf.maximum(targets - FIRST_ITEM_ID, 0)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(columns, tf.cast(logits, tf.float32))

    def score(self, history: tf.Tensor) -> tf.Tensor:
        item_ids = append_token(latest(history, self.config.max_length - 1), MASK)
        last = tf.fill((tf.shape(item_ids)[0], 1), self.config.max_length - 1)
        return self({"item_ids": item_ids, "positions": last}, training=False)[:, 0]
