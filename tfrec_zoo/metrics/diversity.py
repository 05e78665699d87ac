"""Intra-list diversity: how differently the items of one list are used."""

import numpy as np

_PAIRS_AT_ONCE = 4096


def intra_list_diversity(lists: np.ndarray, items: np.ndarray, users: np.ndarray) -> float:
    """Mean over the lists of the mean 1 - cosine between their items' sets of train users.

    Two items with the same users are at distance 0, two that no user shares at 1. It needs nothing beyond the log: no
    categories and no item vectors of a model, which would be measured by its own ruler.

    Args:
        lists: int (lists, k), item columns; a negative entry is an empty place.
        items: int (interactions,), the item column of every train interaction.
        users: int (interactions,), its user.

    Returns:
        From 0 to 1; 0 where no list has two items.
    """
    base = np.int64(users.max(initial=0)) + 1
    keys = np.unique(items.astype(np.int64) * base + users)  # repeated interactions count once
    size = max(items.max(initial=-1), lists.max(initial=-1)) + 1
    first = np.searchsorted(keys, np.arange(size + 1) * base)
    row, one, other = _pairs(lists)
    if not len(row):
        return 0.0
    distinct, place = np.unique(one * np.int64(size) + other, return_inverse=True)
    shared = np.concatenate(
        [
            _shared_users(part // size, part % size, keys, first, base)
            for part in np.array_split(distinct, -(-len(distinct) // _PAIRS_AT_ONCE))
        ]
    )
    counts = np.diff(first).astype(np.float64)
    norm = np.sqrt(counts[one] * counts[other])
    cosine = np.divide(shared[place], norm, out=np.zeros(len(row)), where=norm > 0)
    pairs = np.bincount(row)
    return float((1.0 - np.bincount(row, cosine)[pairs > 0] / pairs[pairs > 0]).mean())


def _pairs(lists: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List, smaller and greater item of every pair of a list, int64 (pairs,) each."""
    left, right = np.triu_indices(lists.shape[1], 1)
    one, other = lists[:, left].astype(np.int64), lists[:, right].astype(np.int64)
    row = np.repeat(np.arange(len(lists)), len(left)).reshape(one.shape)
    full = (one >= 0) & (other >= 0)
    return row[full], np.minimum(one, other)[full], np.maximum(one, other)[full]


def _shared_users(
    one: np.ndarray, other: np.ndarray, keys: np.ndarray, first: np.ndarray, base: np.int64
) -> np.ndarray:
    """Users that have both items of a pair, (pairs,): the rarer item's users are looked up among the other's."""
    lengths = np.diff(first)
    swap = lengths[one] > lengths[other]
    rare, common = np.where(swap, other, one), np.where(swap, one, other)
    count = lengths[rare]
    pair = np.repeat(np.arange(len(rare)), count)
    within = np.arange(len(pair)) - np.repeat(np.cumsum(count) - count, count)
    wanted = keys[first[rare][pair] + within] % base + common[pair] * base
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.bincount(pair, keys[place] == wanted, minlength=len(rare)) if len(keys) else np.zeros(len(rare))
