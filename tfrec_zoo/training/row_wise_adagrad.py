"""Adagrad with one number a row for the tables of embeddings, Adam for everything else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrec_zoo.training.lazy_adam import LazyAdam
from tfrec_zoo.training.lazy_updates import read, write

_TABLES = "embeddings"


@keras.saving.register_keras_serializable("tfrec_zoo")
class RowWiseAdagrad(LazyAdam):
    """Row-wise Adagrad for matrices named "...embeddings", as Keras and this zoo name them; LazyAdam for the rest.

    A row's step is rate x gradient / sqrt(sum over its steps of the mean of its squared gradient). A table of n rows
    and width d then needs n numbers beside its weights where Adam needs 2 n d, and as LazyAdam, a step touches only the
    rows in its gradient.

    Args:
        learning_rate: A number or a schedule; of the dense variables.
        table_rate: The tables' learning rate as a multiple of `learning_rate`: Adagrad's steps shrink as a row is
            trained, so they may begin larger.
        options: As in `LazyAdam`.

    Reference:
        Duchi et al., Adaptive Subgradient Methods for Online Learning and Stochastic Optimization, JMLR 2011; by row as
        in Mudigere et al., Software-Hardware Co-design for Fast and Scalable Training of Deep Learning Recommendation
        Models, ISCA 2022, section 4.1.4.
    """

    def __init__(self, learning_rate: Any = 0.001, table_rate: float = 10.0, **options: Any) -> None:
        super().__init__(learning_rate, **options)
        self.table_rate = table_rate

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        self._accumulators = [
            None if self.has_moments(variable) else self.add_row_slot(variable, "accumulator") for variable in variables
        ]

    def has_moments(self, variable: keras.Variable) -> bool:
        return len(variable.shape) != 2 or not variable.path.endswith(_TABLES)

    def row_step(self, index: int, gradient: tf.Tensor, rows: tf.Tensor | None, rate: tf.Tensor) -> tf.Tensor:
        accumulator = self._accumulators[index]
        if accumulator is None:
            return super().row_step(index, gradient, rows, rate)
        summed = read(accumulator, rows) + tf.reduce_mean(tf.square(gradient), axis=1)
        write(accumulator, rows, summed)
        return self.table_rate * rate * gradient / (tf.sqrt(summed)[:, None] + self.epsilon)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "table_rate": self.table_rate}
