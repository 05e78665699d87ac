"""A judge of item sequences: real, or written by a generator?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrec_zoo.layers.highway import Highway
from tfrec_zoo.layers.item_embedding import ItemEmbedding
from tfrec_zoo.layers.pooled_convolutions import PooledConvolutions


@keras.saving.register_keras_serializable("tfrec_zoo")
class SequenceDiscriminator(keras.layers.Layer):
    """Item embedding, pooled convolutions of many widths, highway, dropout, two classes.

    Args:
        catalog_size: Number of items.
        dim: Width of the embedding.
        widths: Of the filters.
        filters: Number of filters of every width.
        dropout: Share of dropped features before the last layer.

    Call args:
        item_ids: int (batch, length), of static length.

    Returns:
        float32 (batch, 2): logits of "generated" and of "real".

    Reference:
        Yu et al., SeqGAN, AAAI 2017, section 3.3.
    """

    def __init__(
        self,
        catalog_size: int,
        dim: int,
        widths: Sequence[int],
        filters: Sequence[int],
        dropout: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._config = {
            "catalog_size": catalog_size,
            "dim": dim,
            "widths": list(widths),
            "filters": list(filters),
            "dropout": dropout,
        }
        self._dim, self._features = dim, sum(filters)
        self._embedding = ItemEmbedding(catalog_size, dim, dropout=0.0, dtype=self.dtype_policy)
        self._convolutions = PooledConvolutions(widths, filters, dtype=self.dtype_policy)
        self._highway = Highway(dtype=self.dtype_policy)
        self._dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        self._classes = keras.layers.Dense(2, dtype="float32")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self._embedding.build(input_shape)
        self._convolutions.build((*input_shape, self._dim))
        for layer in (self._highway, self._classes):
            layer.build((None, self._features))

    def call(self, item_ids: Any, training: bool | None = None) -> Any:
        features = self._highway(self._convolutions(self._embedding(item_ids)))
        return self._classes(self._dropout(features, training=training))

    def probability_of_real(self, item_ids: tf.Tensor) -> tf.Tensor:
        """float32 (batch,)."""
        return tf.nn.softmax(self(item_ids, training=False))[:, 1]

    def penalty(self) -> tf.Tensor:
        """Half the squared weights of the last layer, which the paper's L2 term multiplies."""
        return tf.nn.l2_loss(self._classes.kernel.value) + tf.nn.l2_loss(self._classes.bias.value)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._config}
