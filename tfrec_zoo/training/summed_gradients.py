"""Optimizers that sum gradients over replicas first, and only then clip them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from tfrec_zoo.replicas import sum_over_replicas
from tfrec_zoo.sparse_gradients import Gradient, add_up_rows, clip_by_global_norm


class SumsBeforeClipping:
    """Mixin of a Keras optimizer, before its class: the gradient that is clipped is the one of the global batch.

    Keras clips what each replica has found and sums afterwards: with a clipping norm, two replicas then train otherwise
    than one. Rows of sparse gradients that occur twice, within a replica or on several, are added up before anything is
    squared, and clipping leaves sparse gradients sparse.
    """

    takes_repeated_rows = True
    """Asked by the models: an optimizer that does not say so gets dense gradients."""

    def _clip_gradients(self, grads: Sequence[Gradient]) -> list[Gradient]:
        summed = [add_up_rows(gradient) for gradient in sum_over_replicas(list(grads))]
        if self.global_clipnorm:  # type: ignore[attr-defined]
            return clip_by_global_norm(summed, self.global_clipnorm)  # type: ignore[attr-defined]
        return super()._clip_gradients(summed)  # type: ignore[misc]

    def _all_reduce_sum_gradients(self, grads_and_vars: Sequence[Any]) -> Sequence[Any]:
        return grads_and_vars  # they are summed already


@keras.saving.register_keras_serializable("tfrec_zoo")
class Adam(SumsBeforeClipping, keras.optimizers.Adam):
    """Keras' Adam, clipped by the gradient of the global batch; with a weight decay it is AdamW."""


@keras.saving.register_keras_serializable("tfrec_zoo")
class SGD(SumsBeforeClipping, keras.optimizers.SGD):
    """Keras' SGD, clipped by the gradient of the global batch."""
