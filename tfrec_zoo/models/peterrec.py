"""PeterRec: one pre-trained network of dilated convolutions, many tasks by small patches.

Yuan et al., "Parameter-Efficient Transfer from Sequential Behaviors for User Modeling and Recommendation", SIGIR 2020;
the network is that of NextItNet: Yuan et al., "A Simple Convolutional Generative Network for Next Item Recommendation",
WSDM 2019.

    history  ->  item embedding  ->  residual blocks of dilated convolutions (3.2, figure 2)
             ->  GELU dense, LayerNorm, tied item embeddings + bias
             ->  causal: negative log-likelihood of item t + 1 at every position t (3.2, eq. 1 and 2)
                 else:   cloze, as Yuan et al., "Future Data Helps Training", WWW 2020, do

This file is the pre-training (3.2) and, alone, a sequential recommender. models/transfer_task.py is the fine-tuning
(3.3): patches are put into this network and a head on it, the network itself stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import pydantic
import tensorflow as tf

from tfrec_zoo.backbones.dilated_conv import DilatedConvBackbone
from tfrec_zoo.dataset_spec import MASK
from tfrec_zoo.models.recommender import DIVERSIFIES
from tfrec_zoo.models.sequence_recommender import SequenceConfig, SequenceRecommender
from tfrec_zoo.preprocessing.cloze import cloze
from tfrec_zoo.preprocessing.history import append_token, latest
from tfrec_zoo.preprocessing.next_item import next_items


class PeterRecConfig(SequenceConfig):
    """Network and pre-training of PeterRec.

    Attributes:
        dilations: Dilation l of every residual block; its two convolutions have l and 2l.
        kernel_size: Taps of a convolution; odd where it is not causal.
        causal: Next item at every position; otherwise cloze, with MASK appended to predict.
        mask_rate: Share of a history's items that the cloze hides.
        last_item_share: Share of the histories of which the cloze hides exactly the last item.
        negatives: As of `SequenceConfig`; here a fifth of the catalogue by default, at most 8192.
    """

    dilations: tuple[pydantic.PositiveInt, ...] = pydantic.Field((1, 4, 1, 4, 1, 4, 1, 4), min_length=1)
    kernel_size: int = pydantic.Field(3, ge=2)
    causal: bool = True
    dropout: float = pydantic.Field(0.1, ge=0, lt=1)
    negatives: int | None = pydantic.Field(None, ge=1)
    mask_rate: float = pydantic.Field(0.3, gt=0, le=1)
    last_item_share: float = pydantic.Field(0.0, ge=0, le=1)

    @pydantic.model_validator(mode="after")
    def _both_sides_are_alike(self) -> PeterRecConfig:
        if not self.causal and self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size ({self.kernel_size}) must be odd where the network is not causal")
        return self


@keras.saving.register_keras_serializable("tfrec_zoo")
class PeterRec(SequenceRecommender):
    """PeterRec's network over a catalogue, as it is pre-trained.

    See `SequenceRecommender` for arguments, call and errors; the configuration is a `PeterRecConfig`.
    """

    name_in_zoo = "peterrec"
    capabilities = SequenceRecommender.capabilities | {DIVERSIFIES}
    config_class = PeterRecConfig
    config: PeterRecConfig

    def make_backbone(self) -> DilatedConvBackbone:
        c = self.config
        return DilatedConvBackbone(
            self.catalog_size, c.dim, c.dilations, c.kernel_size, c.dropout, c.causal, dtype=self.dtype_policy
        )

    @property
    def fills_gaps(self) -> bool:
        return not self.config.causal

    @property
    def history_length(self) -> int:
        return self.config.max_length + 1 if self.config.causal else self.config.max_length

    def training_task(self, batch: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        c = self.config
        if c.causal:
            return next_items(batch["history"])
        masked = cloze(batch["history"], c.mask_rate, None, c.last_item_share, batch["seed"])
        return {"item_ids": masked.item_ids, "positions": masked.positions}, masked.targets, masked.weights

    def prediction_input(self, history: tf.Tensor) -> tf.Tensor:
        if self.config.causal:
            return latest(history, self.config.max_length)
        return append_token(latest(history, self.config.max_length - 1), MASK)
