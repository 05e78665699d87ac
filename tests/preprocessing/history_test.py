import numpy as np
import pytest
import tensorflow as tf

from tfrec_zoo.dataset_spec import MASK
from tfrec_zoo.preprocessing.history import append_token, latest, random_windows, right_align, seed_of


@pytest.mark.parametrize(
    ("item_ids", "length", "expected"),
    [
        ([[5, 6, 7, 0, 0]], None, [[0, 0, 5, 6, 7]]),
        ([[0, 5, 0, 6, 0]], None, [[0, 0, 0, 5, 6]]),
        ([[1, 5, 2, 3, 6]], None, [[0, 0, 0, 5, 6]]),  # OOV, MASK and CLS are no items
        ([[5, 6, 7, 8, 9]], 3, [[7, 8, 9]]),
        ([[5, 1, 7, 8, 1]], 3, [[5, 7, 8]]),  # unknown ids take no place
        ([[5, 6]], 4, [[0, 0, 5, 6]]),
        ([[0, 0]], 3, [[0, 0, 0]]),
        ([[]], 3, [[0, 0, 0]]),
    ],
)
def test_right_align_keeps_the_latest_known_items_in_order(item_ids: list, length: int | None, expected: list) -> None:
    assert right_align(tf.constant(item_ids, tf.int32), length).numpy().tolist() == expected


def test_right_align_agrees_with_a_loop_on_random_rows() -> None:
    rows = np.random.default_rng(0).integers(0, 9, (200, 12)).astype(np.int32)
    expected = []
    for row in rows:
        known = [item for item in row if item >= 4][-7:]
        expected.append([0] * (7 - len(known)) + known)
    np.testing.assert_array_equal(right_align(rows, 7), expected)


def test_latest_pads_and_cuts() -> None:
    history = tf.constant([[0, 4, 5]])
    assert latest(history, 2).numpy().tolist() == [[4, 5]]
    assert latest(history, 5).numpy().tolist() == [[0, 0, 0, 4, 5]]


def test_append_token_makes_room_on_the_right() -> None:
    assert append_token(tf.constant([[0, 4]]), MASK).numpy().tolist() == [[0, 4, MASK]]


def test_the_seed_of_a_history_knows_its_order_and_not_its_padding() -> None:
    seeds = seed_of(np.array([[0, 5, 6], [0, 6, 5], [5, 6, 0], [0, 0, 5]], np.int32)).numpy()
    assert len(set(seeds.tolist())) == 4
    np.testing.assert_array_equal(seed_of(np.array([[0, 0, 0, 5, 6]], np.int32)), seeds[:1])
    assert seeds.dtype == np.int64


def test_random_windows_are_contiguous_and_short_rows_stay_whole() -> None:
    long, short = list(range(10, 20)), [0] * 7 + [4, 5, 6]
    seen = set()
    for step in range(200):
        windows = random_windows(tf.constant([long, short], tf.int32), 4, tf.constant([0, step])).numpy()
        assert windows[1].tolist() == [0, 4, 5, 6]
        assert windows[0].tolist() == list(range(windows[0][0], windows[0][0] + 4))
        seen.add(int(windows[0][0]))
    assert seen == set(range(10, 17)), "every window is drawn sometimes"


def test_random_windows_pad_rows_shorter_than_the_window() -> None:
    windows = random_windows(tf.constant([[4, 5]], tf.int32), 4, tf.constant([0, 0]))
    assert windows.numpy().tolist() == [[0, 0, 4, 5]]


def test_random_windows_repeat_for_equal_seeds() -> None:
    rows = tf.constant(np.random.default_rng(0).integers(4, 99, (50, 30)), tf.int32)
    first, again, other = (random_windows(rows, 5, tf.constant([1, step])).numpy() for step in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()
