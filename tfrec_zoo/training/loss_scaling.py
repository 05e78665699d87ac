"""Dynamic loss scaling for float16, over sparse gradients and several replicas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrec_zoo.sparse_gradients import Gradient, values_of


@keras.saving.register_keras_serializable("tfrec_zoo")
class LossScaling(keras.optimizers.LossScaleOptimizer):
    """Keras' loss scaling, told what is finite without the whole table, and by all replicas.

    A step whose gradients overflow on any replica is left out on all of them, and the scale is halved; Keras asks the
    first replica alone. After `dynamic_growth_steps` finite steps the scale is doubled.

    Args:
        inner_optimizer: What applies the gradients, scaled back.
        options: `initial_scale`, `dynamic_growth_steps`, `name`.
    """

    @property
    def takes_repeated_rows(self) -> bool:
        """Whether the inner optimizer takes sparse gradients."""
        return getattr(self.inner_optimizer, "takes_repeated_rows", False)

    def check_finite(self, grads: Sequence[Gradient | None]) -> Any:
        found = [tf.reduce_all(tf.math.is_finite(values_of(gradient))) for gradient in grads if gradient is not None]
        broken = tf.cast(~tf.reduce_all(tf.stack(found)), tf.float32)
        replica = tf.distribute.get_replica_context()
        if replica is not None and replica.num_replicas_in_sync > 1:
            broken = replica.all_reduce(tf.distribute.ReduceOp.SUM, broken)
        return broken == 0
