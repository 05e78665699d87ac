"""What the optimizers of large tables share: a step costs the rows that it touches, not the rows that there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfrec_zoo.sparse_gradients import Gradient
from tfrec_zoo.training.summed_gradients import SumsBeforeClipping

_ROWS_AT_ONCE = 1 << 16
"""A dense gradient updates more rows than these in parts, so that the intermediate values stay small."""


class LazyOptimizer(SumsBeforeClipping, keras.optimizers.Optimizer):
    """Updates the rows of a sparse gradient and no others; a dense gradient updates all rows.

    Subclasses give the step of chosen rows (`row_step`). What Keras does over whole variables is done by row:

    - Weight decay shrinks the rows that a step touches. A row is thus decayed as often as it is trained.
    - The moving average of the weights is exact for every row. While nothing touches a row, its weight w is constant,
      and k steps take the average a to m^k a + (1 - m^k) w: the row remembers its last step, and is brought up to date
      when it is touched again, or when the averages are asked for.

    Args:
        learning_rate: A number or a schedule.
        options: Of `keras.optimizers.Optimizer`: weight_decay, global_clipnorm, use_ema, ema_momentum, name ...

    Raises:
        ValueError: An option that would need all rows at every step.
    """

    def __init__(self, learning_rate: Any = 0.001, **options: Any) -> None:
        for option in ("ema_overwrite_frequency", "gradient_accumulation_steps"):
            if options.get(option):
                raise ValueError(f"{type(self).__name__} takes no {option}: it would cost the whole table at a step.")
        super().__init__(learning_rate, **options)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        if self.built:
            return
        super().build(variables)
        if self.use_ema:
            self._averaged_at = [self.add_row_slot(variable, "averaged_at", "int64") for variable in variables]

    def add_row_slot(self, variable: keras.Variable, name: str, dtype: str = "float32") -> keras.Variable:
        """Adds one number for every row of a variable, at first 0, on the devices where the variable is."""
        with self._distribution_strategy.extended.colocate_vars_with(variable.value):
            return self.add_variable(variable.shape[:1], dtype=dtype, name=f"{variable.path.replace('/', '_')}_{name}")

    def row_step(self, index: int, gradient: tf.Tensor, rows: tf.Tensor | None, rate: tf.Tensor) -> tf.Tensor:
        """What is subtracted from rows of a variable; updates the optimizer's own values of these rows.

        Args:
            index: Of the variable, among those that the optimizer was built with.
            gradient: float (n, ...), of the rows.
            rows: int (n,), none of them twice; None stands for all rows.
            rate: The learning rate.
        """
        raise NotImplementedError

    def update_step(self, gradient: Gradient, variable: tf.Variable, learning_rate: Any) -> None:
        rate = tf.cast(learning_rate, variable.dtype)
        if isinstance(gradient, tf.IndexedSlices):
            self._update(variable, gradient.values, gradient.indices, rate)
            return
        count = variable.shape[0] if variable.shape.rank else 1
        if count <= _ROWS_AT_ONCE:
            self._update(variable, gradient, None, rate)
            return

        def update_rows(begin: tf.Tensor) -> tuple[tf.Tensor]:
            end = tf.minimum(begin + _ROWS_AT_ONCE, count)
            self._update(variable, gradient[begin:end], tf.range(begin, end), rate)
            return (end,)

        tf.while_loop(lambda begin: begin < count, update_rows, (0,), parallel_iterations=1)

    def _update(self, variable: tf.Variable, gradient: tf.Tensor, rows: tf.Tensor | None, rate: tf.Tensor) -> None:
        """Updates rows, none of them twice, or the whole variable where `rows` is None."""
        index, values = self._get_variable_index(variable), tf.cast(gradient, variable.dtype)
        before = after = read(variable, rows)
        if self.weight_decay and self._use_weight_decay(variable):
            after -= before * self.weight_decay * rate
        after -= self.row_step(index, values, rows, rate)
        write(variable, rows, after)
        if self.use_ema:
            step = self.iterations + 1
            average = self._average_until(index, step - 1, before, rows)
            momentum = tf.where(step > 1, tf.cast(self.ema_momentum, after.dtype), 0.0)
            write(self._model_variables_moving_average[index], rows, momentum * average + (1.0 - momentum) * after)
            at = self._averaged_at[index]
            write(at, rows, tf.fill(tf.shape(read(at, rows)), tf.cast(step, at.dtype)))

    def _average_until(self, index: int, step: Any, weights: tf.Tensor, rows: tf.Tensor | None) -> tf.Tensor:
        """The moving average of rows after a step until which their weights did not change."""
        at = read(self._averaged_at[index], rows)
        # As in Keras, the average begins with the weights after the first step.
        missed = tf.cast(tf.cast(step, at.dtype) - at, weights.dtype)
        kept = tf.where(at == 0, 0.0, tf.cast(self.ema_momentum, weights.dtype) ** missed)
        kept = tf.reshape(kept, tf.concat([tf.shape(kept), tf.ones(weights.shape.rank - kept.shape.rank, tf.int32)], 0))
        return kept * read(self._model_variables_moving_average[index], rows) + (1.0 - kept) * weights

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        """Done row by row in `update_step`."""

    def _update_model_variables_moving_average(self, trainable_variables: Sequence[Any]) -> None:
        """Done row by row in `update_step`."""

    def _overwrite_model_variables_with_average_value(self, trainable_variables: Sequence[Any]) -> None:
        for variable in trainable_variables:
            index, step = self._get_variable_index(variable), self.iterations
            average = self._average_until(index, step, tf.convert_to_tensor(variable), None)
            at = self._averaged_at[index]
            self._model_variables_moving_average[index].assign(average)
            at.assign(tf.fill(at.shape, tf.cast(step, at.dtype)))
            variable.assign(average)


def read(variable: tf.Variable | keras.Variable, rows: tf.Tensor | None) -> tf.Tensor:
    """Values of rows, or of the whole variable; never reads more than is asked for."""
    raw = _raw(variable)
    return tf.convert_to_tensor(raw) if rows is None else tf.gather(raw, rows)


def write(variable: tf.Variable | keras.Variable, rows: tf.Tensor | None, values: tf.Tensor) -> None:
    """Replaces rows, or the whole variable."""
    raw = _raw(variable)
    if rows is None:
        raw.assign(values)
    else:
        raw.scatter_update(tf.IndexedSlices(values, rows))


def _raw(variable: tf.Variable | keras.Variable) -> tf.Variable:
    return variable.value if isinstance(variable, keras.Variable) else variable
