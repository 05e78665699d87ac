import numpy as np
import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID
from tfrec_zoo.models.diversified import DiversifiedScorer

ITEMS = 40
EQUAL = tf.fill([ITEMS], -np.log(ITEMS).astype(np.float32))


def neighbours(history: tf.Tensor) -> tf.Tensor:
    """An item's score grows with how near it is to the newest item: float32 (batch, ITEMS)."""
    newest = tf.cast(history[:, -1:] - FIRST_ITEM_ID, tf.float32)
    return -tf.abs(tf.range(ITEMS, dtype=tf.float32)[None] - newest)


def best(scores: tf.Tensor, count: int) -> list[list[int]]:
    return tf.math.top_k(scores, count).indices.numpy().tolist()


# A user who went from one end of the catalogue to the other.
HISTORY = tf.constant([[FIRST_ITEM_ID + item for item in (1, 2, 11, 12, 25, 26, 37, 38)]], tf.int32)


def test_a_list_holds_what_every_part_of_the_history_asks_for() -> None:
    alone = best(neighbours(HISTORY), 8)[0]
    listed = best(DiversifiedScorer(neighbours, EQUAL, 8).score(HISTORY), 8)[0]
    assert max(alone) - min(alone) < 10
    assert not set(listed) & {1, 2, 11, 12, 25, 26, 37, 38}, "what the user had is no part of the list"
    for corner in (2, 12, 26):  # the newest of the three older pieces
        assert {corner - 1, corner + 1, corner - 2} & set(listed)


def test_the_rest_of_the_catalogue_follows_in_its_order() -> None:
    plain = neighbours(HISTORY).numpy()[0]
    scores = DiversifiedScorer(neighbours, EQUAL, 5).score(HISTORY).numpy()[0]
    assert np.isfinite(scores).all()
    assert sorted(scores[scores > 0]) == [1, 2, 3, 4, 5]
    rest = np.flatnonzero(scores < 0)
    np.testing.assert_allclose(np.diff(scores[rest]), np.diff(plain[rest]), rtol=1e-6)


def test_a_history_has_its_list_in_any_batch() -> None:
    scorer = DiversifiedScorer(neighbours, EQUAL, 8)
    padded = tf.pad(tf.concat([HISTORY[:, ::-1], HISTORY], axis=0), [[0, 0], [3, 0]])
    np.testing.assert_array_equal(scorer.score(padded)[1:], scorer.score(HISTORY))


def test_what_a_part_likes_counts_more_than_what_everybody_likes() -> None:
    popular = 25
    counts = np.where(np.arange(ITEMS) == popular, 1e12, 1.0)
    shares = tf.constant(np.log(counts / counts.sum()), tf.float32)
    history = tf.constant([[FIRST_ITEM_ID + item for item in (1, 2, 3, 4)]], tf.int32)

    def with_popularity(history: tf.Tensor) -> tf.Tensor:
        return neighbours(history) + shares

    assert best(DiversifiedScorer(with_popularity, tf.zeros([ITEMS]), 8).score(history), 1)[0] == [popular]
    assert popular not in best(DiversifiedScorer(with_popularity, shares, 8).score(history), 3)[0]
