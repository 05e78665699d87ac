"""A table in parts is the table: the same rows, the same gradient, shared out in ranges."""

import functools
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec_zoo.layers.item_table import (
    LookUp,
    add_item_table,
    look_up,
    look_ups_and_whole,
    partitioned,
    variables_of,
    whole,
)
from tfrec_zoo.losses import catalogue
from tfrec_zoo.losses.chunked_softmax import chunked_softmax


def make_table(catalog_size: int, parts: int) -> list[keras.Variable]:
    with partitioned(parts):
        return add_item_table(keras.layers.Layer(), catalog_size, 3)


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_parts_are_ranges_of_rows_in_their_order(parts: int) -> None:
    table = make_table(13, parts)
    assert [variable.name for variable in table] == [f"item_embeddings_{part}" for part in range(parts)]
    sizes = [variable.shape[0] for variable in table]
    assert sum(sizes) == 17
    assert max(sizes) - min(sizes) <= 1
    rows = np.concatenate([variable.numpy() for variable in table])
    np.testing.assert_array_equal(whole(table), rows)
    ids = tf.constant([[16, 0, 3], [4, 4, 9]])
    np.testing.assert_array_equal(look_up(table, ids, "float32"), rows[ids.numpy()])


def test_gradients_are_those_of_the_whole_table_and_sparse() -> None:
    table = make_table(13, 3)
    rows = tf.Variable(whole(table))
    queries, targets, bias = tf.ones((2, 2, 3)) * 0.3, tf.constant([[1, 12], [4, 4]]), tf.Variable(tf.zeros(13))

    def loss(items: object) -> tf.Tensor:
        return tf.reduce_sum(catalogue.sampled_softmax(queries, targets, items, bias, 5, tf.constant([1, 2]), None, 4))

    with tf.GradientTape() as tape:
        parts_loss = loss(variables_of(table))
    parts = tape.gradient(parts_loss, [variable.value for variable in table])
    with tf.GradientTape() as tape:
        whole_loss = loss(rows)
    assert float(parts_loss) == pytest.approx(float(whole_loss), rel=1e-6)
    assert all(isinstance(part, tf.IndexedSlices) for part in parts)
    joined = np.concatenate([tf.convert_to_tensor(part).numpy() for part in parts])
    np.testing.assert_allclose(joined, tf.convert_to_tensor(tape.gradient(whole_loss, rows)), rtol=1e-6, atol=1e-7)


def test_there_is_one_variable_unless_told_otherwise_and_never_an_empty_part() -> None:
    assert add_item_table(keras.layers.Layer(), 5, 2).name == "item_embeddings"
    with partitioned(100):
        assert len(add_item_table(keras.layers.Layer(), 5, 2)) == 9
    assert add_item_table(keras.layers.Layer(), 5, 2).shape == (9, 2)


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("in_graph", [False, True])
def test_look_ups_beside_the_whole_have_the_gradient_of_both(parts: int, in_graph: bool) -> None:
    table = make_table(13, parts)
    ids, targets = tf.constant([[4, 9, 4], [16, 4, 0]]), tf.constant([[1, 12, 12], [4, 4, 0]])
    variables = [variable.value for variable in table] if parts > 1 else [table.value]

    def gradients(read: Callable[[], tuple[LookUp, tf.Tensor]]) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            rows_of, items = read()
            loss = tf.square(chunked_softmax(rows_of(ids, "float32"), targets, items, tf.zeros(13), first_row=4))
        return [tf.convert_to_tensor(part) for part in tape.gradient(loss, variables)]

    run = tf.function(gradients) if in_graph else gradients
    found = run(lambda: look_ups_and_whole(table))
    expected = run(lambda: (functools.partial(look_up, table), whole(table)))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)


def test_without_look_ups_the_gradient_is_that_of_the_whole() -> None:
    table = make_table(13, 1)
    with tf.GradientTape() as tape:
        _, items = look_ups_and_whole(table)
        loss = tf.reduce_sum(tf.square(items))
    np.testing.assert_allclose(tape.gradient(loss, table.value), 2 * whole(table), rtol=1e-6)


def test_a_look_up_reads_no_more_than_its_rows() -> None:
    table = make_table(13, 1)
    graph = tf.function(lambda: look_up(table, tf.constant([4, 9]), "float32")).get_concrete_function().graph
    assert "ReadVariableOp" not in {operation.type for operation in graph.get_operations()}
