"""How popular recommended items are: novelty, and the bias against what users had chosen themselves.

Lists are int (users, k) of item columns; a negative entry is an empty place. Popularity is counted on train.
"""

import numpy as np


def novelty(lists: np.ndarray, counts: np.ndarray) -> float:
    """Mean self-information -log2(share of train interactions) of the recommended items, in bits.

    Args:
        lists: int (users, k), item columns.
        counts: Train interactions of every item, at least 1 each, (catalog_size,).

    Reference: Zhou et al., Solving the apparent diversity-accuracy dilemma, PNAS 2010 ("surprisal").
    """
    chosen = lists[lists >= 0]
    if not len(chosen):
        return 0.0
    share = np.asarray(counts, np.float64) / np.sum(counts)
    return float(-np.log2(share[chosen]).mean())


def average_popularity(lists: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean train interactions of every user's list, float64 (users,); NaN for an empty list."""
    places = lists >= 0
    popularity = np.where(places, np.asarray(counts, np.float64)[np.maximum(lists, 0)], 0.0)
    total, length = popularity.sum(axis=1), places.sum(axis=1)
    return np.divide(total, length, out=np.full(len(lists), np.nan), where=length > 0)


def popularity_ratio(recommended: np.ndarray, chosen: np.ndarray) -> float:
    """Mean popularity of the lists over that of the histories; above 1 the model leans to popular items.

    Args:
        recommended: float (users,), `average_popularity` of the lists.
        chosen: float (users,), the same of the users' own histories; NaN where nothing is known.
    """
    known = np.isfinite(recommended) & np.isfinite(chosen)
    own = chosen[known].sum()
    return float(recommended[known].sum() / own) if own else 0.0
