"""Embeddings of the fields of a user or an item: one vector a field, whatever its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, OOV, PAD
from tfrec_zoo.layers.item_table import add_table, look_up


@keras.saving.register_keras_serializable("tfrec_zoo")
class FieldEmbeddings(keras.layers.Layer):
    """Makes one vector of every field: a row of a table, the mean of several rows, or a number on a line.

    Args:
        fields: Name -> entries of its vocabulary, or None for a number. Every vocabulary has a table of its own, with
            rows for the reserved ids before those of its entries.
        dim: Width of a vector.
        unknown_rate: Share of the ids that training sees as unknown. The vector of the unknown is then that of an
            average entry and not what it was initialised with, and a user or item that comes later finds it.

    Call args:
        inputs: Name -> int32 (batch,), an id; int32 (batch, n), several, PAD where there are fewer; float32 (batch,).

    Returns:
        float (batch, fields, dim), in the order of `fields`; zeros for several ids of which there is none.
    """

    def __init__(self, fields: Mapping[str, int | None], dim: int, unknown_rate: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fields, self.dim, self.unknown_rate = dict(fields), dim, unknown_rate
        self._seeds = keras.random.SeedGenerator()

    def build(self, input_shape: Any = None) -> None:
        self._tables, self._lines = {}, {}
        for name, entries in self.fields.items():
            if entries is not None:
                self._tables[name] = add_table(self, f"{name}_embeddings", entries, self.dim)
            else:
                slope = self.add_weight(name=f"{name}_slope", shape=(self.dim,), initializer="glorot_uniform")
                self._lines[name] = (slope, self.add_weight(name=f"{name}_offset", shape=(self.dim,)))
        self.built = True

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> Any:
        return ops.stack([self._vector(name, inputs[name], bool(training)) for name in self.fields], axis=1)

    def _vector(self, name: str, value: Any, training: bool) -> Any:
        if name in self._lines:
            slope, offset = self._lines[name]
            return ops.cast(value, self.compute_dtype)[:, None] * slope + offset
        rows = look_up(self._tables[name], self._with_unknown(value) if training else value, self.compute_dtype)
        if len(value.shape) == 1:
            return rows
        known = ops.cast(value != PAD, self.compute_dtype)[..., None]
        return ops.sum(rows * known, axis=1) / ops.maximum(ops.sum(known, axis=1), 1.0)

    def _with_unknown(self, ids: Any) -> Any:
        if not self.unknown_rate:
            return ids
        hidden = keras.random.uniform(ops.shape(ids), seed=self._seeds) < self.unknown_rate
        return tf.where(hidden & (ids >= FIRST_ITEM_ID), OOV, ids)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (None, len(self.fields), self.dim)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fields": self.fields, "dim": self.dim, "unknown_rate": self.unknown_rate}
