"""Raw features, as they stand in users.csv, items.csv and the log, to the ids and numbers that the Beam job writes.

The Beam job does it for DATA in numpy and Arrow (beam_jobs/features.py), the exported graph does it here for requests;
`to_inputs` comes after either, so that a model reads the same of a value whichever way it came.

| raw | becomes |
|---|---|
| a category, an id | its id; OOV if it is unknown or "" |
| several values | an id each, OOV if it is unknown; "" and blanks are nothing |
| a history | the known items, right-aligned; unknown ones and "" are left out |
| a number | (value - mean) / deviation of train; the mean if it is missing: NaN or infinite |
| a count | itself |
| a mean label | itself; the mean label of all train rows if it is missing |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, OOV, PAD
from tfrec_zoo.preprocessing.feature_columns import CATEGORY, COUNT, HISTORY, NUMBER, SEVERAL, FeatureColumn
from tfrec_zoo.preprocessing.history import right_align
from tfrec_zoo.preprocessing.vocabulary import Vocabulary

_DTYPES = {NUMBER: tf.float32, COUNT: tf.int64}
_RANKS = {SEVERAL: 2, HISTORY: 2}
_BLANKS_AROUND = r"^[\s\v\x{85}\p{Z}]+|[\s\v\x{85}\p{Z}]+$"
"""What Arrow's `utf8_trim_whitespace` takes for blank, as RE2 spells it."""


class FeatureLookup(tf.Module):
    """Looks up and scales the features of one side.

    Args:
        columns: The features.
        vocabularies: Name -> vocabulary, of every one with entries that a column names. It may be longer than the
            model's, by items that came later: these are unknown to the model.
        separators: Column of several values -> text that separates them within one cell. Values may come one a cell,
            or several in a cell as in items.csv.
        mean_label: What stands for a mean label that is missing.

    Call args:
        raw: By `FeatureColumn.raw_name`, as `inputs` says; "" fills rows where there are fewer values.

    Returns:
        By `FeatureColumn.name`, for `to_inputs`: int32 (batch,) for a category, (batch, n) for several and for a
        history, float32 (batch,) for a number, int64 (batch,) for a count.
    """

    def __init__(
        self,
        columns: Sequence[FeatureColumn],
        vocabularies: Mapping[str, Vocabulary],
        separators: Mapping[str, str],
        mean_label: float,
    ) -> None:
        super().__init__()
        self.columns = tuple(columns)
        self._vocabularies = {
            column.name: vocabularies[column.vocabulary] for column in columns if column.vocabulary and column.values
        }
        self._separators, self._mean_label = dict(separators), mean_label

    @property
    def inputs(self) -> dict[str, tf.TensorSpec]:
        """What a request has to bring: string, float32 (a number) or int64 (a count), batch first."""
        return {
            column.raw_name: tf.TensorSpec((None,) * _RANKS.get(column.kind, 1), _DTYPES.get(column.kind, tf.string))
            for column in self.columns
        }

    def __call__(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {column.name: self._value(column, raw[column.raw_name]) for column in self.columns}

    def is_known(self, features: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Whether an id, a category or an item of the history is known: bool (batch,). Numbers tell of nobody.

        Args:
            features: What a call returned.
        """
        batch = tf.shape(features[self.columns[0].name])[0]
        known = tf.zeros((batch,), tf.bool)
        for column in self.columns:
            if column.vocabulary:
                ids = features[column.name]
                # A column more, so that one id a row is taken together like several.
                known |= tf.reduce_any(ids[:, None] >= FIRST_ITEM_ID, axis=tf.range(1, tf.rank(ids) + 1))
        return known

    def _value(self, column: FeatureColumn, raw: tf.Tensor) -> tf.Tensor:
        if column.kind == NUMBER:
            return self._number(column, raw)
        if column.kind == COUNT:
            return raw
        if column.kind == SEVERAL:
            return self._several(column, raw)
        ids = self._ids(column, raw)
        # A category that is missing is one that train does not know: the Beam job writes no PAD in its place.
        return tf.maximum(ids, OOV) if column.kind == CATEGORY else right_align(ids)

    def _number(self, column: FeatureColumn, raw: tf.Tensor) -> tf.Tensor:
        if column.mean is None or column.deviation is None:
            return tf.where(tf.math.is_finite(raw), raw, self._mean_label)
        # A number that never varies in train says nothing, whatever it is here.
        if not column.deviation:
            return tf.zeros_like(raw)
        # In 64 bits, as the Beam job does: the mean may be large beside the deviation.
        scaled = (tf.cast(raw, tf.float64) - column.mean) / column.deviation
        return tf.where(tf.math.is_finite(raw), tf.cast(scaled, tf.float32), 0.0)

    def _several(self, column: FeatureColumn, raw: tf.Tensor) -> tf.Tensor:
        separator = self._separators.get(column.name)
        values = tf.RaggedTensor.from_tensor(raw)
        if separator is not None:
            values = tf.strings.split(values, separator).merge_dims(1, 2)
        values = values.with_flat_values(tf.strings.regex_replace(values.flat_values, _BLANKS_AROUND, ""))
        values = tf.ragged.boolean_mask(values, values != "")
        return values.with_flat_values(self._ids(column, values.flat_values)).to_tensor(PAD)

    def _ids(self, column: FeatureColumn, raw: tf.Tensor) -> tf.Tensor:
        if not column.values:  # train has no value at all
            return tf.where(raw == "", PAD, OOV)
        ids = self._vocabularies[column.name].ids(raw)
        return tf.where(ids < FIRST_ITEM_ID + column.values, ids, OOV)
