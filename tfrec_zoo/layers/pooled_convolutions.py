"""Convolutions of several widths over a sequence, each filter pooled to its largest response."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfrec_zoo.errors import ConfigError


@keras.saving.register_keras_serializable("tfrec_zoo")
class PooledConvolutions(keras.layers.Layer):
    """relu(max over places of a filter's response + bias), for filters of several widths side by side.

    Every width is one matrix product with the unfolded sequence, and the bias is added after the maximum.

    Args:
        widths: Of the filters, in places; none longer than the sequence.
        filters: Number of filters of every width.

    Call args:
        vectors: float (batch, length, dim), of static length.

    Returns:
        float (batch, sum(filters)).

    Raises:
        ConfigError: A width for which there is no number of filters, or which is longer than the sequence.

    Reference:
        Kim, Convolutional Neural Networks for Sentence Classification, EMNLP 2014; Yu et al., SeqGAN, AAAI 2017,
        section 3.3, equations 10 to 12.
    """

    def __init__(self, widths: Sequence[int], filters: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if len(widths) != len(filters):
            raise ConfigError(f"{len(widths)} widths of filters need as many numbers of filters, not {len(filters)}.")
        self.widths, self.filters = tuple(widths), tuple(filters)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        length, dim = input_shape[1], input_shape[2]
        if length is None or dim is None or max(self.widths) > length:
            raise ConfigError(f"filters of {max(self.widths)} places do not fit a sequence of {length}.")
        self.kernels = [
            self.add_weight(name=f"kernel_{width}", shape=(width * dim, count), initializer="glorot_uniform")
            for width, count in zip(self.widths, self.filters, strict=True)
        ]
        self.bias = self.add_weight(name="bias", shape=(sum(self.filters),), initializer="zeros")

    def call(self, vectors: Any) -> Any:
        length, dim = vectors.shape[1:]
        pooled = []
        for width, count, kernel in zip(self.widths, self.filters, self.kernels, strict=True):
            places = length - width + 1
            windows = ops.take(vectors, np.arange(places)[:, None] + np.arange(width), axis=1)
            responses = ops.matmul(ops.reshape(windows, (-1, width * dim)), kernel)
            pooled.append(ops.max(ops.reshape(responses, (-1, places, count)), axis=1))
        return ops.relu(ops.concatenate(pooled, axis=-1) + self.bias)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "widths": list(self.widths), "filters": list(self.filters)}
