"""The exact softmax over the catalogue in chunks: its memory grows with neither targets x catalogue nor the batch."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfrec_zoo.losses.catalogue import mark_columns

_CHUNK_LOGITS = 1 << 23
"""Logits at a time: 32 MiB in float32."""


def chunked_softmax(
    queries: tf.Tensor,
    targets: tf.Tensor,
    items: tf.Tensor | tf.Variable,
    bias: tf.Tensor | tf.Variable,
    known: tf.Tensor | None = None,
    first_row: int = 0,
    chunk_logits: int = _CHUNK_LOGITS,
) -> tf.Tensor:
    """`catalogue.softmax`, equal in value and gradient, for catalogues whose logits do not fit into memory.

    The catalogue is walked chunk by chunk, and only the sum over it is kept. The gradient walks it once more and
    computes every chunk's logits anew, which makes the loss cost a third more arithmetic than the full one.

    Args:
        queries: float (batch, places, dim).
        targets: int32 (batch, places), columns 0 to catalog_size - 1.
        items: float32 (first_row + catalog_size, dim); its gradient is dense.
        bias: float32 (catalog_size,).
        known: As in `catalogue.softmax`.
        first_row: Row of the table where column 0 is.
        chunk_logits: Logits that are in memory at a time.

    Returns:
        float32 (batch, places).
    """
    queries, table, bias = tf.cast(queries, tf.float32), tf.convert_to_tensor(items), tf.convert_to_tensor(bias)
    own = tf.reduce_sum(queries * tf.gather(table, targets + first_row), axis=-1) + tf.gather(bias, targets)
    excluded = None if known is None else tf.concat([known, targets], axis=1)
    others = _log_partition(queries, table, bias, excluded, first_row, chunk_logits)
    return others - own if known is None else tf.math.softplus(others - own)


def _log_partition(
    queries: tf.Tensor,
    table: tf.Tensor,
    bias: tf.Tensor,
    excluded: tf.Tensor | None,
    first_row: int,
    chunk_logits: int,
) -> tf.Tensor:
    """log(sum(exp(logits))) over the columns that are not excluded: float32 (batch, places)."""
    catalog_size = tf.shape(bias)[0]
    places = tf.shape(queries)[:2]
    width = tf.clip_by_value(chunk_logits // tf.maximum(tf.reduce_prod(places), 1), 1, catalog_size)
    chunks = -(-catalog_size // width)

    def logits_of(begin: tf.Tensor, queries: tf.Tensor, table: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        end = tf.minimum(begin + width, catalog_size)
        logits = tf.einsum("bpd,nd->bpn", queries, table[first_row + begin : first_row + end]) + bias[begin:end]
        if excluded is None:
            return logits
        return tf.where(mark_columns(excluded - begin, end - begin)[:, None], logits.dtype.min, logits)

    @tf.custom_gradient
    def log_partition(
        queries: tf.Tensor, table: tf.Tensor, bias: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, ...]]]:
        def add(chunk: tf.Tensor, largest: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, ...]:
            logits = logits_of(chunk * width, queries, table, bias)
            now = tf.maximum(largest, tf.reduce_max(logits, axis=-1))
            more = tf.reduce_sum(tf.exp(logits - now[..., None]), axis=-1)
            return chunk + 1, now, total * tf.exp(largest - now) + more

        start = (0, tf.fill(places, tf.float32.min), tf.zeros(places))
        _, largest, total = tf.while_loop(lambda chunk, *_: chunk < chunks, add, start, parallel_iterations=1)
        value = largest + tf.math.log(total)

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
            # The reserved rows come first, and have no part in the loss.
            rows = tf.TensorArray(tf.float32, chunks + 1, infer_shape=False, element_shape=(None, table.shape[1]))
            biases = tf.TensorArray(tf.float32, chunks, infer_shape=False, element_shape=(None,))

            def walk(
                chunk: tf.Tensor, to_queries: tf.Tensor, rows: tf.TensorArray, biases: tf.TensorArray
            ) -> tuple[tf.Tensor, tf.Tensor, tf.TensorArray, tf.TensorArray]:
                begin = chunk * width
                end = tf.minimum(begin + width, catalog_size)
                share = tf.exp(logits_of(begin, queries, table, bias) - value[..., None]) * upstream[..., None]
                to_queries += tf.einsum("bpn,nd->bpd", share, table[first_row + begin : first_row + end])
                rows = rows.write(chunk + 1, tf.einsum("bpn,bpd->nd", share, queries))
                return chunk + 1, to_queries, rows, biases.write(chunk, tf.reduce_sum(share, axis=(0, 1)))

            start = (0, tf.zeros_like(queries), rows.write(0, tf.zeros((first_row, table.shape[1]))), biases)
            _, to_queries, rows, biases = tf.while_loop(
                lambda chunk, *_: chunk < chunks, walk, start, parallel_iterations=1
            )
            to_table, to_bias = rows.concat(), biases.concat()
            return to_queries, tf.ensure_shape(to_table, table.shape), tf.ensure_shape(to_bias, bias.shape)

        return value, gradient

    return log_partition(queries, table, bias)
