"""The interactions view: rows of a user, an item, their features and a label, in batches.

Training batches are a pure function of the dataset, the arguments and the step, so a resumed run skips to where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfrec_zoo.data import records
from tfrec_zoo.data.rows import chosen_features, to_rows
from tfrec_zoo.data.shuffling import shuffled_epochs
from tfrec_zoo.dataset_spec import DatasetSpec, FeatureSpec
from tfrec_zoo.errors import DataError
from tfrec_zoo.preprocessing.history import right_align

VIEW = "interactions"
HISTORY, LABEL = "history", "label"
SEED = "seed"


def training_rows(spec: DatasetSpec, splits: Sequence[str] = ("train",)) -> int:
    """Number of rows that one epoch of `training_batches` sees."""
    return sum(spec.records(VIEW, split) for split in splits)


def training_batches(
    spec: DatasetSpec,
    batch_size: int,
    length: int,
    *,
    features: Sequence[str] | None = None,
    splits: Sequence[str] = ("train",),
    seed: int = 0,
    first_step: int = 0,
) -> tf.data.Dataset:
    """Endless batches of rows in a seeded random order; an epoch is `training_rows / batch_size` of them.

    Args:
        spec: The dataset.
        batch_size: Rows a batch; always full.
        length: Columns of a history.
        features: Names of the features to read, see `evaluation_batches`; default: all.
        splits: ("train",), or ("train", "valid") for a refit.
        seed: Of the order, and of the `seed` that each batch carries.
        first_step: Batches to skip, for a run that goes on.

    Returns:
        A dataset of dicts, as of `evaluation_batches`, and "seed" int64 (2,), another every step, for what the model
        draws at random.

    Raises:
        DataError: The dataset has no such view or feature, or one that is named as the seed is.
    """
    chosen = chosen_features(spec, VIEW, features)
    if SEED in chosen:
        raise DataError(
            f"{spec.directory} has a feature {SEED!r}, which is the name of what every batch carries to draw with: "
            "rename its column and run `tfrec prepare` again."
        )

    def to_batch(step: tf.Tensor, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        return {**_to_batch(serialized, chosen, length), SEED: tf.stack([tf.constant(seed, tf.int64), step])}

    batches = (
        shuffled_epochs(spec, VIEW, splits, seed)
        .batch(batch_size, drop_remainder=True)
        .skip(first_step)
        .enumerate(first_step)
        .map(to_batch, records.PARALLEL_CALLS, deterministic=True)
        .prefetch(2)
    )
    return records.fixed_parallelism(batches)


def evaluation_batches(
    spec: DatasetSpec, split: str, batch_size: int, length: int, *, features: Sequence[str] | None = None
) -> tf.data.Dataset:
    """One pass over the rows of a split, user by user, each user's oldest first.

    Args:
        spec: The dataset.
        split: "valid" or "test"; "train" comes in the order of its shards.
        batch_size: Rows a batch; the last one may be smaller.
        length: Columns of a history.
        features: Names of the features to read, of `spec.features["interactions"]`; default: all.

    Returns:
        A dataset of dicts. "label" float32 (batch,); "history" int32 (batch, length), right-aligned, without unknown
        items; every other feature under its name: ids (of features with a vocabulary) int32, other integers int64,
        numbers float32, raw ids string; (batch,) for one value a row, RaggedTensor (batch, None) for several.

    Raises:
        DataError: The dataset has no such view, split or feature.
    """
    chosen = chosen_features(spec, VIEW, features)
    batches = (
        records.read(spec.paths(VIEW, split))
        .batch(batch_size)
        .map(lambda batch: _to_batch(batch, chosen, length), records.PARALLEL_CALLS, deterministic=True)
        .prefetch(2)
    )
    return records.fixed_parallelism(batches)


def _to_batch(serialized: tf.Tensor, features: Mapping[str, FeatureSpec], length: int) -> dict[str, tf.Tensor]:
    batch = to_rows(serialized, features)
    if LABEL in batch:
        batch[LABEL] = tf.cast(batch[LABEL], tf.float32)
    if HISTORY in batch:
        batch[HISTORY] = right_align(batch[HISTORY].to_tensor(), length)
    return batch
