"""Down-sampling of frequent targets, as word2vec does for frequent words: a few items must not fill the training."""

from __future__ import annotations

import numpy as np

from beam_jobs.hashing import mix

_UNIT = 2.0**-53


def keep_probability(counts: np.ndarray, sample: float) -> np.ndarray:
    """With which probability a target is kept.

    `(sqrt(f / (sample * T)) + 1) * sample * T / f` with the count f of the item and the total T, at most 1: the formula
    of the word2vec program (Mikolov et al., NeurIPS 2013; the paper's own text has a simpler one).

    Args:
        counts: int64 (items,), targets of every item.
        sample: Share of all targets above which an item is thinned out; 1e-3 to 1e-5.

    Returns:
        float64 (items,); 1 for an item without targets.

    Example:
        >>> keep_probability(np.array([9000, 1000]), 0.1).round(3)
        array([0.444, 1.   ])
    """
    expected = sample * counts.sum() / np.maximum(counts, 1)
    return np.minimum(1.0, np.sqrt(expected) + expected)


def uniform(keys: np.ndarray, seed: int) -> np.ndarray:
    """A number in [0, 1) for every key, float64: the same on every worker and in every run.

    Args:
        keys: uint64, such as hashes of a user mixed with the place of an event.
        seed: Another seed gives other, independent numbers.
    """
    start = np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % (1 << 64))
    return (mix(mix(keys ^ mix(np.array([start], np.uint64))[0])) >> np.uint64(11)) * _UNIT
