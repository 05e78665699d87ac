"""Records with features that dataset.json describes -> tensors: what the views of users and items share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfrec_zoo.data import records
from tfrec_zoo.dataset_spec import DatasetSpec, FeatureSpec
from tfrec_zoo.errors import DataError


def chosen_features(spec: DatasetSpec, view: str, names: Sequence[str] | None) -> dict[str, FeatureSpec]:
    """Some features of a view, or all of them if `names` is None.

    Raises:
        DataError: The dataset has no such view or feature.
    """
    have = spec.features.get(view)
    if have is None:
        raise DataError(
            f"{spec.directory} has no view {view} (it has {', '.join(sorted(spec.features))}): run `tfrec prepare` "
            f"with --views {','.join([*sorted(spec.features), view])}."
        )
    unknown = [name for name in names or () if name not in have]
    if unknown:
        raise DataError(
            f"{spec.directory}: {view} have no feature {unknown[0]!r}; they have {', '.join(have)}. "
            "Run `tfrec prepare` with the --users, --items and --label of a dataset that has it."
        )
    return dict(have) if names is None else {name: have[name] for name in names}


def to_rows(serialized: tf.Tensor, features: Mapping[str, FeatureSpec]) -> dict[str, tf.Tensor]:
    """Parses a batch; ids (of features with a vocabulary) become int32, the rest keeps the dtype of the record.

    Args:
        serialized: string (batch,).
        features: Those to read.
    """
    batch = records.parse(serialized, features)
    for name, feature in features.items():
        if feature.dtype == "int64" and feature.vocabulary is not None:
            batch[name] = tf.cast(batch[name], tf.int32)
    return batch
