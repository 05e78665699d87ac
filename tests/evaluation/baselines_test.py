import itertools
from collections import Counter

import numpy as np
import tensorflow as tf

from tests.history_of_a_log import train_histories
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec
from tfrec_zoo.evaluation.baselines import Markov, Popularity


def test_popularity_is_the_train_count(spec: DatasetSpec, log_file) -> None:
    counts = Counter(item for items in train_histories(log_file).values() for item in items)
    scores = Popularity(spec).score(tf.zeros((2, 0), tf.int32)).numpy()
    assert scores.shape == (2, spec.catalog_size)
    assert scores[1].tolist() == [counts[item] for item in spec.vocabulary("item")]


def test_markov_counts_what_followed_the_last_item_in_train(spec: DatasetSpec, log_file) -> None:
    items = spec.vocabulary("item")
    pairs = Counter(pair for history in train_histories(log_file).values() for pair in itertools.pairwise(history))
    expected = np.array([[pairs[a, b] for b in items] for a in items])
    histories = tf.constant([[0, 7, FIRST_ITEM_ID + column] for column in range(len(items))], tf.int32)
    scores = Markov(spec).score(histories).numpy()
    np.testing.assert_array_equal(np.floor(scores), expected)
    # Equal counts are ordered by popularity.
    assert (np.diff(scores[expected == 0].reshape(-1)[:5]) <= 0).all()


def test_markov_falls_back_to_popularity(spec: DatasetSpec) -> None:
    for empty in (tf.zeros((1, 3), tf.int32), tf.zeros((1, 0), tf.int32)):
        scores = Markov(spec).score(empty).numpy()[0]
        assert (np.diff(scores) <= 0).all()
        assert scores.max() < 1
