import math

import numpy as np
import pytest

from tfrec_zoo.metrics.ranking import hit_rate, ndcg, reciprocal_rank, summarize

RANKS = np.array([1.0, 2.0, 3.5, 11.0, np.inf])


def test_metrics_agree_with_hand_computed_values() -> None:
    metrics = summarize(RANKS, (2, 10))
    assert metrics["hr@2"] == pytest.approx(2 / 5)
    assert metrics["hr@10"] == pytest.approx(3 / 5)
    assert metrics["ndcg@2"] == pytest.approx((1 + 1 / math.log2(3)) / 5)
    assert metrics["ndcg@10"] == pytest.approx((1 + 1 / math.log2(3) + 1 / math.log2(4.5)) / 5)
    assert metrics["mrr@2"] == pytest.approx(1.5 / 5)
    assert metrics["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3.5 + 1 / 11) / 5)


def test_a_miss_counts_in_the_denominator_only() -> None:
    assert hit_rate(RANKS, 10_000)[-1] == ndcg(RANKS, 10_000)[-1] == reciprocal_rank(RANKS)[-1] == 0


def test_a_tie_across_the_cut_off_is_a_miss() -> None:
    # Two items tied on places 10 and 11 both rank at 10.5.
    assert hit_rate(np.array([10.5]), 10)[0] == 0


def test_recall_and_map_are_other_names_of_hit_rate_and_mrr() -> None:
    metrics = summarize(RANKS, (2, 10))
    for k in (2, 10):
        assert metrics[f"recall@{k}"] == metrics[f"hr@{k}"]
        assert metrics[f"map@{k}"] == metrics[f"mrr@{k}"]
    assert {"recall", "map"}.isdisjoint(metrics)
