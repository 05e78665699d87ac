import copy
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.models.bert4rec_test import CONFIG
from tests.models.model_contract import inputs, new_model
from tests.training.train_test import SMALL
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec
from tfrec_zoo.errors import ExportError
from tfrec_zoo.export.export_run import export_run
from tfrec_zoo.export.gate import compare, golden_requests, live_answers, replay_in_session
from tfrec_zoo.export.servable import Servable
from tfrec_zoo.models.bert4rec import Bert4Rec
from tfrec_zoo.training.train import train

LOWEST = float(np.finfo(np.float32).min)


@pytest.fixture(scope="module")
def model(spec: DatasetSpec) -> Bert4Rec:
    model = new_model(Bert4Rec, CONFIG, spec)
    model.fit(inputs(model, spec), epochs=1, steps_per_epoch=20, verbose=0)
    return model


@pytest.fixture(scope="module")
def saved(model: Bert4Rec, spec: DatasetSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "model"
    Servable(model, spec, max_k=50).save(str(path))
    return path


def ask(saved: Path, signature: str, **request: list) -> dict:
    """One request in a Session of a clean process, beside requests that keep the other signatures busy."""
    filler = {"history": [[""]], "candidates": [[""]]}
    requests = [{"signature": signature, "inputs": request}]
    requests += [{"signature": name, "inputs": filler} for name in ("serving_default", "recommend", "score")]
    return replay_in_session(saved, requests)[0]


def expected_ranking(model: Bert4Rec, spec: DatasetSpec, history: list[str]) -> tuple[list[str], list[float]]:
    """By numpy from the live model's scores."""
    items = spec.vocabulary("item")
    known = [items.index(item) for item in history if item in items]
    scores = model.score(np.array([[column + FIRST_ITEM_ID for column in known]], np.int32)).numpy()[0]
    order = [column for column in np.argsort(-scores, kind="stable") if column not in known]
    return [items[column] for column in order], [float(scores[column]) for column in order]


def test_recommend_ranks_unseen_items_as_the_live_model(saved: Path, model: Bert4Rec, spec: DatasetSpec) -> None:
    items = spec.vocabulary("item")
    histories = [items[3:6], ["nobody", *items[:20], "nothing"], [items[-1]]]
    width = max(map(len, histories)) + 3
    answer = ask(saved, "recommend", history=[[""] * (width - len(row)) + row for row in histories])
    for row, history in enumerate(histories):
        ranked, scores = expected_ranking(model, spec, history)
        assert answer["item_ids"][row] == ranked + [""] * (50 - len(ranked))
        np.testing.assert_allclose(answer["scores"][row][: len(scores)], scores, atol=1e-5)
        assert answer["scores"][row][len(scores) :] == [LOWEST] * (50 - len(scores))
        assert not answer["fallback"][row]


def test_padding_anywhere_changes_nothing(saved: Path, spec: DatasetSpec) -> None:
    a, b, c = spec.vocabulary("item")[:3]
    answer = ask(saved, "recommend", history=[["", "", a, b, c], [a, "", b, c, ""], [a, "?", b, "?", c]])
    assert answer["item_ids"][0] == answer["item_ids"][1] == answer["item_ids"][2]


@pytest.mark.parametrize("history", [[[""]], [["nobody", "nothing"]], [[]]])
def test_a_user_with_nothing_known_gets_the_popular_items(saved: Path, spec: DatasetSpec, history: list) -> None:
    answer = ask(saved, "recommend", history=history)
    assert answer["fallback"] == [True]
    assert answer["item_ids"][0][: spec.catalog_size] == spec.vocabulary("item")
    counts = np.array(spec.item_counts)
    np.testing.assert_allclose(answer["scores"][0][: len(counts)], np.log(counts / counts.sum()), rtol=1e-5)


def test_an_empty_batch_is_answered(model: Bert4Rec, spec: DatasetSpec) -> None:
    answer = Servable(model, spec, max_k=5).functions["recommend"](tf.zeros((0, 3), tf.string))
    assert {name: value.shape.as_list() for name, value in answer.items()} == {
        "item_ids": [0, 5],
        "scores": [0, 5],
        "fallback": [0],
    }


def test_score_gives_what_recommend_ranks_by(saved: Path, model: Bert4Rec, spec: DatasetSpec) -> None:
    items = spec.vocabulary("item")
    history, candidates = items[2:9], [items[30], "nobody", items[2], "", items[30]]
    scores = ask(saved, "score", history=[history], candidates=[candidates])["scores"][0]
    live = model.score(np.arange(2, 9, dtype=np.int32)[None] + FIRST_ITEM_ID).numpy()[0]
    np.testing.assert_allclose(scores, [live[30], LOWEST, live[2], LOWEST, live[30]], atol=1e-5)


def test_narrow_answers_hold_the_best(model: Bert4Rec, spec: DatasetSpec, tmp_path: Path) -> None:
    Servable(model, spec, max_k=3).save(str(tmp_path / "narrow"))
    history = spec.vocabulary("item")[:4]
    ranked, _ = expected_ranking(model, spec, history)
    assert ask(tmp_path / "narrow", "recommend", history=[history])["item_ids"] == [ranked[:3]]


def test_the_vocabulary_is_an_asset_and_no_optimizer_is_saved(saved: Path, spec: DatasetSpec) -> None:
    assert (saved / "assets" / "item.txt").read_bytes() == spec.vocabulary_path("item").read_bytes()
    names = [name for name, _ in tf.train.list_variables(str(saved / "variables" / "variables"))]
    assert not [name for name in names if "optimizer" in name or "adam" in name.lower()]


def test_the_gate_refuses_other_answers(saved: Path, model: Bert4Rec, spec: DatasetSpec) -> None:
    requests = golden_requests(spec, users=4)
    answers = live_answers(Servable(model, spec, max_k=50), requests)
    seen = replay_in_session(saved, requests)
    compare(requests, answers, seen)

    worse = copy.deepcopy(seen)
    worse[2]["scores"][1][0] += 0.01
    with pytest.raises(ExportError, match="signature 'score', row 1: the scores differ"):
        compare(requests, answers, worse)
    swapped = copy.deepcopy(seen)
    swapped[0]["item_ids"][0][:2] = swapped[0]["item_ids"][0][1::-1]
    with pytest.raises(ExportError, match="'serving_default', row 0: item_ids differ"):
        compare(requests, answers, swapped)
    silent = copy.deepcopy(seen)
    del silent[1]["fallback"]
    with pytest.raises(ExportError, match="has the outputs"):
        compare(requests, answers, silent)


def test_the_gate_lets_tied_items_change_places() -> None:
    request = [{"signature": "recommend", "inputs": {}}]
    want = [{"scores": [[2.0, 1.0, 1.0]], "item_ids": [["a", "b", "c"]]}]
    compare(request, want, [{"scores": [[2.0, 1.0, 1.0]], "item_ids": [["a", "c", "b"]]}])
    with pytest.raises(ExportError, match="item_ids differ"):
        compare(request, want, [{"scores": [[2.0, 1.0, 1.0]], "item_ids": [["b", "a", "c"]]}])


def test_a_model_that_does_not_load_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="does not run in a TF1 Session"):
        replay_in_session(tmp_path, [])


def test_a_signature_without_a_request_is_refused(saved: Path) -> None:
    with pytest.raises(ExportError, match="no request for signature .*score"):
        replay_in_session(saved, [{"signature": "recommend", "inputs": {"history": [[""]]}}])


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    workdir = tmp_path_factory.mktemp("run") / "RUN"
    train("bert4rec", data, workdir, config=SMALL, quiet=True)
    return workdir


def test_export_publishes_whole_versions_in_order(run: Path, data: Path, tmp_path: Path, spec: DatasetSpec) -> None:
    folder = tmp_path / "bert4rec"
    first, second = (export_run(run, data, folder) for _ in range(2))
    assert (first["version"], second["version"]) == (1, 2)
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2"], "nothing temporary stays"
    assert {"path", "version", "bytes", "signatures", "gate"} <= set(first)
    card = json.loads((folder / "2" / "assets.extra" / "model_card.json").read_text())
    assert card["split"]["hash"] == spec.split.hash
    assert card["training"]["best_value"] > 0
    golden = json.loads((folder / "1" / "assets.extra" / "golden_requests.json").read_text())
    assert {request["signature"] for request in golden} == {"recommend", "score", "serving_default"}


def test_a_published_version_is_never_replaced(run: Path, data: Path, tmp_path: Path) -> None:
    export_run(run, data, tmp_path, version=7)
    with pytest.raises(ExportError, match="7 exists already"):
        export_run(run, data, tmp_path, version=7)
    assert export_run(run, data, tmp_path)["version"] == 8


def test_a_refused_version_leaves_nothing(run: Path, data: Path, tmp_path: Path, monkeypatch) -> None:
    def tampered(saved_model: Path, requests: list) -> list:
        answers = replay_in_session(saved_model, requests)
        answers[0]["scores"][0][0] += 1.0
        return answers

    monkeypatch.setattr("tfrec_zoo.export.export_run.replay_in_session", tampered)
    with pytest.raises(ExportError, match="the scores differ"):
        export_run(run, data, tmp_path / "bert4rec")
    assert list((tmp_path / "bert4rec").iterdir()) == []


@pytest.mark.parametrize(("option", "message"), [({"version": 0}, "positive"), ({"max_k": 0}, "at least 1")])
def test_impossible_options_are_refused(run: Path, data: Path, tmp_path: Path, option: dict, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        export_run(run, data, tmp_path, **option)
