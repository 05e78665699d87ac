"""Golden requests: real ones, and some that are not, for every signature of a version."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec_zoo.data import records
from tfrec_zoo.data.sequences import evaluation_batches
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec
from tfrec_zoo.export.item_catalogue import ItemCatalogue
from tfrec_zoo.export.signatures.generate import GenerationLimits
from tfrec_zoo.models.transfer_task import NEXT_ITEM
from tfrec_zoo.runs.task_folder import TaskFolder

UNKNOWN = "never seen\u2063"  # an invisible separator: no catalogue has this id
_CANDIDATES = 200

Request = dict[str, Any]
"""\"signature\" and \"inputs\", alias -> nested list; bytes are {\"b64\": text}, a number that is missing is None."""


def golden_requests(
    spec: DatasetSpec,
    catalogue: ItemCatalogue,
    signatures: Iterable[str],
    users: int = 32,
    limits: GenerationLimits | None = None,
) -> list[Request]:
    """Requests for every signature: real histories of the test part, unknown items, unknown users, new items.

    Args:
        spec: The dataset.
        catalogue: The items of the version.
        signatures: Those that the version has.
        users: How many real histories.
        limits: Of the version's continuations, if it generates.

    Returns:
        The requests, JSON-ready; at least one for each signature.
    """
    items = catalogue.items
    history = _histories(spec, catalogue, users)
    rows = len(history)
    candidates = some_candidates(catalogue)
    wanted: dict[str, list[dict[str, Any]]] = {
        "serving_default": [{"history": history}],
        "recommend": [{"history": history[:1]}],
        "recommend_filtered": [
            {
                "history": history,
                "exclude": [[items[row % len(items)], UNKNOWN] for row in range(rows)],
                "exclude_seen": [row % 2 == 0 for row in range(rows)],
                "allow": [[""] * 2 if row % 3 else [*items[1:2], items[-1]] for row in range(rows)],
            }
        ],
        "score": [{"history": history, "candidates": [candidates] * rows}],
        "serving_examples": [{"examples": [{"b64": text} for text in _examples(spec, users)]}],
        "encode": [{"history": history}],
        "recommend_diverse": [{"history": history, "seed": list(range(rows))}],
    }
    if limits:
        drawn = {"history": history, **_drawn(rows, limits)}
        filters = {
            "top_p": [(0.5, 1.0)[row % 2] for row in range(rows)],
            "no_repeats": [row % 3 > 0 for row in range(rows)],
        }
        wanted |= {"generate": [drawn], "generate_filtered": [{**drawn, **filters}]}
    return [{"signature": name, "inputs": inputs} for name in signatures for inputs in wanted[name]]


def _drawn(rows: int, limits: GenerationLimits) -> dict[str, list]:
    """What to draw for so many histories: few and short continuations, and of one the most that there may be."""
    few, short = min(3, limits.max_n), min(4, limits.max_length)
    return {
        "n": [1 + row % few for row in range(rows - 1)] + [limits.max_n],
        "length": [1 + row % short for row in range(rows - 1)] + [limits.max_length],
        "temperature": [(1.0, 0.0, 0.7)[row % 3] for row in range(rows)],
        "seed": list(range(rows)),
    }


def some_candidates(catalogue: ItemCatalogue) -> list[str]:
    """Raw ids from all over the catalogue, one of them twice, an unknown one and none."""
    items = catalogue.items
    return [*items[:: max(1, len(items) // _CANDIDATES)], items[-1], items[0], UNKNOWN, ""]


def task_requests(
    spec: DatasetSpec, catalogue: ItemCatalogue, tasks: Iterable[TaskFolder], users: int = 32
) -> list[Request]:
    """Requests for the signatures of tasks, on the same histories."""
    history = _histories(spec, catalogue, users)
    requests = []
    for task in tasks:
        inputs: dict[str, Any] = {"history": history}
        if task.config.kind == NEXT_ITEM:
            targets = task.targets()
            inputs["exclude"] = [[targets[row % len(targets)], UNKNOWN, ""] for row in range(len(history))]
        requests.append({"signature": task.name, "inputs": inputs})
    return requests


def _histories(spec: DatasetSpec, catalogue: ItemCatalogue, users: int) -> list[list[str]]:
    """Raw histories of one width."""
    items = catalogue.items
    histories = real_histories(spec, users)
    histories += [[UNKNOWN], [UNKNOWN, items[0], UNKNOWN], [items[-1]], [items[-1], items[0]], items[4::-1], []]
    return pad_left(histories, max(map(len, histories)))


def real_histories(spec: DatasetSpec, users: int) -> list[list[str]]:
    """Raw item ids of the first users of the test part, oldest first; none where there is no such part."""
    if not spec.records("sequences", "test"):
        return []
    items = spec.vocabulary("item")
    batch = next(iter(evaluation_batches(spec, "test", users)))
    return [[items[item - FIRST_ITEM_ID] for item in row if item >= FIRST_ITEM_ID] for row in batch["history"].numpy()]


def pad_left(histories: Iterable[list[str]], width: int) -> list[list[str]]:
    """Pads histories with "" on the left, or cuts them to their newest items."""
    return [[""] * (width - len(row)) + row[max(0, len(row) - width) :] for row in histories]


def _examples(spec: DatasetSpec, users: int) -> list[str]:
    """Serialized records as the Beam job writes them, and an empty one; base64."""
    found = [tf.train.Example().SerializeToString()]
    split = next((name for name in ("test", "valid", "train") if spec.records("sequences", name)), None)
    if split is not None:
        found += [each.numpy() for each in records.read(spec.paths("sequences", split)).take(users)]
    return [base64.b64encode(each).decode("ascii") for each in found]


def to_array(value: Any, dtype: tf.DType) -> np.ndarray:
    """An input of a request as an array; strings are objects, a float that is missing is NaN."""

    def decoded(each: Any) -> Any:
        if isinstance(each, list):
            return [decoded(item) for item in each]
        return base64.b64decode(each["b64"]) if isinstance(each, dict) else each

    return np.array(decoded(value), dtype.as_numpy_dtype)
