import numpy as np
import pytest

from tfrec_zoo.metrics.classification import accuracy, auc, log_loss, macro_auc

LOGITS = np.array([[2.0, 0.0, 1.0], [0.0, 0.0, -1.0], [1.0, 3.0, 3.0], [0.5, 0.4, 0.3]])


def test_accuracy_shares_ties() -> None:
    np.testing.assert_allclose(accuracy(LOGITS, np.array([0, 1, 2, 2])), [1, 0.5, 0.5, 0])


def test_log_loss_is_that_of_the_softmax() -> None:
    share = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    classes = np.array([0, 1, 2, 2])
    np.testing.assert_allclose(log_loss(LOGITS, classes), -np.log(share[np.arange(4), classes]))
    assert log_loss(np.array([[1000.0, 0.0]]), np.array([1])) == pytest.approx(1000)


def test_auc_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 5, 60).astype(float), rng.random(60) < 0.4
    pairs = scores[positive][:, None] - scores[~positive][None]
    assert auc(scores, positive) == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())
    assert np.isnan(auc(scores, np.zeros(60, bool)))


def test_with_two_classes_both_have_one_auc_and_absent_classes_are_left_out() -> None:
    rng = np.random.default_rng(1)
    logits, classes = rng.normal(size=(40, 2)), rng.integers(0, 2, 40)
    assert macro_auc(logits, classes) == pytest.approx(auc(logits[:, 1] - logits[:, 0], classes == 1))
    wider = np.concatenate([logits, np.full((40, 1), -50.0)], axis=1)
    assert macro_auc(wider, classes) == pytest.approx(macro_auc(logits, classes), abs=1e-9)
