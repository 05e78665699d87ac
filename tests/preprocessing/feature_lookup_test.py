"""Raw values in the graph become, to the last bit, what the Beam job wrote; and what is missing has a meaning."""

import csv
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfrec_zoo.data.interactions import evaluation_batches
from tfrec_zoo.data.items import item_batches
from tfrec_zoo.data.raw_features import RawFeatures
from tfrec_zoo.dataset_spec import OOV, PAD, DatasetSpec
from tfrec_zoo.preprocessing.feature_columns import (
    CATEGORY,
    COUNT,
    HISTORY,
    NUMBER,
    SEVERAL,
    FeatureColumn,
    FeatureColumns,
)
from tfrec_zoo.preprocessing.feature_lookup import FeatureLookup
from tfrec_zoo.preprocessing.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def spec(rated: DatasetSpec) -> DatasetSpec:
    return rated


def look_up(spec: DatasetSpec, columns: tuple[FeatureColumn, ...]) -> FeatureLookup:
    names = {column.vocabulary for column in columns if column.vocabulary}
    vocabularies = {name: Vocabulary(spec.vocabulary_path(name)) for name in names}
    return FeatureLookup(columns, vocabularies, spec.options["multi"], 0.25)


def tensors(raw: dict[str, list], lookup: FeatureLookup) -> dict[str, tf.Tensor]:
    return {name: tf.constant(raw[name], each.dtype) for name, each in lookup.inputs.items()}


def table(path: Path, key: str) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row[key]: row for row in csv.DictReader(file)}


def number(text: str) -> float:
    return float(text) if text else np.nan


def test_the_cells_of_the_tables_become_what_the_beam_job_wrote(rated_folder: Path, spec: DatasetSpec) -> None:
    columns = FeatureColumns.of_dataset(spec, ["user_id", "gender", "age"], ["genres", "year"])
    users, items = (table(rated_folder / f"{name}s.csv", f"{name}_id") for name in ("user", "item"))

    batch = next(iter(evaluation_batches(spec, "train", 500, 6)))
    rows = [users[user.decode()] for user in batch["user"].numpy()]
    raw = {
        "user": [row["user_id"] for row in rows],
        "gender": [row["gender"] for row in rows],
        "age": [number(row["age"]) for row in rows],
    }
    lookup = look_up(spec, columns.user)
    found = lookup(tensors(raw, lookup))
    for name in ("user_id", "gender", "age"):
        np.testing.assert_array_equal(found[name], batch[name], err_msg=name)
    assert "" in raw["gender"], "a gap is among them"

    batch = next(iter(item_batches(spec, 100)))
    rows = [items[item.decode()] for item in batch["raw_id"].numpy()]
    raw = {"genres": [[row["genres"]] for row in rows], "year": [number(row["year"]) for row in rows]}
    lookup = look_up(spec, columns.item)
    found = lookup(tensors(raw, lookup))
    np.testing.assert_array_equal(found["genres"], batch["genres"].to_tensor())
    np.testing.assert_array_equal(found["year"], batch["year"])
    assert np.isnan(raw["year"]).any()
    assert [""] in raw["genres"]


def test_records_read_back_and_looked_up_are_the_same(spec: DatasetSpec) -> None:
    columns = FeatureColumns.of_dataset(spec)
    batch = next(iter(evaluation_batches(spec, "test", 200, 6)))
    for side in (columns.user, columns.item):
        lookup = look_up(spec, side)
        found = lookup(tensors(RawFeatures(spec, spec.features["interactions"], side)(batch), lookup))
        for column in side:
            want = batch[column.name]
            want = want.to_tensor() if isinstance(want, tf.RaggedTensor) else want
            if column.kind == HISTORY:
                assert not (want[:, : -found["history"].shape[1]] != PAD).numpy().any()
                want = want[:, -found["history"].shape[1] :]
            np.testing.assert_allclose(found[column.name], want, rtol=1e-5, atol=1e-5, err_msg=column.name)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    path = tmp_path_factory.mktemp("vocab") / "words.txt"
    path.write_text("Drama\nComedy\nNew\n", encoding="utf-8")
    return Vocabulary(path)


def test_categories(words: Vocabulary) -> None:
    lookup = FeatureLookup([FeatureColumn("c", CATEGORY, "words", 2)], {"words": words}, {}, 0.0)
    found = lookup({"c": tf.constant(["Comedy", "nothing", "", "New", " Comedy"])})["c"]
    # "New" stands in the vocabulary but came after the training: the model has no row for it.
    assert found.numpy().tolist() == [5, OOV, OOV, OOV, OOV]
    assert lookup.is_known({"c": found}).numpy().tolist() == [True, False, False, False, False]


def test_several_values_in_one_cell_or_one_a_cell(words: Vocabulary) -> None:
    lookup = FeatureLookup([FeatureColumn("s", SEVERAL, "words", 2)], {"words": words}, {"s": "|"}, 0.0)
    cells = [["Drama|Comedy", ""], ["Drama", "Comedy"], ["", " Drama ||\u00a0Comedy|"], ["?", ""], ["", ""]]
    found = lookup({"s": tf.constant(cells)})["s"]
    assert found.numpy().tolist() == [[4, 5]] * 3 + [[OOV, PAD], [PAD, PAD]]
    assert lookup.is_known({"s": found}).numpy().tolist() == [True, True, True, False, False]
    assert lookup({"s": tf.zeros((2, 0), tf.string)})["s"].shape == (2, 0)
    assert lookup({"s": tf.zeros((0, 3), tf.string)})["s"].shape[0] == 0


def test_histories(words: Vocabulary) -> None:
    lookup = FeatureLookup([FeatureColumn("history", HISTORY, "words", 2)], {"words": words}, {}, 0.0)
    rows = [["", "Drama", "Comedy"], ["Drama", "?", "Comedy"], ["New", "", "Drama"]]
    assert lookup({"history": tf.constant(rows)})["history"].numpy().tolist() == [[0, 4, 5], [0, 4, 5], [0, 0, 4]]


def test_numbers(words: Vocabulary) -> None:
    columns = [
        FeatureColumn("n", NUMBER, mean=40.0, deviation=8.0),
        FeatureColumn("constant", NUMBER, mean=3.0, deviation=0.0),
        FeatureColumn("user_mean_label", NUMBER),
        FeatureColumn("user_count", COUNT),
    ]
    lookup = FeatureLookup(columns, {}, {}, 0.25)
    values = tf.constant([44.0, np.nan, np.inf, -np.inf])
    raw = dict.fromkeys(("n", "constant", "user_mean_label"), values) | {"user_count": tf.constant([3, 0, 1, 9])}
    found = {name: value.numpy().tolist() for name, value in lookup(raw).items()}
    assert found == {
        "n": [0.5, 0.0, 0.0, 0.0],
        "constant": [0.0] * 4,
        "user_mean_label": [44.0, 0.25, 0.25, 0.25],
        "user_count": [3, 0, 1, 9],
    }
    assert not lookup.is_known(lookup(raw)).numpy().any(), "numbers tell of nobody"


def test_a_category_that_train_never_has(words: Vocabulary) -> None:
    """Its vocabulary is empty, and TensorFlow makes no table of an empty file."""
    lookup = FeatureLookup([FeatureColumn("c", CATEGORY, "none", 0)], {}, {}, 0.0)
    assert lookup({"c": tf.constant(["x", ""])})["c"].numpy().tolist() == [OOV, OOV]
