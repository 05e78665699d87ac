"""Metrics of classes told apart by scores: accuracy, AUC, log-loss."""

from __future__ import annotations

import numpy as np


def accuracy(logits: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """1 where the class has the highest score, ties shared; float64 (rows,)."""
    best = logits == logits.max(axis=1, keepdims=True)
    return best[np.arange(len(classes)), classes] / best.sum(axis=1)


def log_loss(logits: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Negative log-likelihood of the class under the softmax, in nats; float64 (rows,)."""
    logits = logits.astype(np.float64)
    highest = logits.max(axis=1, keepdims=True)
    total = highest[:, 0] + np.log(np.exp(logits - highest).sum(axis=1))
    return total - logits[np.arange(len(classes)), classes]


def auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Probability that a positive row has a higher score than a negative one, ties counted half; NaN without either."""
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return float("nan")
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2.0)[place]  # mean rank of equal scores, from 1
    return float((ranks[positive].sum() - positives * (positives + 1) / 2.0) / (positives * negatives))


def macro_auc(logits: np.ndarray, classes: np.ndarray) -> float:
    """Mean over the classes of one against the rest; with two classes, their common AUC.

    Args:
        logits: float (rows, classes).
        classes: int (rows,).

    Returns:
        From 0 to 1; classes that no row has are left out, NaN if that leaves none.
    """
    odds = logits - logits.max(axis=1, keepdims=True)
    odds = odds - np.log(np.exp(odds).sum(axis=1, keepdims=True))
    each = [auc(odds[:, column], classes == column) for column in range(logits.shape[1])]
    known = [value for value in each if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
