"""Features of users and items, encoded with what the train part says of them, and their look-up from a record.

Vocabularies count train rows: a category of an item counts once for every train row of the item. Means and deviations
are over train rows too. A category that no train row has is OOV, a value that is missing is OOV, nothing, or the mean.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beam_jobs.encode import Feature, PackedValues, pack
from beam_jobs.feature_reader import NUMBER, SEVERAL, RawFeatures
from beam_jobs.tables import read_table, write_table
from beam_jobs.vocabulary import look_up, rank
from tfrec_zoo.dataset_spec import OOV, FeatureSpec


class FeatureColumn(NamedTuple):
    """One feature of all rows of a table, and of a last row that stands for ids that the table lacks.

    Attributes:
        values: int64 ids or float32 numbers, of all rows one after the other.
        offsets: int64 (rows + 2,), where each row's values begin.
    """

    values: np.ndarray
    offsets: np.ndarray


class FeatureTable:
    """Encoded features of users or items, whether or not these have an id of their own. Read from a file when needed.

    Args:
        path: What `encode_features` wrote; "" for a table without features.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[type[FeatureTable], tuple[str]]:
        return FeatureTable, (self.path,)

    @cached_property
    def specs(self) -> dict[str, FeatureSpec]:
        """Feature -> what dataset.json says of it; the names are those of `features_of` too."""
        if not self.path:
            return {}
        content = json.loads(Path(f"{self.path}.json").read_text(encoding="utf-8"))
        return {name: FeatureSpec(**{**spec, "shape": tuple(spec["shape"])}) for name, spec in content.items()}

    @cached_property
    def ids(self) -> pa.BinaryArray:
        """Raw ids of the rows."""
        return self._table["id"].combine_chunks() if self.path else pa.array([], pa.binary())

    @cached_property
    def columns(self) -> dict[str, FeatureColumn]:
        """Feature -> values of all rows."""
        columns = {}
        for name, spec in self.specs.items():
            values = self._table[name].combine_chunks()
            if spec.shape == (-1,):
                offsets = values.offsets.to_numpy().astype(np.int64)
                columns[name] = FeatureColumn(values.values.to_numpy(), np.append(offsets, offsets[-1]))
            else:
                missing = np.array([0.0 if spec.dtype == "float32" else OOV])
                plain = values.to_numpy()
                plain = np.append(plain, missing.astype(plain.dtype))
                columns[name] = FeatureColumn(plain, np.arange(len(plain) + 1))
        return columns

    def find(self, ids: pa.Array) -> np.ndarray:
        """Rows of some raw ids, int64 like `ids`; the row after the last one for those that the table lacks."""
        rows = pc.index_in(ids, value_set=self.ids)
        return rows.fill_null(len(self.ids)).to_numpy(zero_copy_only=False).astype(np.int64)

    def features_of(self, rows: np.ndarray) -> list[Feature]:
        """The features of a batch of records, ready for `encode_examples`.

        Args:
            rows: int64 (records,), from `find`.
        """
        features = []
        for name, values in self._packed.items():
            offsets = self.columns[name].offsets
            features.append(Feature(name, values, offsets[rows], offsets[rows + 1]))
        return features

    @cached_property
    def _packed(self) -> dict[str, PackedValues]:
        return {name: pack(column.values) for name, column in self.columns.items()}

    @cached_property
    def _table(self) -> pa.Table:
        return read_table(self.path)


def encode_features(
    entity: str, raw: RawFeatures, counts: pa.Table, separators: Mapping[str, str], path: Path
) -> dict[str, pa.BinaryArray]:
    """Encodes a table and writes it for `FeatureTable`.

    Args:
        entity: "user" or "item".
        raw: The table.
        counts: Raw ids in the first column, train rows in `count`.
        separators: Of the features of several values.
        path: Where the encoded table goes, and beside it, with .json appended, the specs.

    Returns:
        Feature -> vocabulary, most frequent in train first, for `vocabulary.write`.
    """
    weights = _train_rows(raw.ids, counts)
    columns: dict[str, pa.Array] = {"id": raw.ids}
    specs: dict[str, FeatureSpec] = {}
    vocabularies: dict[str, pa.BinaryArray] = {}
    for name, kind in raw.kinds.items():
        values = raw.columns[name]
        if kind == NUMBER:
            columns[name], specs[name] = _standardise(values.to_numpy(zero_copy_only=False), weights, entity)
            continue
        lengths = None
        if kind == SEVERAL:
            values, lengths = _split(values, separators[name])
        words = _vocabulary(values, weights if lengths is None else np.repeat(weights, lengths))
        ids = pa.array(look_up(values.dictionary_encode(), words))
        if lengths is not None:
            ids = pa.ListArray.from_arrays(pa.array(np.append(0, np.cumsum(lengths)).astype(np.int32)), ids)
        shape = (1,) if lengths is None else (-1,)
        columns[name], vocabularies[name] = ids, words
        specs[name] = FeatureSpec("int64", shape, f"vocab/{name}.txt", len(words), entity=entity)
    write_table(pa.table(columns), path)
    content = {name: vars(spec) for name, spec in specs.items()}
    Path(f"{path}.json").write_text(json.dumps(content), encoding="utf-8")
    return vocabularies


def _train_rows(ids: pa.BinaryArray, counts: pa.Table) -> np.ndarray:
    """Train rows of each id, int64; 0 for ids that the log lacks."""
    known = counts.column(0).combine_chunks()
    places = pc.index_in(ids, value_set=known).fill_null(len(known)).to_numpy(zero_copy_only=False)
    return np.append(counts["count"].to_numpy(), 0)[places]


def _standardise(values: np.ndarray, weights: np.ndarray, entity: str) -> tuple[pa.Array, FeatureSpec]:
    """(value - mean) / deviation; a missing value becomes the mean, which is 0."""
    known = np.isfinite(values)
    numbers, weight = np.where(known, values, 0).astype(np.float64), weights * known
    total = max(int(weight.sum()), 1)
    mean = float((numbers * weight).sum() / total)
    deviation = float(np.sqrt((weight * (numbers - mean) ** 2).sum() / total))
    # A feature that never varies in train says nothing, whatever it is elsewhere.
    scaled = np.where(known & (deviation > 0), (numbers - mean) / (deviation or 1.0), 0)
    return pa.array(scaled.astype(np.float32)), FeatureSpec(
        "float32", (1,), entity=entity, mean=mean, deviation=deviation
    )


def _split(values: pa.BinaryArray, separator: str) -> tuple[pa.BinaryArray, np.ndarray]:
    """The trimmed, non-empty parts of all values, and how many each has."""
    lists = pc.split_pattern(values.cast(pa.string()), separator)
    parts = pc.utf8_trim_whitespace(lists.values)
    filled = pc.not_equal(parts, "")
    before = np.append(0, np.cumsum(filled.to_numpy(zero_copy_only=False)))
    offsets = before[lists.offsets.to_numpy()]
    return parts.filter(filled).cast(pa.binary()), np.diff(offsets)


def _vocabulary(values: pa.BinaryArray, weights: np.ndarray) -> pa.BinaryArray:
    table = pa.table({"value": values, "count": pa.array(weights, pa.int64())})
    table = table.filter(pc.not_equal(pc.binary_length(table["value"]), 0))
    summed = table.group_by("value").aggregate([("count", "sum")]).rename_columns({"count_sum": "count"})
    return rank(summed.select(["value", "count"]), 1)["value"].combine_chunks()
