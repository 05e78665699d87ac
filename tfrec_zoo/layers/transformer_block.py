"""One Transformer block with the normalisation after each residual, as BERT and BERT4Rec have it."""

from typing import Any

import keras

from tfrec_zoo.layers.patching import LAYER, NORM, Patches, Place, patched


@keras.saving.register_keras_serializable("tfrec_zoo")
class TransformerBlock(keras.layers.Layer):
    """Multi-head self-attention, then a position-wise feed-forward d -> 4d -> d with GELU; Add & Norm after each.

    Args:
        dim: Width d; a multiple of `heads`.
        heads: Attention heads.
        dropout: Share dropped from the attention weights and from both residual branches.

    Call args:
        hidden: float (batch, length, dim).
        attends: bool (batch, 1 or length, length): which columns each position, or every position, attends to. A row
            without any attends to all columns alike, so it stays finite.
        patches: After the attention, after its LayerNorm, after the feed-forward, after its LayerNorm.

    Returns:
        float (batch, length, dim).

    Reference:
        Sun et al., BERT4Rec, CIKM 2019, section 3.3, equations 1 to 5.
    """

    def __init__(self, dim: int, heads: int, dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dim, self.heads, self.dropout = dim, heads, dropout
        shared = {"dtype": self.dtype_policy}
        # Keras' Glorot kernels: with BERT's narrow ones (deviation 0.02) a stack of width 64 passes so little signal
        # that the loss stays at the popularity level for the first few hundred steps.
        self._attention = keras.layers.MultiHeadAttention(heads, dim // heads, dropout=dropout, **shared)
        self._expand = keras.layers.Dense(4 * dim, "gelu", **shared)
        self._contract = keras.layers.Dense(dim, **shared)
        self._attention_norm = keras.layers.LayerNormalization(epsilon=1e-6, **shared)
        self._feed_forward_norm = keras.layers.LayerNormalization(epsilon=1e-6, **shared)
        self._dropout = keras.layers.Dropout(dropout, **shared)
        self.patch_places = [Place(LAYER, dim, dim), Place(NORM, dim, dim)] * 2

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self._attention.build(input_shape, input_shape)
        self._attention_norm.build(input_shape)
        self._expand.build(input_shape)
        self._contract.build((*input_shape[:-1], 4 * self.dim))
        self._feed_forward_norm.build(input_shape)

    @property
    def layer_parameters(self) -> int:
        """Parameters of what can be patched, LayerNorms left out."""
        return sum(layer.count_params() for layer in (self._attention, self._expand, self._contract))

    def call(self, hidden: Any, attends: Any, patches: Patches | None = None, training: bool | None = None) -> Any:
        after = iter(patches or [None] * len(self.patch_places))
        attended = self._attention(hidden, hidden, attention_mask=attends, training=training)
        attended = patched(next(after), attended, hidden)
        summed = hidden + self._dropout(attended, training=training)
        hidden = patched(next(after), self._attention_norm(summed), summed)
        expanded = patched(next(after), self._contract(self._expand(hidden)), hidden)
        summed = hidden + self._dropout(expanded, training=training)
        return patched(next(after), self._feed_forward_norm(summed), summed)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dim": self.dim, "heads": self.heads, "dropout": self.dropout}
