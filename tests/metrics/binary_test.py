import numpy as np
import pytest

from tfrec_zoo.metrics.binary import (
    ResampledAUC,
    calibration_error,
    decisions,
    group_auc,
    log_losses,
    probabilities,
    summarize,
)
from tfrec_zoo.metrics.bootstrap import statistics
from tfrec_zoo.metrics.classification import auc

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=300).round(1)  # with ties
LABELS = RNG.random(300) < probabilities(LOGITS)
USERS = np.unique(RNG.integers(0, 40, 300), return_inverse=True)[1]


def test_group_auc_is_the_mean_of_the_users_weighted_by_their_rows():
    each = [(auc(LOGITS[user == USERS], LABELS[user == USERS]), int(sum(user == USERS))) for user in range(40)]
    known = [(value, rows) for value, rows in each if not np.isnan(value)]
    assert len(known) < 40, "some users have rows of one kind only"
    expected = np.average([value for value, _ in known], weights=[rows for _, rows in known])
    assert group_auc(LOGITS, LABELS, USERS) == pytest.approx(expected)
    assert np.isnan(group_auc(LOGITS, np.ones(300, bool), USERS))


def test_log_loss_and_probabilities_do_not_overflow():
    np.testing.assert_allclose(probabilities(np.array([-1000.0, 0.0, 1000.0])), [0.0, 0.5, 1.0])
    np.testing.assert_allclose(log_losses(np.array([-1000.0, 0.0]), np.array([True, False])), [1000.0, np.log(2)])


def test_calibration_of_true_and_of_false_probabilities():
    logits = RNG.normal(size=200_000)
    labels = RNG.random(200_000) < probabilities(logits)
    assert calibration_error(logits, labels) < 0.01
    assert calibration_error(logits + 1.0, labels) > 0.1
    assert summarize(logits + 1.0, labels, np.arange(200_000))["calibration"] > 1.2


def test_the_resampled_auc_is_that_of_repeated_rows():
    resampled = ResampledAUC(LOGITS, LABELS, USERS)
    assert resampled(np.ones(40, int)) == pytest.approx(auc(LOGITS, LABELS))
    times = RNG.integers(0, 4, 40)
    rows = np.repeat(np.arange(300), times[USERS])
    assert resampled(times) == pytest.approx(auc(LOGITS[rows], LABELS[rows]))
    assert np.isnan(resampled(np.zeros(40, int)))


def test_statistics_of_resamples_are_seeded_and_paired():
    drawn = statistics(lambda times: np.array([times.sum(), times @ np.arange(5)]), 5, resamples=50, seed=3)
    again = statistics(lambda times: np.array([times.sum(), times @ np.arange(5)]), 5, resamples=50, seed=3)
    np.testing.assert_array_equal(drawn, again)
    assert (drawn[:, 0] == 5).all()
    assert len(np.unique(drawn[:, 1])) > 5


def test_decisions_at_one_half() -> None:
    logits, labels = np.array([2.0, 0.0, -1.0, 3.0, -2.0]), np.array([True, False, True, True, False])
    assert decisions(logits, labels) == pytest.approx(
        {"accuracy": 3 / 5, "precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3}
    )
    nothing = decisions(np.full(3, -1.0), np.array([True, False, False]))
    assert nothing == pytest.approx({"accuracy": 2 / 3, "precision": 0.0, "recall": 0.0, "f1": 0.0})
