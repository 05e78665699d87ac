import numpy as np
import pytest
import tensorflow as tf

from tfrec_zoo.preprocessing.seen import leave_out


@pytest.mark.parametrize("ragged", [False, True])
def test_named_items_go_and_reserved_ids_name_none(ragged: bool) -> None:
    scores = tf.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
    item_ids = tf.constant([[4, 6, 4], [0, 1, 3], [2, 0, 5]])
    if ragged:
        item_ids = tf.RaggedTensor.from_tensor(item_ids, padding=0)
    lowest = -np.inf
    expected = [[lowest, 2.0, lowest], [4.0, 5.0, 6.0], [7.0, lowest, 9.0]]
    np.testing.assert_array_equal(leave_out(scores, item_ids), expected)
