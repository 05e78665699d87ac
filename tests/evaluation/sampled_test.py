"""Sampled candidates: drawn by the law that they name, never seen items, the same for every scorer."""

import numpy as np
import pytest
import tensorflow as tf

from tests.evaluation.evaluator_test import FixedScores
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, OOV, DatasetSpec
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.evaluation.evaluator import Evaluator
from tfrec_zoo.evaluation.sampled import Sampling, sampled_ranks


def draws(sampling: Sampling, weights: list[float], users: int, excluded: list[list[int]]) -> np.ndarray:
    ragged = tf.ragged.constant(excluded, dtype=tf.int32, ragged_rank=1)
    return tf.function(sampling.draw)(tf.math.log(weights), tf.constant(users, tf.int64), ragged).numpy()


def test_negatives_are_distinct_and_neither_seen_nor_the_target() -> None:
    drawn = draws(Sampling("uniform", 4), [1.0] * 6, 0, [[4, 5], [], [1, 4, 5, 6, 7, 8, 9]])
    assert sorted(drawn[0]) == [2, 3, 4, 5]
    assert len(set(drawn[1].tolist())) == 4
    assert drawn[2].tolist() == [-1] * 4


def test_popularity_draws_in_proportion() -> None:
    drawn = draws(Sampling("popularity", 1), [6.0, 3.0, 1.0], 0, [[]] * 4000)
    assert np.bincount(drawn.ravel()) / 4000 == pytest.approx([0.6, 0.3, 0.1], abs=0.03)


def test_a_users_negatives_depend_on_the_seed_and_not_on_the_batch() -> None:
    whole = draws(Sampling("uniform", 3), [1.0] * 50, 0, [[]] * 10)
    np.testing.assert_array_equal(whole[4:], draws(Sampling("uniform", 3), [1.0] * 50, 4, [[]] * 6))
    assert (whole != draws(Sampling("uniform", 3, seed=1), [1.0] * 50, 0, [[]] * 10)).any()


def test_hand_computed_ranks() -> None:
    scores = tf.constant([[3.0, 5.0, 3.0, 1.0]] * 3)
    ranks = sampled_ranks(scores, tf.constant([4, 4, OOV]), tf.constant([[1, 2, -1], [3, -1, -1], [0, 1, 2]]))
    assert ranks.numpy().tolist() == [2.5, 1.0, np.inf]


def test_drawing_everything_is_the_whole_catalogue(spec: DatasetSpec) -> None:
    scorer = FixedScores(spec.catalog_size)
    whole = Evaluator(scorer, spec, filter_seen=True, ks=(1,))().ranks
    drawn = Evaluator(scorer, spec, filter_seen=True, ks=(1,), sampled=Sampling("uniform", FIRST_ITEM_ID * 100))().ranks
    np.testing.assert_array_equal(whole, drawn)


def test_a_cut_off_beyond_the_candidates_is_refused(spec: DatasetSpec) -> None:
    with pytest.raises(ConfigError, match="k = 12 is out of range: the target is among 11 items"):
        Evaluator(FixedScores(spec.catalog_size), spec, ks=(12,), sampled=Sampling("uniform", 10))


@pytest.mark.parametrize("text", ["uniform", "normal:100", "uniform:0", "uniform:-3", "popularity:ten"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="uniform:N or popularity:N"):
        Sampling.parse(text)
    assert Sampling.parse("popularity:100", 7) == Sampling("popularity", 100, 7)
