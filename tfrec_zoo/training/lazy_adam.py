"""Adam for large tables: moments and weights change in the rows that a step touches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrec_zoo.training.lazy_updates import LazyOptimizer, read, write


@keras.saving.register_keras_serializable("tfrec_zoo")
class LazyAdam(LazyOptimizer):
    """Adam whose moments of a row stand still while nothing touches it.

    For dense gradients, and for sparse ones that touch all rows, it is Adam. Otherwise a row that rests neither decays
    its moments nor goes on moving by its momentum, so that its weights stay the same to the last bit.

    Args:
        learning_rate: A number or a schedule.
        beta_1: Decay of the first moment.
        beta_2: Decay of the second moment.
        epsilon: Added to the root of the second moment.
        options: As in `LazyOptimizer`.

    Reference:
        Kingma and Ba, Adam: A Method for Stochastic Optimization, ICLR 2015, algorithm 1 with the order of computation
        at the end of section 2.

    Example:
        >>> table = keras.Variable(np.ones((3, 2), "float32"))
        >>> gradient = tf.IndexedSlices(tf.ones((2, 2)), tf.constant([2, 2]), tf.constant([3, 2]))
        >>> LazyAdam(0.5).apply([gradient], [table])
        >>> table.numpy().round(3).tolist()
        [[1.0, 1.0], [1.0, 1.0], [0.5, 0.5]]
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, **options)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self._first = self._moments(variables, "momentum")
        self._second = self._moments(variables, "velocity")

    def has_moments(self, variable: keras.Variable) -> bool:
        """Whether a variable is trained by Adam; subclasses that train some otherwise say so here."""
        return True

    def row_step(self, index: int, gradient: tf.Tensor, rows: tf.Tensor | None, rate: tf.Tensor) -> tf.Tensor:
        step = tf.cast(self.iterations + 1, gradient.dtype)
        first = read(self._first[index], rows)
        first += (gradient - first) * (1.0 - self.beta_1)
        write(self._first[index], rows, first)
        second = read(self._second[index], rows)
        second += (tf.square(gradient) - second) * (1.0 - self.beta_2)
        write(self._second[index], rows, second)
        corrected = rate * tf.sqrt(1.0 - tf.cast(self.beta_2, gradient.dtype) ** step)
        corrected /= 1.0 - tf.cast(self.beta_1, gradient.dtype) ** step
        return first * corrected / (tf.sqrt(second) + self.epsilon)

    def _moments(self, variables: Sequence[keras.Variable], name: str) -> list[keras.Variable | None]:
        return [
            self.add_variable_from_reference(variable, name) if self.has_moments(variable) else None
            for variable in variables
        ]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
