"""What a dataset is, in figures: counts, lengths of histories, popularity of items, split, rejects, features."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np

from beam_jobs.dataset_rows import parts
from beam_jobs.example_message import decode
from beam_jobs.record_reader import read_records
from tfrec_zoo.dataset_spec import DatasetSpec

MOST_RECORDS = 100_000
"""Lengths are those of so many records; more would not change their picture."""

_QUANTILES = (0, 10, 25, 50, 75, 90, 99, 100)
_TOP_SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)


def card(spec: DatasetSpec) -> dict[str, Any]:
    """Everything that `tfrec inspect` shows, as JSON-able values.

    Returns:
        `path`, `format_version`, `users`, `items`, `interactions`, `catalog`, `density`, `parts` (view -> split ->
        records, bytes, shards), `lengths` (view -> split -> quantiles and histogram of histories), `popularity`,
        `split`, `generated`, `rejects`, `dropped`, `features`, `options`.
    """
    return {
        "path": str(spec.directory),
        "format_version": spec.format_version,
        "users": spec.users,
        "items": spec.items,
        "interactions": spec.interactions,
        "catalog": spec.catalog_size,
        "density": spec.interactions / max(1, spec.users * spec.items),
        "parts": {view: {split: _size(spec, view, split) for split in splits} for view, splits in parts(spec).items()},
        "lengths": _lengths(spec),
        "popularity": popularity(np.asarray(spec.item_counts, np.int64)),
        "split": dataclasses.asdict(spec.split),
        "generated": spec.generated and dataclasses.asdict(spec.generated),
        "rejects": dict(spec.rejects),
        "dropped": dict(spec.dropped),
        "features": {
            view: {name: dataclasses.asdict(feature) for name, feature in features.items()}
            for view, features in spec.features.items()
        },
        "options": dict(spec.options),
    }


def popularity(counts: np.ndarray) -> dict[str, Any]:
    """How unequal items are.

    Args:
        counts: int64 (items,), train interactions by rank.

    Returns:
        `gini` (0: all alike), `top_shares` (share of items -> their share of the interactions), `most`, `median`,
        `once` (items with a single interaction).
    """
    total, size = int(counts.sum()), len(counts)
    if not total:
        return {"gini": 0.0, "top_shares": {}, "most": 0, "median": 0.0, "once": 0}
    ascending = counts[::-1]
    gini = (2 * np.sum(np.arange(1, size + 1) * ascending) / (size * total)) - (size + 1) / size
    reached = np.cumsum(counts) / total
    return {
        "gini": round(float(gini), 4),
        "top_shares": {
            f"{share:.0%}": round(float(reached[max(0, round(share * size) - 1)]), 4) for share in _TOP_SHARES
        },
        "most": int(counts[0]),
        "median": float(np.median(counts)),
        "once": int((counts == 1).sum()),
    }


def _size(spec: DatasetSpec, view: str, split: str) -> dict[str, int]:
    files = [file for file in spec.files if (file.view, file.split) == (view, split)]
    return {
        "records": sum(file.records for file in files),
        "bytes": sum(file.bytes for file in files),
        "shards": len(files),
    }


def _lengths(spec: DatasetSpec) -> dict[str, dict[str, Any]]:
    """Of the views whose records hold histories."""
    found: dict[str, dict[str, Any]] = {}
    for view, splits in parts(spec).items():
        feature = history_feature(spec, view)
        if feature:
            found[view] = {split: _histogram(lengths(spec, view, split, feature), feature) for split in splits}
    return found


def history_feature(spec: DatasetSpec, view: str) -> str | None:
    """The feature that holds a record's history of items, None for views without."""
    for name in ("items", "history"):
        feature = spec.features.get(view, {}).get(name)
        if feature is not None and feature.shape == (-1,) and feature.vocabulary == "vocab/item.txt":
            return name
    return None


def lengths(spec: DatasetSpec, view: str, split: str, feature: str) -> np.ndarray:
    """Values of a feature in every record of a part, int64 (at most `MOST_RECORDS`,), evenly from all shards."""
    paths = spec.paths(view, split)
    each = -(-MOST_RECORDS // len(paths))
    found = []
    for path in paths:
        for record, _ in itertools.islice(read_records(Path(path)), each):
            values = decode(record).get(feature)
            found.append(0 if values is None else len(values[1]))
    return np.array(found, np.int64)


def _histogram(values: np.ndarray, feature: str) -> dict[str, Any]:
    """Quantiles, and counts in classes that double: 0, 1, 2-3, 4-7, 8-15, ..."""
    classes = np.where(values > 0, np.floor(np.log2(np.maximum(values, 1))).astype(int) + 1, 0)
    counts = np.bincount(classes, minlength=1)
    names = ["0", "1", *(f"{1 << power}-{(2 << power) - 1}" for power in range(1, max(1, len(counts))))]
    return {
        "feature": feature,
        "records": len(values),
        "mean": round(float(values.mean()), 2) if len(values) else 0.0,
        "quantiles": {f"{quantile}%": int(np.percentile(values, quantile, method="nearest")) for quantile in _QUANTILES}
        if len(values)
        else {},
        "histogram": {name: int(count) for name, count in zip(names, counts, strict=False) if count},
    }
