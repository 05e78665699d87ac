"""The export of cgan: several draws a user in the graph, the same ranking as the live model's."""

from pathlib import Path

import numpy as np
import pytest

from tests.export.conftest import USER
from tests.export.session import Session
from tests.models.cgan_test import SMALL
from tests.models.model_contract import new_model
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec
from tfrec_zoo.evaluation.catalogue_matching import CatalogueMatcher, user_batches
from tfrec_zoo.export.feature_requests import feature_requests
from tfrec_zoo.export.gate import compare, live_answers, replay_in_session
from tfrec_zoo.export.item_catalogue import ItemCatalogue
from tfrec_zoo.export.servable import Servable
from tfrec_zoo.models.cgan import CGAN
from tfrec_zoo.models.feature_recommender import FeatureRecommender

MAX_K = 50


@pytest.fixture(scope="module")
def spec(positives: DatasetSpec) -> DatasetSpec:
    return positives


@pytest.fixture(scope="module")
def model(spec: DatasetSpec) -> FeatureRecommender:
    made = new_model(CGAN, {**SMALL, "user_features": ("user_id", "gender", "age", "history")}, spec)
    assert isinstance(made, FeatureRecommender)
    return made


@pytest.fixture(scope="module")
def saved(model: FeatureRecommender, spec: DatasetSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "1"
    servable = Servable(model, ItemCatalogue.of_dataset(spec), max_k=MAX_K)
    servable.save(str(path))
    requests = feature_requests(spec, ItemCatalogue.of_dataset(spec), model, servable.signatures)
    assert {request["signature"] for request in requests} == set(servable.signatures)
    compare(requests, live_answers(servable, requests), replay_in_session(path, requests))
    return path


def test_recommend_and_pre_rank_are_the_ranking_of_the_live_model(
    model: FeatureRecommender, saved: Path, spec: DatasetSpec
) -> None:
    ask, items = Session(saved), spec.vocabulary("item")
    batch = next(iter(user_batches(model, spec, "test")))
    columns = {name: value[:5] for name, value in batch["history"].items() if name != "whole_history"}
    live = CatalogueMatcher(model, spec).score(columns).numpy()
    users = [user.decode() for user in batch["user"].numpy()[:5]]
    feature = spec.features["interactions"]["age"]
    genders = ["", "", "", "", *spec.vocabulary("gender")]
    raw = {
        "user": users,
        "gender": [genders[max(value, 1)] for value in columns["gender"].numpy()],
        "age": columns["age"].numpy() * feature.deviation + feature.mean,
        "history": [[items[value - FIRST_ITEM_ID] if value else "" for value in row] for row in columns["history"]],
    }
    scores = np.array(ask("pre_rank", **raw, candidates=[items] * 5)["scores"])
    np.testing.assert_allclose(scores, live, rtol=1e-3, atol=1e-3)
    answer = ask("recommend", **raw)
    for row, history in enumerate(raw["history"]):
        order = [items[column] for column in np.argsort(-scores[row], kind="stable") if items[column] not in history]
        assert [item for item in answer["item_ids"][row] if item] == order
    assert answer["fallback"] == [False] * 5


def test_cold_users(saved: Path, spec: DatasetSpec) -> None:
    """One with a feature is drawn for; one of whom nothing is known gets the popular items, and is told so."""
    cold = {"user": ["new"] * 2, "gender": ["m", ""], "age": [USER["age"], np.nan], "history": [[""], [""]]}
    answer = Session(saved)("recommend", **cold)
    assert answer["fallback"] == [False, True]
    assert answer["item_ids"][1][: len(spec.vocabulary("item"))] == spec.vocabulary("item")
    assert answer["item_ids"][0] != answer["item_ids"][1]
