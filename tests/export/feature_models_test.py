"""Exports of models of features: the same answers as the live model, for raw values and for records."""

import csv
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.export.conftest import CONFIGS, USER, Exported
from tests.export.session import LOWEST, Session
from tests.models.feature_models_test import TOWERS
from tests.models.model_contract import new_model
from tests.rated_log import prepare_rated
from tfrec_zoo.data.interactions import evaluation_batches
from tfrec_zoo.data.items import item_batches
from tfrec_zoo.data.raw_features import RawFeatures
from tfrec_zoo.data.synthetic import synthesize
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec
from tfrec_zoo.errors import ExportError
from tfrec_zoo.export.feature_requests import feature_requests
from tfrec_zoo.export.gate import check_parts, compare, live_answers, replay_in_session
from tfrec_zoo.export.item_catalogue import ItemCatalogue
from tfrec_zoo.export.servable import Servable
from tfrec_zoo.models.feature_recommender import FeatureRecommender
from tfrec_zoo.models.registry import get_model
from tfrec_zoo.preprocessing.feature_columns import CATEGORY, NUMBER, FeatureColumns

ROWS = 100


@pytest.mark.parametrize("name", CONFIGS)
def test_every_signature_answers_the_same_in_another_process(
    name: str, exported: dict[str, Exported], rated: DatasetSpec
) -> None:
    """The process has neither Keras nor this project: see session_replay.py."""
    model, servable, path, _ = exported[name]
    requests = feature_requests(rated, ItemCatalogue.of_dataset(rated), model, servable.signatures)
    assert {request["signature"] for request in requests} == set(servable.signatures)
    check_parts(path, servable)
    compare(requests, live_answers(servable, requests), replay_in_session(path, requests))


@pytest.mark.parametrize("name", CONFIGS)
def test_the_signatures_are_those_of_the_kind(name: str, exported: dict[str, Exported]) -> None:
    signatures = exported[name].servable.signatures
    always = {"pre_rank", "serving_default", "serving_examples", "classify", "regress"}
    towers = {"recommend", "encode", "encode_items"}
    assert set(signatures) == (always | towers if name == "dssm" else always)
    assert signatures["serving_default"] is signatures["recommend" if name == "dssm" else "pre_rank"]


def raw_users(
    model: FeatureRecommender, spec: DatasetSpec, table: Path, rows: int = ROWS
) -> tuple[dict[str, list], list[str], np.ndarray]:
    """Held-out rows: their users as in users.csv, the raw ids of their items, the live model's logits of the records.

    The Beam job alone knows counts and mean labels of train rows; these, and histories, are read back from the records.
    """
    batch = next(iter(evaluation_batches(spec, "test", rows, model.history_length)))
    known = np.flatnonzero(batch["item"].numpy() >= FIRST_ITEM_ID)
    raw = RawFeatures(spec, spec.features["interactions"], model.columns.user)(batch)
    with table.open(newline="") as file:
        users = {row["user_id"]: row for row in csv.DictReader(file)}
    cells = [users[user.decode()] for user in batch["user"].numpy()]
    for column in model.columns.user:
        if column.name in cells[0] and column.kind == NUMBER:
            raw[column.name] = [float(each[column.name] or "nan") for each in cells]
        elif column.name in cells[0] and column.kind == CATEGORY:
            raw[column.raw_name] = [each[column.name] for each in cells]
    items, ids = spec.vocabulary("item"), batch["item"].numpy()
    return (
        {name: [values[row] for row in known] for name, values in raw.items()},
        [items[ids[row] - FIRST_ITEM_ID] for row in known],
        model.logits(batch).numpy()[known],
    )


@pytest.mark.parametrize("name", CONFIGS)
def test_raw_values_are_scored_as_the_records_are(
    name: str, exported: dict[str, Exported], rated: DatasetSpec, rated_folder: Path
) -> None:
    model, ask = exported[name].model, exported[name].ask
    users, items, live = raw_users(model, rated, rated_folder / "users.csv")
    scores = ask("pre_rank", **users, candidates=[[item, item] for item in items])["scores"]
    np.testing.assert_allclose(np.array(scores)[:, 0], live, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.array(scores)[:, 1], live, rtol=1e-4, atol=1e-5)
    assert np.std(live) > 0.01, "the rows differ, so that equality says something"


@pytest.mark.parametrize("name", CONFIGS)
def test_records_are_scored_classified_and_regressed(
    name: str, exported: dict[str, Exported], rated: DatasetSpec
) -> None:
    model, ask = exported[name].model, exported[name].ask
    records = [each.numpy() for each in tf.data.TFRecordDataset(rated.paths("interactions", "test")).take(ROWS)]
    live = model.logits(next(iter(evaluation_batches(rated, "test", ROWS, model.history_length)))).numpy()
    np.testing.assert_allclose(ask("serving_examples", examples=records)["scores"], live, rtol=1e-4, atol=1e-5)
    probability = 1 / (1 + np.exp(-live))
    classified = ask("classify", inputs=records)
    assert classified["classes"] == [["0", "1"]] * ROWS
    np.testing.assert_allclose(classified["scores"], np.stack([1 - probability, probability], 1), atol=1e-5)
    np.testing.assert_allclose(ask("regress", inputs=records)["outputs"], probability, atol=1e-5)
    # What a record lacks, or names wrongly, is unknown.
    wrong = tf.train.Example()
    for column in (*model.columns.user, *model.columns.item):
        if column.vocabulary:
            wrong.features.feature[column.name].int64_list.value.append(2**40)
    assert np.isfinite(ask("serving_examples", examples=[wrong.SerializeToString(), b""])["scores"]).all()


@pytest.mark.parametrize("name", CONFIGS)
def test_candidates_of_any_kind(
    name: str, exported: dict[str, Exported], rated: DatasetSpec, rated_folder: Path
) -> None:
    model, ask = exported[name].model, exported[name].ask
    users, _, _ = raw_users(model, rated, rated_folder / "users.csv")
    users, items = {alias: values[:3] for alias, values in users.items()}, rated.vocabulary("item")
    scores = np.array(ask("pre_rank", **users, candidates=[[items[5], "nobody", items[7], "", items[5]]] * 3)["scores"])
    assert (scores[:, [1, 3]] == LOWEST).all()
    # The same up to rounding: kernels may treat the rows at the end of a matrix differently.
    np.testing.assert_allclose(scores[:, 0], scores[:, 4], rtol=1e-6, atol=1e-6)
    assert (scores[:, [0, 2]] > LOWEST).all()
    assert np.shape(ask("pre_rank", **users, candidates=[[]] * 3)["scores"]) == (3, 0)


@pytest.mark.slow
def test_a_thousand_users_are_scored_as_their_records_are(tmp_path: Path) -> None:
    import beam_jobs

    synthesize(tmp_path / "log.csv", users=1200, items=300, seed=3)
    options = beam_jobs.PrepareOptions(
        input=(str(tmp_path / "log.csv"),),
        users=str(tmp_path / "log-users.csv"),
        items=str(tmp_path / "log-items.csv"),
        numeric=("age", "year", "price"),
        views=("sequences", "interactions", "items"),
        label="rating > 3",
        output=str(tmp_path / "DATA"),
        quiet=True,
    )
    beam_jobs.prepare(options)
    spec = DatasetSpec.read(tmp_path / "DATA")
    model = new_model(get_model("dssm"), CONFIGS["dssm"], spec)
    Servable(model, ItemCatalogue.of_dataset(spec), max_k=10).save(str(tmp_path / "saved"))
    ask = Session(tmp_path / "saved")
    users, items, live = raw_users(model, spec, tmp_path / "log-users.csv", rows=1200)
    assert len(set(users["user"])) >= 1000
    scores = np.array(ask("pre_rank", **users, candidates=[[item] for item in items])["scores"])[:, 0]
    np.testing.assert_allclose(scores, live, rtol=1e-4, atol=1e-5)

    batch = next(iter(item_batches(spec, 1000)))
    with (tmp_path / "log-items.csv").open(newline="") as file:
        table = {row["item_id"]: row for row in csv.DictReader(file)}
    names = [each.decode() for each in batch["raw_id"].numpy()]
    raw = {"item": names, "category": [table[name]["category"] for name in names]}
    raw |= {column: [float(table[name][column]) for name in names] for column in ("year", "price")}
    raw |= {column: batch[column].numpy().tolist() for column in ("item_count", "item_mean_label")}
    vectors, one = ask("encode_items", **raw)["vectors"], {name: values[:1] for name, values in users.items()}
    scores = ask("pre_rank", **one, candidates=[names])["scores"][0]
    np.testing.assert_allclose(vectors @ np.array(ask("encode", **one)["vectors"])[0], scores, rtol=1e-4, atol=1e-5)


BAD_VALUES = [
    ({"gender": "nothing known"}, {"gender": ""}),
    ({"age": np.nan}, {"age": "mean"}),
    ({"age": np.inf}, {"age": "mean"}),
    ({"user": "nobody"}, {"user": ""}),
    ({"history": ["", "", ""]}, {"history": ["nobody", "", "nothing"]}),
    ({"history": ["", "i03", "i04"]}, {"history": ["i03", "?", "i04"]}),
    ({"user_mean_label": np.nan}, {"user_mean_label": "prior"}),
]


@pytest.mark.parametrize(("one", "other"), BAD_VALUES, ids=[str(each) for each, _ in BAD_VALUES])
def test_what_is_missing_or_unknown_has_one_meaning(
    one: dict, other: dict, exported: dict[str, Exported], rated: DatasetSpec
) -> None:
    train = [
        each
        for part in evaluation_batches(rated, "train", 500, 6, features=["label"])
        for each in part["label"].numpy()
    ]
    meanings = {"mean": rated.features["interactions"]["age"].mean, "prior": float(np.mean(train))}
    ask = exported["dssm"].ask

    def vector(changed: dict) -> np.ndarray:
        values = {**USER, **changed}
        row = {name: [meanings.get(value, value) if name != "history" else value] for name, value in values.items()}
        return np.array(ask("encode", **row)["vectors"])

    np.testing.assert_allclose(vector(one), vector(other), rtol=1e-5, atol=1e-6)
    assert np.abs(vector(one) - vector({})).max() > 1e-4, "and another than a usual one"


def test_items_in_their_raw_form(exported: dict[str, Exported]) -> None:
    ask = exported["dssm"].ask

    def vectors(**changed: Any) -> np.ndarray:
        item = {"item": "i07", "genres": ["Drama", "Comedy"], "year": 1997.0, "item_count": 4, "item_mean_label": 0.5}
        return np.array(
            ask("encode_items", **{name: [value] for name, value in {**item, **changed}.items()})["vectors"]
        )

    for same in (["Comedy|Drama", ""], ["Drama | Comedy"], ["", "Drama", "", "Comedy"]):
        np.testing.assert_allclose(vectors(genres=same), vectors(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(vectors(genres=[]), vectors(genres=["", ""]), rtol=1e-5, atol=1e-6)
    assert np.abs(vectors(genres=[""]) - vectors()).max() > 1e-4
    np.testing.assert_allclose(vectors(item="nothing"), vectors(item=""), rtol=1e-5, atol=1e-6)


@pytest.fixture
def some_users(exported: dict[str, Exported], rated: DatasetSpec, rated_folder: Path) -> dict[str, list]:
    users, _, _ = raw_users(exported["dssm"].model, rated, rated_folder / "users.csv")
    return {alias: values[:20] for alias, values in users.items()}


def test_the_index_ranks_as_all_candidates_do(
    exported: dict[str, Exported], rated: DatasetSpec, some_users: dict[str, list]
) -> None:
    ask, items = exported["dssm"].ask, rated.vocabulary("item")
    answer = ask("recommend", **some_users)
    scores = np.array(ask("pre_rank", **some_users, candidates=[items] * 20)["scores"])
    vectors = np.array(ask("encode", **some_users)["vectors"])
    assert vectors.shape == (20, CONFIGS["dssm"]["units"][-1] + 2)
    for row, history in enumerate(some_users["history"]):
        order = [column for column in np.argsort(-scores[row], kind="stable") if items[column] not in history]
        found = [item for item in answer["item_ids"][row] if item]
        assert found == [items[column] for column in order]
        np.testing.assert_allclose(answer["scores"][row][: len(found)], scores[row][order], rtol=1e-5, atol=1e-5)
        assert answer["scores"][row][len(found) :] == [LOWEST] * (50 - len(found))
    assert answer["fallback"] == [False] * 20


def test_a_user_of_whom_nothing_is_known_gets_the_popular_items(
    exported: dict[str, Exported], rated: DatasetSpec
) -> None:
    ask, items = exported["dssm"].ask, rated.vocabulary("item")
    nobody = {"user": ["x"] * 2, "gender": ["", "m"], "age": [33.0] * 2, "user_count": [0] * 2}
    nobody |= {"user_mean_label": [np.nan] * 2, "history": [[""]] * 2}
    answer = ask("recommend", **nobody)
    assert answer["fallback"] == [True, False]
    assert answer["item_ids"][0][: len(items)] == items
    counts = np.array(rated.item_counts)
    np.testing.assert_allclose(answer["scores"][0][: len(items)], np.log(counts / counts.sum()), rtol=1e-5)


def test_a_model_of_retrieval_has_no_labels_to_classify(tmp_path: Path) -> None:
    spec = prepare_rated(tmp_path, label=None, negatives=0, split="leave-one-out", history_length=100)
    config = {**CONFIGS["dssm"], "objective": "retrieval", "user_features": ("user_id", "age")}
    model = new_model(get_model("dssm"), config, spec)
    servable = Servable(model, ItemCatalogue.of_dataset(spec), max_k=5)
    assert not {"classify", "regress"} & set(servable.signatures)
    servable.save(str(tmp_path / "saved"))
    ask = Session(tmp_path / "saved")
    user = {"user": ["u5"], "age": [41.0]}
    assert np.shape(ask("encode", **user)["vectors"]) == (1, CONFIGS["dssm"]["units"][-1])
    best = ask("recommend", **user, history=[[""]])["item_ids"][0]
    # The model does not read the history; its items are left out all the same.
    assert ask("recommend", **user, history=[["", best[1], best[3]]])["item_ids"][0][:3] == [best[0], best[2], best[4]]


def test_what_cannot_be_exported_is_refused(rated: DatasetSpec) -> None:
    columns, catalogue = FeatureColumns.of_dataset(rated), ItemCatalogue.of_dataset(rated)
    gender = next(column for column in columns.user if column.name == "gender")
    odd = FeatureColumns((dataclasses.replace(gender, name="candidates"),), columns.item)
    with pytest.raises(ExportError, match="reads a feature 'candidates', which is an input of pre_rank"):
        Servable(get_model("dssm")(rated.catalog_size, odd, TOWERS), catalogue, max_k=5)
