"""SASRec with the softmax: the causal twin of BERT4Rec, trained to name the next item at every position.

Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018; trained with the softmax over the catalogue
instead of one sampled negative, which Klenitskiy and Vasilev, "Turning Dross Into Gold Loss: is BERT4Rec really better
than SASRec?", RecSys 2023, found to be better.

    history  ->  item + position embedding  ->  L causal Transformer blocks
             ->  GELU dense, LayerNorm, tied item embeddings + bias
             ->  negative log-likelihood of item t + 1 at every position t

To predict, the last position is scored. Network, output layer and losses are those of bert4rec.py; only the mask of the
attention and the targets differ, so that the two can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf

from tfrec_zoo.models.transformer_recommender import TransformerConfig, TransformerRecommender
from tfrec_zoo.preprocessing.history import latest
from tfrec_zoo.preprocessing.next_item import next_items


@keras.saving.register_keras_serializable("tfrec_zoo")
class SASRec(TransformerRecommender):
    """SASRec over a catalogue: a position sees itself and what is older, its target is the item after it.

    See `TransformerRecommender` for arguments, call and errors; the configuration is a `TransformerConfig`.
    """

    name_in_zoo = "sasrec"
    config_class = TransformerConfig
    causal = True

    @property
    def history_length(self) -> int:
        return self.config.max_length + 1

    def training_task(self, batch: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        return next_items(batch["history"])

    def prediction_input(self, history: tf.Tensor) -> tf.Tensor:
        return latest(history, self.config.max_length)
