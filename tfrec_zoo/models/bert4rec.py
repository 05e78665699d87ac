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

import keras
import pydantic
import tensorflow as tf

from tfrec_zoo.dataset_spec import MASK
from tfrec_zoo.models.transformer_recommender import TransformerConfig, TransformerRecommender
from tfrec_zoo.preprocessing.cloze import cloze
from tfrec_zoo.preprocessing.history import append_token, latest


class Bert4RecConfig(TransformerConfig):
    """Network, loss and masks of a BERT4Rec; the defaults are the paper's for MovieLens, at length 50.

    To predict, the latest max_length - 1 items and MASK are read.

    Attributes:
        mask_rate: Share p of a history's items to hide.
        masks_per_sequence: At most so many hidden items a history; default: as many as `mask_rate` hides.
        last_item_share: Share of the histories that hide exactly their last item, as at prediction time.
    """

    mask_rate: float = pydantic.Field(0.2, gt=0, le=1)
    masks_per_sequence: int | None = pydantic.Field(None, ge=1)
    last_item_share: float = pydantic.Field(0.0, ge=0, le=1)


@keras.saving.register_keras_serializable("tfrec_zoo")
class Bert4Rec(TransformerRecommender):
    """BERT4Rec over a catalogue: every position sees the whole history, hidden items are the targets.

    See `TransformerRecommender` for arguments, call and errors; the configuration is a `Bert4RecConfig`.
    """

    name_in_zoo = "bert4rec"
    config_class = Bert4RecConfig
    config: Bert4RecConfig
    causal = False

    @property
    def fills_gaps(self) -> bool:
        return True

    @property
    def history_length(self) -> int:
        return self.config.max_length

    def training_task(self, batch: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        c = self.config
        masked = cloze(batch["history"], c.mask_rate, c.masks_per_sequence, c.last_item_share, batch["seed"])
        return {"item_ids": masked.item_ids, "positions": masked.positions}, masked.targets, masked.weights

    def prediction_input(self, history: tf.Tensor) -> tf.Tensor:
        return append_token(latest(history, self.config.max_length - 1), MASK)
