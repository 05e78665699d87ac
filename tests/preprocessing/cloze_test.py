import numpy as np
import tensorflow as tf

from tfrec_zoo.dataset_spec import MASK, PAD
from tfrec_zoo.preprocessing.cloze import ClozeBatch, cloze


def histories(rows: int = 400, length: int = 20, seed: int = 0) -> np.ndarray:
    """Right-aligned rows with 0 to `length` items."""
    rng = np.random.default_rng(seed)
    batch = rng.integers(4, 1000, (rows, length)).astype(np.int32)
    batch[np.arange(length) < length - rng.integers(0, length + 1, (rows, 1))] = PAD
    return batch


def draw(history: np.ndarray, seed: int = 0, **changes: float) -> ClozeBatch:
    options = {"mask_rate": 0.3, "masks_per_sequence": 8, "last_item_share": 0.0, **changes}
    return ClozeBatch(*(value.numpy() for value in cloze(tf.constant(history), seed=tf.constant([seed, 0]), **options)))


def test_hidden_items_and_nothing_else_turn_into_masks() -> None:
    history = histories()
    batch = draw(history)
    for row, masked, positions, targets, weights in zip(history, *batch, strict=True):
        hidden = positions[weights > 0]
        assert len(set(hidden)) == len(hidden)
        assert (row[hidden] != PAD).all(), "PAD is never hidden"
        assert (targets[weights > 0] == row[hidden]).all()
        restored = masked.copy()
        restored[hidden] = row[hidden]
        assert (masked[hidden] == MASK).all()
        assert (restored == row).all()


def test_every_row_with_an_item_hides_between_one_and_the_bound() -> None:
    history = histories()
    weights = draw(history, mask_rate=0.9, masks_per_sequence=5).weights
    assert weights.shape == (400, 5)
    hidden, items = weights.sum(axis=1), (history != PAD).sum(axis=1)
    assert (hidden == np.clip(hidden, np.minimum(items, 1), np.minimum(items, 5))).all()
    assert (hidden[items == 0] == 0).all()


def test_the_share_of_hidden_items_is_the_mask_rate() -> None:
    history = np.full((4000, 20), 7, np.int32)
    assert abs(draw(history, mask_rate=0.23, masks_per_sequence=20).weights.sum() / history.size - 0.23) < 0.005


def test_rows_for_the_last_item_hide_exactly_that() -> None:
    history = histories()
    batch = draw(history, last_item_share=1.0)
    filled = (history != PAD).any(axis=1)
    assert (batch.weights.sum(axis=1) == filled).all()
    assert (batch.positions[filled, 0] == 19).all()
    assert (batch.targets[filled, 0] == history[filled, -1]).all()


def test_some_rows_for_the_last_item() -> None:
    alone = draw(np.full((4000, 20), 7, np.int32), last_item_share=0.25, mask_rate=0.5).weights.sum(axis=1) == 1
    assert abs(alone.mean() - 0.25) < 0.03


def test_equal_seeds_hide_equal_items_and_others_do_not() -> None:
    history = histories()
    assert all((a == b).all() for a, b in zip(draw(history, 1), draw(history, 1), strict=True))
    assert (draw(history, 1).item_ids != draw(history, 2).item_ids).any()
