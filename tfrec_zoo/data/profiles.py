"""The profiles view: a user's history and a class of the user, in batches.

Training batches are a pure function of the dataset, the arguments and the step, so a resumed run skips to where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfrec_zoo.data import records
from tfrec_zoo.data.rows import chosen_features, to_rows
from tfrec_zoo.data.shuffling import shuffled_epochs
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec, FeatureSpec
from tfrec_zoo.preprocessing.history import right_align

VIEW = "profiles"
UNKNOWN = -1
"""The class of a user whose label is missing, or was never seen in train."""


def training_records(spec: DatasetSpec, splits: Sequence[str] = ("train",)) -> int:
    """Number of users that one epoch of `training_batches` sees."""
    return sum(spec.records(VIEW, split) for split in splits)


def training_batches(
    spec: DatasetSpec,
    label: str,
    batch_size: int,
    length: int,
    *,
    splits: Sequence[str] = ("train",),
    seed: int = 0,
    first_step: int = 0,
) -> tf.data.Dataset:
    """Endless batches of users in a seeded random order; an epoch is `training_records / batch_size` of them.

    Args:
        spec: The dataset.
        label: Name of the label, one of `tfrec prepare --profile-labels`.
        batch_size: Users a batch; always full.
        length: Columns of a history; the latest items are kept.
        splits: ("train",), or ("train", "valid") for a refit.
        seed: Of the order and of the `seed` that each batch carries.
        first_step: Batches to skip, for a run that goes on.

    Returns:
        A dataset of dicts: "user" string (batch,); "history" int32 (batch, length), right-aligned; "class" int32
        (batch,), the line (from 0) of vocab/<label>.txt, or -1 for a user whose class is not known; "seed" int64 (2,),
        one a step.

    Raises:
        DataError: The dataset has no such view, split or label.
    """
    features = _features(spec, label)

    def to_batch(step: tf.Tensor, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        batch = _to_batch(serialized, features, label, length)
        return {**batch, "seed": tf.stack([tf.constant(seed, tf.int64), step])}

    batches = (
        shuffled_epochs(spec, VIEW, splits, seed)
        .batch(batch_size, drop_remainder=True)
        .enumerate()
        .skip(first_step)
        .map(to_batch, records.PARALLEL_CALLS, deterministic=True)
        .prefetch(2)
    )
    return records.fixed_parallelism(batches)


def evaluation_batches(
    spec: DatasetSpec, label: str, split: str, batch_size: int, length: int | None = None
) -> tf.data.Dataset:
    """One pass over the users of a split, in the order of the shards.

    Args:
        spec: The dataset.
        label: Name of the label.
        split: "valid" or "test".
        batch_size: Users a batch; the last one may be smaller.
        length: Columns of a history; default: as long as the longest of the batch.

    Returns:
        A dataset of dicts, as of `training_batches`.

    Raises:
        DataError: The dataset has no such view, split or label.
    """
    features = _features(spec, label)
    batches = (
        records.read(spec.paths(VIEW, split))
        .batch(batch_size)
        .map(lambda batch: _to_batch(batch, features, label, length), records.PARALLEL_CALLS, deterministic=True)
        .prefetch(2)
    )
    return records.fixed_parallelism(batches)


def _features(spec: DatasetSpec, label: str) -> dict[str, FeatureSpec]:
    return chosen_features(spec, VIEW, ("user", "items", label))


def _to_batch(
    serialized: tf.Tensor, features: Mapping[str, FeatureSpec], label: str, length: int | None
) -> dict[str, tf.Tensor]:
    row = to_rows(serialized, features)
    known = row[label] >= FIRST_ITEM_ID
    return {
        "user": row["user"],
        "history": right_align(row["items"].to_tensor(), length),
        "class": tf.where(known, row[label] - FIRST_ITEM_ID, UNKNOWN),
    }
