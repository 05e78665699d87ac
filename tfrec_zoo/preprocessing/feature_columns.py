"""The features of DATA's view `interactions` as columns of a model's input: which there are, of whom, and their form.

Training and the exported graph both make a model's input here: training from records, whose ids were looked up by the
Beam job, the graph from raw values (preprocessing/feature_lookup.py), in which it does the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfrec_zoo.dataset_spec import PAD, DatasetSpec, FeatureSpec
from tfrec_zoo.errors import ConfigError, DataError
from tfrec_zoo.preprocessing.history import latest

VIEW = "interactions"
CATEGORY, SEVERAL, HISTORY, NUMBER, COUNT = "category", "several", "history", "number", "count"
USER, ITEM = "user", "item"

_OWNER = {
    **dict.fromkeys(("user_id", "user_count", "user_mean_label", "history"), USER),
    **dict.fromkeys(("item", "item_count", "item_mean_label"), ITEM),
}
"""Whom the features belong to that every log gives; others say it of themselves."""

_NO_INPUTS = ("user", "time", "label", "rating")
"""The id in its raw form, when it was, and what is to be foretold."""


@dataclasses.dataclass(frozen=True)
class FeatureColumn:
    """One feature as a model reads it.

    Attributes:
        name: Its name in the records.
        kind: `CATEGORY`, one id; `SEVERAL`, ids in any order; `HISTORY`, items, oldest first; `NUMBER`, standardised
            if it has a deviation; `COUNT`, a number from 0 that the model sees as log(1 + n).
        vocabulary: Name of the vocabulary that ids are of.
        values: Entries of that vocabulary; the reserved ids come before them.
        mean, deviation: What a raw number is standardised with.
    """

    name: str
    kind: str
    vocabulary: str | None = None
    values: int | None = None
    mean: float | None = None
    deviation: float | None = None

    @classmethod
    def of(cls, name: str, feature: FeatureSpec) -> FeatureColumn:
        """The column of what dataset.json says of a feature."""
        if feature.vocabulary is None:
            kind = COUNT if name in ("user_count", "item_count") else NUMBER
            return cls(name, kind, mean=feature.mean, deviation=feature.deviation)
        kind = CATEGORY if feature.shape == (1,) else HISTORY if name == "history" else SEVERAL
        vocabulary = feature.vocabulary.removeprefix("vocab/").removesuffix(".txt")
        return cls(name, kind, vocabulary, feature.cardinality)

    @property
    def raw_name(self) -> str:
        """Its name in a request, which has raw values."""
        return USER if self.name == "user_id" else self.name


@dataclasses.dataclass(frozen=True)
class FeatureColumns:
    """The columns of both sides.

    Attributes:
        user, item: Those of the user and of the item.
    """

    user: tuple[FeatureColumn, ...]
    item: tuple[FeatureColumn, ...]

    @classmethod
    def of_dataset(
        cls, spec: DatasetSpec, user: Sequence[str] | None = None, item: Sequence[str] | None = None
    ) -> FeatureColumns:
        """The columns that a dataset offers, or chosen ones.

        Args:
            spec: The dataset.
            user: Names of features of the user; default: all that are inputs. Mean labels and counts are among them,
                the label, the rating and the time are not.
            item: The same of the item.

        Raises:
            DataError: The dataset has no view `interactions`.
            ConfigError: A name that is no feature of that side.
        """
        features = spec.features.get(VIEW)
        if features is None:
            raise DataError(
                f"{spec.directory} has no view {VIEW} (it has {', '.join(sorted(spec.features))}): run `tfrec prepare` "
                f"with --views {','.join([*sorted(spec.features), VIEW])}."
            )
        sides: dict[str, dict[str, FeatureColumn]] = {USER: {}, ITEM: {}}
        for name, feature in features.items():
            if name not in _NO_INPUTS:
                sides[_OWNER.get(name) or str(feature.entity)][name] = FeatureColumn.of(name, feature)
        return cls(_choose(sides, USER, user, spec), _choose(sides, ITEM, item, spec))

    @classmethod
    def from_config(cls, config: Mapping[str, Sequence[Mapping[str, Any]]]) -> FeatureColumns:
        """What `to_config` gave."""
        return cls(*(tuple(FeatureColumn(**column) for column in config[side]) for side in (USER, ITEM)))

    def to_config(self) -> dict[str, list[dict[str, Any]]]:
        """Plain values that JSON can hold."""
        return {side: [dataclasses.asdict(column) for column in getattr(self, side)] for side in (USER, ITEM)}

    @property
    def names(self) -> list[str]:
        """Names in the records, for the reader of the view."""
        return [column.name for column in (*self.user, *self.item)]


def to_inputs(
    features: Mapping[str, tf.Tensor], columns: Sequence[FeatureColumn], history_length: int
) -> dict[str, tf.Tensor]:
    """Features with looked-up ids to the dense input of a model.

    Args:
        features: By name, as the readers of the views give them: ids int32, numbers of any dtype; (batch,), or ragged
            or PAD-filled (batch, n) where there are several.
        columns: Which to take.
        history_length: Columns of a history: the latest items.

    Returns:
        int32 (batch,) for a category, (batch, n) for several, (batch, history_length) for a history; float32 (batch,)
        for a number, 0 where it is missing (NaN): a standardised one has its mean there.
    """
    inputs = {}
    for column in columns:
        value = features[column.name]
        if isinstance(value, tf.RaggedTensor):
            value = value.to_tensor(PAD)
        if column.kind in (NUMBER, COUNT):
            value = tf.cast(value, tf.float32)
            value = tf.where(tf.math.is_finite(value), value, 0.0)
            if column.kind == COUNT:
                value = tf.math.log1p(tf.maximum(value, 0.0))
        elif column.kind == HISTORY:
            value = latest(value, history_length)
        inputs[column.name] = value
    return inputs


def _choose(
    sides: Mapping[str, Mapping[str, FeatureColumn]], side: str, names: Sequence[str] | None, spec: DatasetSpec
) -> tuple[FeatureColumn, ...]:
    have = sides[side]
    for name in names or ():
        if name not in have:
            raise ConfigError(
                f"network.{side}_features names {name!r}, which is no input of the {side} in {spec.directory}; it has "
                f"{', '.join(have)}."
            )
    chosen = list(have) if names is None else names
    if not chosen:
        raise ConfigError(f"network.{side}_features is empty: name at least one of {', '.join(have)}.")
    return tuple(have[name] for name in chosen)
