"""How recommended lists spread over the catalogue: coverage and the Gini index of exposure.

Lists are int (users, k) of item columns, 0 to catalog_size - 1; a negative entry is an empty place (a user with fewer
than k items left to recommend).
"""

import numpy as np


def exposure(lists: np.ndarray, catalog_size: int) -> np.ndarray:
    """How often every item is recommended, int64 (catalog_size,)."""
    return np.bincount(lists[lists >= 0], minlength=catalog_size)


def catalog_coverage(lists: np.ndarray, catalog_size: int) -> float:
    """Share of the catalogue that is recommended to at least one user."""
    return float((exposure(lists, catalog_size) > 0).mean())


def gini(counts: np.ndarray) -> float:
    """Gini index of non-negative counts: 0 when all are equal (or nothing is there), 1 - 1/n when one of n has all."""
    ordered = np.sort(np.asarray(counts, np.float64))
    total = ordered.sum()
    if not total:
        return 0.0
    n = len(ordered)
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * total))
