"""Histories on their way to a model, and ranked items on their way back."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_SMALLEST_BUCKET = 8


@dataclasses.dataclass(frozen=True)
class Recommendations:
    """The ranked items of one user.

    Args:
        item_ids: Best first; at most k, fewer if the model had fewer to rank.
        scores: One for each item.
        fallback: True if the model knew nothing of the history and answers with popular items; None if it doesn't say.
    """

    item_ids: list[str]
    scores: list[float]
    fallback: bool | None = None


def bucket(length: int) -> int:
    """Returns the width that a history of this length is padded to.

    Widths are powers of two from 8 on, so that requests of many lengths have few shapes and a server can batch them.
    One column is always left for padding: TensorFlow Serving's pad_variable_length_inputs repeats the first element of
    a row, which then is "" and not a real item.
    """
    width = _SMALLEST_BUCKET
    while width <= length:
        width *= 2
    return width


def _check_ids(ids: Any, what: str) -> list[str]:
    if isinstance(ids, str | bytes) or not isinstance(ids, Sequence | np.ndarray):
        raise TypeError(f"{what} is a list of item ids, not {type(ids).__name__}")
    checked = [item.decode() if isinstance(item, bytes) else item for item in ids]
    for position, item in enumerate(checked):
        if not isinstance(item, str):
            raise TypeError(f"{what}[{position}] is {item!r}; item ids are strings")
        if not item:
            raise ValueError(f"{what}[{position}] is empty; padding is added by the client")
    return checked


def is_batch(histories: Sequence[Any]) -> bool:
    """Tells a list of histories from one history; an empty list is one empty history."""
    return len(histories) > 0 and not isinstance(histories[0], str | bytes)


def pad_left(histories: Sequence[Sequence[str]]) -> np.ndarray:
    """Pads histories to one bucket.

    Args:
        histories: Item ids of each user, oldest first.

    Returns:
        object (batch, bucket) of str: each history right-aligned, with "" on its left.

    Raises:
        TypeError: A history is not a list of strings.
        ValueError: An item id is empty.
    """
    rows = [_check_ids(history, "history") for history in histories]
    padded = np.full((len(rows), bucket(max(map(len, rows), default=0))), "", dtype=object)
    for row, items in zip(padded, rows, strict=True):
        row[len(row) - len(items) :] = items
    return padded


def pad_right(candidates: Sequence[Sequence[str]], least: int = 0) -> np.ndarray:
    """Pads lists of items to the longest row.

    Args:
        candidates: Item ids for each user, such as those to score.
        least: Columns that there are at least.

    Returns:
        object (batch, longest) of str, with "" on the right.

    Raises:
        TypeError: A row is not a list of strings.
        ValueError: An item id is empty.
    """
    rows = [_check_ids(row, "candidates") for row in candidates]
    padded = np.full((len(rows), max([least, *map(len, rows)])), "", dtype=object)
    for row, items in zip(padded, rows, strict=True):
        row[: len(items)] = items
    return padded


def written(continuations: np.ndarray) -> list[list[str]]:
    """Reads one row of the output `continuations` of the signature `generate`.

    Args:
        continuations: bytes (max_n, max_length), padded with "" on the right and at the end.

    Returns:
        The continuations, without the padding.
    """
    rows = [[item.decode(errors="replace") for item in row if item] for row in continuations]
    return [row for row in rows if row]


def ranked(outputs: Mapping[str, np.ndarray], k: int) -> list[Recommendations]:
    """Reads the outputs of the signature `recommend`.

    Args:
        outputs: `item_ids` bytes (batch, max_k) and `scores` float (batch, max_k), padded with "" on the right, and
            perhaps `fallback` bool (batch,).
        k: Items to keep for each user.

    Returns:
        One entry for each row, without the padding.

    Raises:
        KeyError: `item_ids` or `scores` isn't there.
    """
    item_ids, scores, fallback = outputs["item_ids"], outputs["scores"], outputs.get("fallback")
    users = []
    for row, ids in enumerate(item_ids):
        kept = [(item.decode(errors="replace"), float(scores[row, rank])) for rank, item in enumerate(ids[:k]) if item]
        users.append(
            Recommendations(
                item_ids=[item for item, _ in kept],
                scores=[score for _, score in kept],
                fallback=None if fallback is None else bool(fallback[row]),
            )
        )
    return users
