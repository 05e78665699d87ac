import numpy as np
import pytest

from tests.evaluation.evaluator_test import FixedScores
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.evaluation.evaluator import Evaluator
from tfrec_zoo.evaluation.groups import group_metrics, history_groups, popularity_groups


def test_users_by_the_length_of_their_history() -> None:
    groups = history_groups(np.array([0, 9, 10, 49, 50, 5000]))
    assert {name: np.flatnonzero(members).tolist() for name, members in groups.items()} == {
        "cold": [0, 1],
        "warm": [2, 3],
        "long": [4, 5],
    }


def test_targets_by_the_mass_of_train_interactions() -> None:
    # Shares before the item: 0, .4, .6, .8, .9
    groups = popularity_groups(np.array([0, 1, 2, 3, 4, -3]), [40, 20, 20, 10, 10])
    assert {name: np.flatnonzero(members).tolist() for name, members in groups.items()} == {
        "head": [0, 1],
        "mid": [2],
        "tail": [3, 4],
        "unknown": [5],
    }


def test_the_most_popular_item_is_always_in_the_head() -> None:
    assert popularity_groups(np.array([0]), [99, 1])["head"].all()


def test_the_groups_make_up_the_whole(spec: DatasetSpec) -> None:
    evaluation = Evaluator(FixedScores(spec.catalog_size), spec, ks=(10,))()
    for groups in group_metrics(evaluation, spec.item_counts, (10,)).values():
        users = np.array([group["targets"] for group in groups.values()])
        assert users.min() > 0
        assert users.sum() == len(evaluation.ranks)
        whole = sum(group["targets"] * group["ndcg@10"] for group in groups.values()) / users.sum()
        assert whole == pytest.approx(evaluation.metrics["ndcg@10"])
