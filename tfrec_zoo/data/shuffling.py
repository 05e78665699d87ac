"""Shards -> an endless stream of their records, every epoch in a new random order.

The order is a pure function of the shards and the seed. A view of up to `records.CACHE_BYTES` is shuffled as a whole.
A larger one is read from `CYCLE` shards in turn, in a new order of the shards every epoch, through a buffer of
`BUFFER_RECORDS`; the prepare job has shuffled the records within every shard, so that is close to a shuffle of all.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfrec_zoo.data import records
from tfrec_zoo.dataset_spec import DatasetSpec

CYCLE = 16
BUFFER_RECORDS = 100_000


def shuffled_epochs(spec: DatasetSpec, view: str, splits: Sequence[str], seed: int) -> tf.data.Dataset:
    """Serialized records, epoch after epoch without end.

    Args:
        spec: The dataset.
        view: Of which view.
        splits: Their shards are read as one.
        seed: Of the order; epochs of one seed have different orders.

    Returns:
        A dataset of string scalars.

    Raises:
        DataError: The dataset has no such view or split.
    """
    paths = [path for split in splits for path in spec.paths(view, split)]
    count = sum(spec.records(view, split) for split in splits)
    size = sum(file.bytes for file in spec.files if file.view == view and file.split in splits)
    whole = records.read(paths).cache() if size <= records.CACHE_BYTES else None

    def epoch_order(epoch: tf.Tensor) -> tf.data.Dataset:
        # A seed an epoch instead of reshuffle_each_iteration, whose order depends on who iterated the dataset before.
        # set_seed here sets the seed of this function's graph alone, so that the global seed has no say either.
        tf.random.set_seed(1 + seed)
        if whole is not None:
            return whole.shuffle(count, seed=epoch, reshuffle_each_iteration=False)
        shards = tf.data.Dataset.from_tensor_slices(paths).shuffle(
            len(paths), seed=epoch, reshuffle_each_iteration=False
        )
        mixed = shards.interleave(
            lambda path: tf.data.TFRecordDataset(path, records.compression(paths), buffer_size=2**20),
            cycle_length=min(CYCLE, len(paths)),
            block_length=16,
            num_parallel_calls=records.PARALLEL_CALLS,
            deterministic=True,
        )
        return mixed.shuffle(min(BUFFER_RECORDS, count), seed=epoch, reshuffle_each_iteration=False)

    return tf.data.Dataset.counter().flat_map(epoch_order)
