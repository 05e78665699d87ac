"""The exact softmax over the catalogue in chunks: its memory grows with neither targets x catalogue nor the batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfrec_zoo.losses.catalogue import mark_columns

_CHUNK_LOGITS = 1 << 22
"""Logits at a time: 16 MiB in float32."""


def chunked_softmax(
    queries: tf.Tensor,
    targets: tf.Tensor,
    items: tf.Tensor | tf.Variable,
    bias: tf.Tensor | tf.Variable,
    known: tf.Tensor | None = None,
    first_row: int = 0,
    stored: tf.Variable | None = None,
    chunk_logits: int = _CHUNK_LOGITS,
) -> tf.Tensor:
    """`catalogue.softmax`, equal in value and gradient, for catalogues whose logits do not fit into memory.

    The catalogue is walked chunk by chunk, and only the sum over it is kept. The gradient walks it once more and
    computes every chunk's logits anew, which makes the loss cost a third more arithmetic than the full one.

    Args:
        queries: float (batch, places, dim).
        targets: int32 (batch, places), columns 0 to catalog_size - 1; negative numbers stand for none.
        items: float32 (first_row + catalog_size, dim); its gradient is dense.
        bias: float32 (catalog_size,).
        known: As in `catalogue.softmax`.
        first_row: Row of the table where column 0 is.
        stored: The variable whose value `items` is. Rows are then read from there: TensorFlow copies a variable that is
            read as a whole once rows of it were looked up, and this copy need not be kept for the gradient.
        chunk_logits: Logits that are in memory at a time.

    Returns:
        float32 (batch, places).
    """
    excluded = None if known is None else tf.concat([known, targets], axis=1)
    queries, table, bias = tf.cast(queries, tf.float32), tf.convert_to_tensor(items), tf.convert_to_tensor(bias)
    columns = tf.maximum(targets, 0)
    own, others = _own_and_partition(queries, table, bias, columns, excluded, first_row, stored, chunk_logits)
    return others - own if known is None else tf.math.softplus(others - own)


def _own_and_partition(
    queries: tf.Tensor,
    table: tf.Tensor,
    bias: tf.Tensor,
    targets: tf.Tensor,
    excluded: tf.Tensor | None,
    first_row: int,
    stored: tf.Variable | None,
    chunk_logits: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The targets' logits, and log(sum(exp(logits))) of the columns not excluded: float32 (batch, places) each."""
    catalog_size = tf.shape(bias)[0]
    places = tf.shape(queries)[:2]
    width = tf.clip_by_value(chunk_logits // tf.maximum(tf.reduce_prod(places), 1), 1, catalog_size)

    def rows_of(columns: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
        if stored is None:
            return tf.gather(table, first_row + columns)
        # By its handle, which no tape watches: the gradient is that of the table.
        return tf.raw_ops.ResourceGather(resource=stored.handle, indices=first_row + columns, dtype=stored.dtype)

    def more_columns(begin: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return begin < catalog_size

    def chunk(begin: tf.Tensor, queries: tf.Tensor, table: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Logits of a chunk of columns, and their rows of the table."""
        end = tf.minimum(begin + width, catalog_size)
        rows = rows_of(tf.range(begin, end), table)
        logits = tf.einsum("bpd,nd->bpn", queries, rows) + bias[begin:end]
        if excluded is not None:
            logits = tf.where(mark_columns(excluded - begin, end - begin)[:, None], logits.dtype.min, logits)
        return logits, rows

    @tf.custom_gradient
    def own_and_partition(
        queries: tf.Tensor, table: tf.Tensor, bias: tf.Tensor
    ) -> tuple[tuple[tf.Tensor, tf.Tensor], Callable[..., tuple[tf.Tensor, ...]]]:
        def add(begin: tf.Tensor, largest: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, ...]:
            logits, _ = chunk(begin, queries, table, bias)
            now = tf.maximum(largest, tf.reduce_max(logits, axis=-1))
            more = tf.reduce_sum(tf.exp(logits - now[..., None]), axis=-1)
            return begin + width, now, total * tf.exp(largest - now) + more

        start = (0, tf.fill(places, tf.float32.min), tf.zeros(places))
        _, largest, total = tf.while_loop(more_columns, add, start, parallel_iterations=1)
        partition = largest + tf.math.log(total)
        own = tf.reduce_sum(queries * rows_of(targets, table), axis=-1) + tf.gather(bias, targets)

        def gradient(of_own: tf.Tensor, of_partition: tf.Tensor) -> tuple[tf.Tensor, ...]:
            flat = tf.reshape(queries, (-1, table.shape[1]))

            def walk(begin: tf.Tensor, to_queries: tf.Tensor, to_table: tf.Tensor, to_bias: tf.Tensor) -> Any:
                logits, rows = chunk(begin, queries, table, bias)
                count = tf.shape(rows)[0]
                share = tf.exp(logits - partition[..., None]) * of_partition[..., None]
                share += tf.one_hot(targets - begin, count) * of_own[..., None]
                share = tf.reshape(share, (-1, count))
                columns = tf.range(begin, begin + count)
                to_rows = tf.transpose(tf.matmul(flat, share, transpose_a=True))
                # In place, into memory that nothing else refers to: a copy a chunk would cost the table squared, and
                # chunks that are joined in the end would hold its memory twice.
                to_table = tf.raw_ops.InplaceUpdate(x=to_table, i=first_row + columns, v=to_rows)
                to_bias = tf.raw_ops.InplaceUpdate(x=to_bias, i=columns, v=tf.reduce_sum(share, axis=0))
                return begin + width, to_queries + tf.matmul(share, rows), to_table, to_bias

            with tf.control_dependencies([partition]):  # or a graph would allocate them before the first loop
                empty = [tf.raw_ops.Empty(shape=tf.shape(like), dtype=tf.float32, init=True) for like in (table, bias)]
            start = (0, tf.zeros_like(flat), *empty)
            _, to_queries, to_table, to_bias = tf.while_loop(more_columns, walk, start, parallel_iterations=1)
            shapes = zip((to_queries, to_table, to_bias), (queries, table, bias), strict=True)
            return tuple(tf.reshape(value, tf.shape(like)) for value, like in shapes)

        return (own, partition), gradient

    return own_and_partition(queries, table, bias)
