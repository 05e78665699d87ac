"""Metrics of a label that is 0 or 1: AUC, within users too, log-loss, calibration, decisions; AUC's interval."""

from __future__ import annotations

import numpy as np

from tfrec_zoo.metrics.classification import auc

_BINS = 20


def summarize(logits: np.ndarray, labels: np.ndarray, users: np.ndarray) -> dict[str, float]:
    """All metrics by name.

    Args:
        logits: float (rows,).
        labels: bool (rows,).
        users: int (rows,), numbered from 0.
    """
    return {
        "auc": auc(logits, labels),
        "gauc": group_auc(logits, labels, users),
        "logloss": float(log_losses(logits, labels).mean()),
        "calibration": float(probabilities(logits).mean() / labels.mean()) if labels.any() else float("nan"),
        "ece": calibration_error(logits, labels),
    }


def decisions(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy, precision, recall and F1 where a probability of one half or more counts as a 1.

    Args:
        logits: float (rows,).
        labels: bool (rows,).

    Returns:
        "accuracy", "precision", "recall", "f1"; the latter three are 0 where no row is rightly called a 1.
    """
    called = logits >= 0
    right = int((called & labels).sum())
    return {
        "accuracy": float((called == labels).mean()),
        "precision": right / max(1, int(called.sum())),
        "recall": right / max(1, int(labels.sum())),
        "f1": 2 * right / max(1, int(called.sum()) + int(labels.sum())),
    }


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Sigmoid, float64 like `logits`; no overflow."""
    return np.exp(-np.logaddexp(0.0, -logits.astype(np.float64)))


def log_losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Negative log-likelihood of every row in nats, float64 (rows,)."""
    logits = logits.astype(np.float64)
    return np.logaddexp(0.0, np.where(labels, -logits, logits))


def group_auc(logits: np.ndarray, labels: np.ndarray, users: np.ndarray) -> float:
    """Mean over users of the AUC among their rows, weighted by their rows; NaN if no user has rows of both kinds.

    Reference:
        Zhou et al., Deep Interest Network, KDD 2018, section 6.2, equation 10. Users whose rows all have one label
        have no AUC and no weight.
    """
    # A user's rows stand together, by logit; ranks within the user follow from global places.
    order = np.lexsort((logits, users))
    logits, labels, users = logits[order], labels[order], users[order]
    first = np.flatnonzero(np.append(True, users[1:] != users[:-1]))
    sizes = np.diff(np.append(first, len(users)))
    ends = np.append(True, (logits[1:] != logits[:-1]) | (users[1:] != users[:-1]))
    group = np.cumsum(ends) - 1
    begin = np.flatnonzero(ends)
    length = np.diff(np.append(begin, len(users)))
    ranks = (begin + (length + 1) / 2.0)[group] - np.repeat(first, sizes)  # mean rank of equal logits, from 1
    positives = np.add.reduceat(labels.astype(np.float64), first)
    negatives = sizes - positives
    of_positives = np.add.reduceat(np.where(labels, ranks, 0.0), first)
    both = (positives > 0) & (negatives > 0)
    if not both.any():
        return float("nan")
    positives, negatives, of_positives = positives[both], negatives[both], of_positives[both]
    each = (of_positives - positives * (positives + 1) / 2.0) / (positives * negatives)
    return float(np.average(each, weights=sizes[both]))


def calibration_error(logits: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error: mean distance of probability and share of ones, over 20 bins of equally many rows."""
    order = np.argsort(logits, kind="stable")
    chance, label = probabilities(logits)[order], labels[order].astype(np.float64)
    bins = [part for part in np.array_split(np.arange(len(order)), _BINS) if len(part)]
    return float(sum(len(part) * abs(chance[part].mean() - label[part].mean()) for part in bins) / len(order))


class ResampledAUC:
    """AUC of many resamples of users, each drawn with all of its rows, without sorting again.

    Args:
        logits: float (rows,).
        labels: bool (rows,).
        users: int (rows,), numbered from 0.
    """

    def __init__(self, logits: np.ndarray, labels: np.ndarray, users: np.ndarray) -> None:
        order = np.argsort(logits, kind="stable")
        ordered = logits[order]
        self._labels, self._users = labels[order], users[order]
        self._begin = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))

    def __call__(self, times: np.ndarray) -> float:
        """AUC if every user's rows stood there so often.

        Args:
            times: int (users,).

        Returns:
            From 0 to 1; NaN if one of the labels is not drawn.
        """
        weight = times[self._users].astype(np.float64)
        positive = np.add.reduceat(np.where(self._labels, weight, 0.0), self._begin)
        negative = np.add.reduceat(np.where(self._labels, 0.0, weight), self._begin)
        below = np.cumsum(negative) - negative
        pairs = positive.sum() * negative.sum()
        return float((positive * (below + negative / 2.0)).sum() / pairs) if pairs else float("nan")
