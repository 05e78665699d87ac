import numpy as np
import pytest
import tensorflow as tf

from tfrec_zoo.data.length_buckets import deal_by_length, narrow
from tfrec_zoo.data.sequences import training_batches
from tfrec_zoo.dataset_spec import PAD, DatasetSpec


def histories(rows: int, length: int) -> np.ndarray:
    """Right-aligned rows of 1 to `length` items; every row is another one."""
    rng = np.random.default_rng(0)
    history = np.arange(4, 4 + rows * length, dtype=np.int32).reshape(rows, length)
    history[np.arange(length) < length - rng.integers(1, length + 1, (rows, 1))] = PAD
    return history


def deal(history: np.ndarray, seed: int = 0, buckets: int = 4) -> np.ndarray:
    return history[deal_by_length(tf.constant(history), 16, buckets, tf.constant([seed, 0])).numpy()]


def test_every_history_is_dealt_once() -> None:
    history = histories(16 * 8, 20)
    dealt = deal(history)
    assert dealt.shape == (16, 8, 20)
    assert sorted(map(tuple, dealt.reshape(-1, 20))) == sorted(map(tuple, history))


def test_batches_are_of_one_bucket_but_where_two_meet() -> None:
    buckets = np.ceil((deal(histories(16 * 8, 20)) != PAD).sum(axis=2) / 5)
    assert sum(len(set(batch)) > 1 for batch in buckets) <= 3
    assert len({batch[0] for batch in buckets}) == 4


def test_chance_decides_within_a_bucket_and_the_order_of_the_batches() -> None:
    history = histories(16 * 8, 20)
    np.testing.assert_array_equal(deal(history), deal(history))
    assert (deal(history) != deal(history, seed=1)).any()
    lengths = (deal(history) != PAD).sum(axis=2)
    assert (np.diff(lengths.max(axis=1)) < 0).any(), "batches are not sorted by length"
    assert any((np.diff(batch) < 0).any() for batch in lengths), "nor are histories within one"


@pytest.mark.parametrize(
    ("items", "width"), [(0, 3), (1, 3), (3, 3), (4, 5), (5, 5), (6, 8), (8, 8), (9, 10), (10, 10)]
)
def test_a_batch_is_as_wide_as_the_bucket_of_its_longest_history(items: int, width: int) -> None:
    history = np.zeros((2, 10), np.int32)
    history[0, 10 - items :] = 7
    narrowed = narrow(tf.constant(history), 4).numpy()
    assert narrowed.shape == (2, width)
    np.testing.assert_array_equal(narrowed, history[:, 10 - width :])


def test_training_batches_hold_less_padding_and_the_same_histories(spec: DatasetSpec) -> None:
    def read(buckets: int) -> tuple[int, list[tuple[int, ...]]]:
        batches = list(training_batches(spec, 4, 30, windows="latest", length_buckets=buckets).take(16))
        rows = [tuple(row[row != PAD]) for batch in batches for row in batch["history"].numpy()]
        assert all(batch["seed"].numpy().tolist() == [0, step] for step, batch in enumerate(batches))
        return sum(int(tf.size(batch["history"])) for batch in batches), rows

    cells, rows = read(1)
    fewer, dealt = read(4)
    assert sorted(rows) == sorted(dealt)
    assert rows != dealt
    assert sum(map(len, rows)) <= fewer < 0.75 * cells


def test_a_run_that_goes_on_sees_the_batches_it_would_have_seen(spec: DatasetSpec) -> None:
    options = {"length_buckets": 3, "seed": 1}
    whole = list(training_batches(spec, 4, 30, **options).take(40))
    for first in (5, 16, 37):
        rest = training_batches(spec, 4, 30, first_step=first, **options).take(3)
        for expected, batch in zip(whole[first:], rest, strict=False):
            np.testing.assert_array_equal(expected["history"], batch["history"])
            np.testing.assert_array_equal(expected["seed"], batch["seed"])
