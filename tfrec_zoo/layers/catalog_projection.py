"""Output layer over the catalogue, tied to the item embeddings."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID


@keras.saving.register_keras_serializable("tfrec_zoo")
class CatalogProjection(keras.layers.Layer):
    """GELU dense d -> d, LayerNorm, then the dot product with every item's embedding plus a bias an item.

    The embedding matrix is an argument of the call and not a weight of this layer, so it is stored once.

    Args:
        catalog_size: Number of items: columns of the logits.

    Call args:
        hidden: float (..., dim).
        embeddings: float (4 + catalog_size, dim): the reserved ids' rows are left out.

    Returns:
        float32 (..., catalog_size); column j belongs to the item with id j + 4.

    Reference:
        Sun et al., BERT4Rec, CIKM 2019, section 3.5, equation 7.
    """

    def __init__(self, catalog_size: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)  # the embeddings stay in float32
        self.catalog_size = catalog_size
        self._norm = keras.layers.LayerNormalization(epsilon=1e-6, dtype=self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        dim = input_shape[-1]
        self._dense = keras.layers.Dense(dim, "gelu", dtype=self.dtype_policy)
        self._dense.build(input_shape)
        self._norm.build(input_shape)
        self.bias = self.add_weight(name="bias", shape=(self.catalog_size,), initializer="zeros", autocast=False)

    def queries(self, hidden: Any) -> Any:
        """What the item embeddings are multiplied with; float32 of the shape of `hidden`.

        In 16 bits the scores of a large catalogue would have far fewer values than there are items.
        """
        return ops.cast(self._norm(self._dense(hidden)), "float32")

    def call(self, hidden: Any, embeddings: Any) -> Any:
        # A transposed copy of the table would cost its memory.
        logits = tf.einsum("...d,nd->...n", self.queries(hidden), tf.convert_to_tensor(embeddings)[FIRST_ITEM_ID:])
        return logits + self.bias

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "catalog_size": self.catalog_size}
