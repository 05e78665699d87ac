"""TFRecord shards of a dataset: serialized records in a seeded order, and their parsing a batch at a time.

Parsing after batching is about five times faster than record by record, so every view batches serialized records first.
"""

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfrec_zoo.dataset_spec import DatasetSpec, FeatureSpec
from tfrec_zoo.errors import DataError

PARALLEL_CALLS = min(os.cpu_count() or 1, 8)
"""Batches that are prepared at the same time."""

CACHE_BYTES = 256 * 2**20
"""Shards up to this size together are kept in memory after the first pass."""

_DTYPES = {"bytes": tf.string, "int64": tf.int64, "float32": tf.float32}


def read(paths: Sequence[str]) -> tf.data.Dataset:
    """Serialized records of some shards, in the order of the list."""
    return tf.data.TFRecordDataset(list(paths), compression_type=compression(paths), buffer_size=8 * 2**20)


@dataclasses.dataclass(frozen=True)
class Part:
    """One of several parts of a dataset's records, one a worker.

    Attributes:
        index: Which one, from 0.
        count: Of how many.
    """

    index: int
    count: int


WHOLE = Part(0, 1)


def read_part(spec: DatasetSpec, view: str, split: str, part: Part) -> tf.data.Dataset:
    """Serialized records of one of the parts that the shards of a view and split fall into.

    A part is every count-th shard; every count-th record where there are fewer shards than parts, or some part's shards
    would all be empty.

    Raises:
        DataError: There are fewer records than parts.
    """
    paths = spec.paths(view, split)
    if part.count == 1:
        return read(paths)
    held = [file.records for file in spec.files if (file.view, file.split) == (view, split)]
    if sum(held) < part.count:
        raise DataError(
            f"{spec.directory} has {sum(held)} {view}/{split} records, too few for {part.count} workers that read "
            "records of their own. Set training.sharding=batch, or use fewer workers."
        )
    if all(sum(held[index :: part.count]) for index in range(part.count)):
        return read(paths[part.index :: part.count])
    return read(paths).shard(part.count, part.index)


def compression(paths: Sequence[str]) -> str:
    """What `tf.data.TFRecordDataset` calls the compression of some shards of a dataset."""
    return "GZIP" if paths and paths[0].endswith(".gz") else ""


def is_small(spec: DatasetSpec, view: str) -> bool:
    """Whether the shards of a view together may be kept in memory after the first pass."""
    return sum(file.bytes for file in spec.files if file.view == view) <= CACHE_BYTES


def fixed_parallelism(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Turns autotuning off, for the datasets made of this one too.

    The end of an autotuned iterator was seen to wait for its tuning thread, which in a long run sleeps for up to a
    minute.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def explained(batches: Iterable[Any], spec: DatasetSpec) -> Iterator[Any]:
    """The same batches; what TensorFlow says of an unreadable shard becomes an error that names the file.

    Args:
        batches: A dataset over shards of `spec`.
        spec: The dataset.

    Raises:
        DataError: A shard is damaged, has gone, or holds something other than the dataset's records.
    """
    iterator = iter(batches)
    while True:
        try:
            batch = next(iterator)
        except StopIteration:
            return
        except (tf.errors.DataLossError, tf.errors.NotFoundError, tf.errors.InvalidArgumentError) as error:
            said = " ".join(str(error.message).split())[:200]
            where = _first_unreadable(spec) or f"a shard of {spec.directory}"
            raise DataError(f"{where} is damaged ({said}). Restore it, or run `tfrec prepare` again.") from error
        yield batch


def _first_unreadable(spec: DatasetSpec) -> str | None:
    # TensorFlow's messages don't say which of the shards it was.
    for file in spec.files:
        if ".tfrecord" not in file.path:
            continue
        path = str(spec.directory / file.path)
        try:
            found = sum(1 for _ in read([path]))
        except tf.errors.OpError:
            return path
        if found != file.records:
            return path
    return None


def parse(serialized: tf.Tensor, features: Mapping[str, FeatureSpec]) -> dict[str, tf.Tensor]:
    """Parses a batch of serialized tf.train.Examples.

    Args:
        serialized: string (batch,).
        features: The features to read; others in the records are skipped.

    Returns:
        Feature name -> dense tensor (batch,) for features of shape (1,), RaggedTensor (batch, None) for those of
        variable length. A variable-length feature that a record lacks is an empty row.
    """
    return tf.io.parse_example(serialized, {name: _parser(feature) for name, feature in features.items()})


def _parser(feature: FeatureSpec) -> tf.io.FixedLenFeature | tf.io.RaggedFeature:
    dtype = _DTYPES[feature.dtype]
    if feature.shape == (-1,):
        return tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)
    return tf.io.FixedLenFeature([], dtype)
