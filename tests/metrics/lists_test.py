"""Metrics of recommended lists against values computed by hand."""

import math

import numpy as np
import pytest

from tfrec_zoo.metrics.diversity import intra_list_diversity
from tfrec_zoo.metrics.exposure import catalog_coverage, exposure, gini
from tfrec_zoo.metrics.popularity import average_popularity, novelty, popularity_ratio

LISTS = np.array([[0, 1], [0, 2], [0, -1]])
COUNTS = np.array([4, 2, 1, 1])


def test_coverage_counts_every_recommended_item_once() -> None:
    assert exposure(LISTS, 4).tolist() == [3, 1, 1, 0]
    assert catalog_coverage(LISTS, 4) == 3 / 4


def test_gini_of_equal_and_of_concentrated_exposure() -> None:
    assert gini(np.array([5, 5, 5, 5])) == 0
    assert gini(np.array([0, 0, 0, 7])) == pytest.approx(3 / 4)
    # sum |x_i - x_j| / (2 n sum x) over all ordered pairs of 1, 2, 3: 8 / 36
    assert gini(np.array([3, 1, 2])) == pytest.approx(8 / 36)
    assert gini(np.zeros(3)) == 0


def test_novelty_is_the_mean_self_information() -> None:
    bits = [1.0, 2.0, 1.0, 3.0, 1.0]  # shares 1/2, 1/4, 1/2, 1/8, 1/2
    assert novelty(LISTS, COUNTS) == pytest.approx(np.mean(bits))


def test_popularity_bias_is_the_ratio_to_the_histories() -> None:
    recommended = average_popularity(LISTS, COUNTS)
    assert recommended.tolist() == [3.0, 2.5, 4.0]
    assert average_popularity(np.array([[-1, -1]]), COUNTS).tolist() == pytest.approx([math.nan], nan_ok=True)
    assert popularity_ratio(recommended, np.array([1.0, 1.5, np.nan])) == pytest.approx(5.5 / 2.5)


def test_diversity_is_one_minus_cosine_of_the_train_users() -> None:
    # Users of item 0: {0, 1, 2}, of item 1: {1, 2}, of item 2: {3}; (0, user 1) twice counts once.
    items, users = np.array([0, 0, 0, 0, 1, 1, 2]), np.array([0, 1, 1, 2, 1, 2, 3])
    near = 1 - 2 / math.sqrt(3 * 2)
    assert intra_list_diversity(np.array([[0, 1]]), items, users) == pytest.approx(near)
    assert intra_list_diversity(np.array([[1, 2]]), items, users) == 1
    assert intra_list_diversity(np.array([[2, 0, 1], [1, 0, -1]]), items, users) == pytest.approx(
        ((near + 1 + 1) / 3 + near) / 2
    )
    assert intra_list_diversity(np.array([[0, -1]]), items, users) == 0


def test_diversity_agrees_with_a_loop_over_sets() -> None:
    rng = np.random.default_rng(0)
    items, users = rng.integers(0, 20, 150), rng.integers(0, 30, 150)
    lists = np.stack([rng.permutation(22)[:5] for _ in range(9)])
    sets = [set(users[items == item].tolist()) for item in range(22)]

    def distance(a: int, b: int) -> float:
        return 1 - len(sets[a] & sets[b]) / math.sqrt(len(sets[a]) * len(sets[b])) if sets[a] and sets[b] else 1

    expected = np.mean([np.mean([distance(a, b) for a in row for b in row if a < b]) for row in lists])
    assert intra_list_diversity(lists, items, users) == pytest.approx(expected)
