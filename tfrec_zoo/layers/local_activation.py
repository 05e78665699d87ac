"""The local activation unit of DIN: how much each item of a history says about a candidate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("tfrec_zoo")
class LocalActivationUnit(keras.layers.Layer):
    """Sums a history's vectors with weights that a small network gives each beside the candidate.

    The weights are not normalised: the length of the sum says how strong an interest is.

    Args:
        units: Widths of the network's hidden layers.

    Call args:
        candidates: float (batch, candidates, dim).
        history: float (batch, length, dim).
        known: float (batch, length), 0 at PAD.

    Returns:
        float (batch, candidates, dim); zeros for an empty history.

    Reference:
        Zhou et al., Deep Interest Network, KDD 2018, section 4.3, equation 3 and figure 2.
    """

    def __init__(self, units: Sequence[int] = (36,), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = tuple(units)

    def build(self, candidates_shape: tuple[int | None, ...], *_: Any) -> None:
        dim = candidates_shape[-1]
        assert dim is not None
        widths = (4 * dim, *self.units)
        self._hidden = [keras.layers.Dense(width, "sigmoid", dtype=self.dtype_policy) for width in self.units]
        self._weight = keras.layers.Dense(1, dtype=self.dtype_policy)
        for layer, width in zip([*self._hidden, self._weight], widths, strict=True):
            layer.build((None, width))
        self.built = True

    def call(self, candidates: Any, history: Any, known: Any) -> Any:
        shape = (ops.shape(candidates)[0], ops.shape(candidates)[1], ops.shape(history)[1], candidates.shape[-1])
        query = ops.broadcast_to(candidates[:, :, None], shape)
        key = ops.broadcast_to(history[:, None], shape)
        hidden = ops.concatenate([query, key, query - key, query * key], axis=-1)
        for layer in self._hidden:
            hidden = layer(hidden)
        weights = self._weight(hidden)[..., 0] * ops.cast(known, self.compute_dtype)[:, None]
        return ops.matmul(weights, history)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": list(self.units)}
