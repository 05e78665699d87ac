"""The items view: the catalogue with its features, in batches, in the order of the ids."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfrec_zoo.data import records
from tfrec_zoo.data.rows import chosen_features, to_rows
from tfrec_zoo.dataset_spec import DatasetSpec

VIEW = "items"
_SPLIT = "all"


def item_batches(spec: DatasetSpec, batch_size: int, *, features: Sequence[str] | None = None) -> tf.data.Dataset:
    """One pass over all items of the vocabulary, by id: the first record is the item with id 4.

    Args:
        spec: The dataset.
        batch_size: Items a batch; the last one may be smaller.
        features: Names of the features to read, of `spec.features["items"]`; default: all.

    Returns:
        A dataset of dicts: "id" int32 (batch,), "raw_id" string (batch,), and the features of `tfrec prepare --items`:
        ids int32, numbers float32, (batch,) for one value an item, RaggedTensor (batch, None) for several.

    Raises:
        DataError: The dataset has no such view or feature.
    """
    chosen = chosen_features(spec, VIEW, features)
    batches = (
        records.read(spec.paths(VIEW, _SPLIT))
        .batch(batch_size)
        .map(lambda batch: to_rows(batch, chosen), records.PARALLEL_CALLS, deterministic=True)
        .prefetch(2)
    )
    return records.fixed_parallelism(batches)
