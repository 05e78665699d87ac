import numpy as np
import pytest

from tfrec_zoo.metrics.bootstrap import intervals, paired_difference


def test_the_interval_covers() -> None:
    """A hit rate of 0.2 on 300 users, 400 times: about 95% of the intervals hold it."""
    rng = np.random.default_rng(0)
    hits = (rng.random((300, 400)) < 0.2).astype(float)  # every column is an experiment of its own
    low, high = intervals(hits, resamples=1000)
    covered = np.mean((low <= 0.2) & (high >= 0.2))
    assert 0.92 <= covered <= 0.98
    # As wide as the normal approximation says.
    assert np.mean(high - low) == pytest.approx(2 * 1.96 * np.sqrt(0.2 * 0.8 / 300), rel=0.05)


def test_the_interval_is_seeded_and_degenerate_cases_are_points() -> None:
    values = np.random.default_rng(1).random((50, 2))
    np.testing.assert_array_equal(intervals(values, seed=3), intervals(values, seed=3))
    assert (np.array(intervals(values, seed=3)) != np.array(intervals(values, seed=4))).any()
    assert np.array(intervals(np.full((1, 1), 0.7))).ravel().tolist() == pytest.approx([0.7, 0.7])


def test_chunks_do_not_change_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).random((50, 2))
    whole = intervals(values, resamples=100)
    monkeypatch.setattr("tfrec_zoo.metrics.bootstrap._CELLS_AT_ONCE", 7 * 50)
    np.testing.assert_allclose(intervals(values, resamples=100), whole)


def test_paired_difference_of_equal_and_of_different_scorers() -> None:
    rng = np.random.default_rng(2)
    first = rng.random(400)
    same = paired_difference(first, first)
    assert (same.difference, same.low, same.high, same.p_value, same.ties) == (0, 0, 0, 1, 400)
    better = paired_difference(first + rng.normal(0.05, 0.1, 400), first)
    assert better.low > 0
    assert better.p_value < 0.001
    assert better.wins + better.ties + better.losses == 400
    worse = paired_difference(first, first + 0.01)
    assert (worse.wins, worse.losses) == (0, 400)
    assert worse.high < 0


def test_p_values_are_uniform_without_a_difference() -> None:
    rng = np.random.default_rng(3)
    p = [paired_difference(rng.random(80), rng.random(80), resamples=400, seed=n).p_value for n in range(200)]
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.10
