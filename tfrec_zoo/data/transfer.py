"""The transfer view: a source history and one item of the target domain, in batches.

Training batches are a pure function of the dataset, the arguments and the step, so a resumed run skips to where it was.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfrec_zoo.data import records
from tfrec_zoo.data.shuffling import shuffled_epochs
from tfrec_zoo.dataset_spec import DatasetSpec, FeatureSpec
from tfrec_zoo.preprocessing.history import right_align

VIEW = "transfer"
_FEATURES = {
    "user": FeatureSpec("bytes", (1,)),
    "items": FeatureSpec("int64", (-1,)),
    "target": FeatureSpec("int64", (1,)),
    "seen": FeatureSpec("int64", (-1,)),
}


def training_records(spec: DatasetSpec, splits: Sequence[str] = ("train",)) -> int:
    """Number of records that one epoch of `training_batches` sees."""
    return sum(spec.records(VIEW, split) for split in splits)


def training_batches(
    spec: DatasetSpec,
    batch_size: int,
    length: int,
    *,
    splits: Sequence[str] = ("train",),
    seed: int = 0,
    first_step: int = 0,
) -> tf.data.Dataset:
    """Endless batches of records in a seeded random order; an epoch is `training_records / batch_size` of them.

    Args:
        spec: The dataset.
        batch_size: Records a batch; always full.
        length: Columns of a history; the latest items are kept.
        splits: ("train",), or ("train", "valid") for a refit.
        seed: Of the order and of the `seed` that each batch carries.
        first_step: Batches to skip, for a run that goes on.

    Returns:
        A dataset of dicts: "user" string (batch_size,); "history" int32 (batch_size, length), right-aligned, ids of
        vocab/item.txt; "target" int32 (batch_size,), ids of vocab/target_item.txt, in "train" never OOV; "seed" int64
        (2,), one a step, for the model's own random choices.

    Raises:
        DataError: The dataset has no such view or split.
    """

    def to_batch(step: tf.Tensor, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        batch = _to_batch(serialized, length)
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


def evaluation_batches(spec: DatasetSpec, split: str, batch_size: int, length: int | None = None) -> tf.data.Dataset:
    """One pass over the held-out targets of a split, in the order of the shards.

    Args:
        spec: The dataset.
        split: "valid" or "test".
        batch_size: Records a batch; the last one may be smaller.
        length: Columns of a history; default: as long as the longest of the batch.

    Returns:
        A dataset of dicts: "user", "history" and "target" as of `training_batches`, a target without train rows is OOV;
        "seen" RaggedTensor int32 (batch, None), every earlier item of the user in the target domain.

    Raises:
        DataError: The dataset has no such view or split.
    """

    def to_batch(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        return _to_batch(serialized, length, with_seen=True)

    batches = (
        records.read(spec.paths(VIEW, split))
        .batch(batch_size)
        .map(to_batch, records.PARALLEL_CALLS, deterministic=True)
        .prefetch(2)
    )
    return records.fixed_parallelism(batches)


def _to_batch(serialized: tf.Tensor, length: int | None, with_seen: bool = False) -> dict[str, tf.Tensor]:
    row = records.parse(serialized, _FEATURES)
    batch = {
        "user": row["user"],
        "history": right_align(tf.cast(row["items"].to_tensor(), tf.int32), length),
        "target": tf.cast(row["target"], tf.int32),
    }
    return {**batch, "seen": tf.cast(row["seen"], tf.int32)} if with_seen else batch
