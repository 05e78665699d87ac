import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.export.export_test import OTHERS, change_a_weight
from tests.export.session import LOWEST, Session
from tests.training.train_test import SMALL
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ExportError
from tfrec_zoo.export.export_run import export_run
from tfrec_zoo.export.gate import replay_over_grpc
from tfrec_zoo.export.servable import Servable
from tfrec_zoo.training.train import train


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    workdir = tmp_path_factory.mktemp("run") / "RUN"
    # Trained in 16 bits, as on GPUs: what is exported, and compared with the live model, computes in 32.
    train("bert4rec", data, workdir, config=SMALL, assignments=["training.precision=mixed_bfloat16"], quiet=True)
    return workdir


@pytest.fixture(scope="module")
def newer(spec: DatasetSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with three new items, of which new-0 is by far the most popular."""
    import beam_jobs

    folder, items = tmp_path_factory.mktemp("newer"), spec.vocabulary("item")
    rows = [f"n{user},{items[user % 5]},{user}" for user in range(30)]
    rows += [f"n{user},new-{user % 3 if user > 20 else 0},{100 + user}" for user in range(30)]
    rows += [f"n{user},{items[column]},{1000 - 100 * column + user}" for user in range(30) for column in (8, 9)]
    (folder / "log.csv").write_text("user_id,item_id,timestamp\n" + "\n".join(rows) + "\n")
    options = beam_jobs.PrepareOptions(input=(str(folder / "log.csv"),), output=str(folder / "DATA"), quiet=True)
    beam_jobs.prepare(options)
    return folder / "DATA"


@pytest.fixture(scope="module")
def published(run: Path, data: Path, newer: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict]]:
    """Two versions, the second one with the items of a newer dataset; and what `export_run` said of them."""
    folder = tmp_path_factory.mktemp("published") / "bert4rec"
    first = export_run(run, data, folder)
    return folder, [first, export_run(run, data, folder, refresh_items=newer, over_grpc=False)]


def test_export_publishes_whole_versions_in_order(published: tuple[Path, list[dict]], spec: DatasetSpec) -> None:
    folder, (first, second) = published
    assert (first["version"], second["version"]) == (1, 2)
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2"], "nothing temporary stays"
    assert {"path", "version", "bytes", "signatures", "gate"} <= set(first)
    assert first["gate"] == {"requests": 6, "over_grpc": True, "passed": True}
    card = json.loads((folder / "1" / "assets.extra" / "model_card.json").read_text())
    assert card["split"]["hash"] == spec.split.hash
    assert card["training"]["best_value"] > 0
    assert card["dataset"]["vocabulary_hash"] == spec.vocabulary_hash("item")
    assert card["signatures"] == sorted({"recommend", "score", "serving_default", *OTHERS})
    golden = json.loads((folder / "1" / "assets.extra" / "golden_requests.json").read_text())
    assert {request["signature"] for request in golden} == set(card["signatures"])


def test_a_published_version_is_never_replaced(run: Path, data: Path, published: tuple[Path, list[dict]]) -> None:
    with pytest.raises(ExportError, match="2 exists already"):
        export_run(run, data, published[0], version=2)


def test_warm_up_requests_are_those_of_every_signature(published: tuple[Path, list[dict]]) -> None:
    from tensorflow_serving.apis import prediction_log_pb2

    file = published[0] / "1" / "assets.extra" / "tf_serving_warmup_requests"
    logs = [prediction_log_pb2.PredictionLog.FromString(each.numpy()) for each in tf.data.TFRecordDataset(str(file))]
    requests = [log.predict_log.request for log in logs]
    assert {each.model_spec.signature_name for each in requests} == {"recommend", "score", "serving_default", *OTHERS}
    widths = {tf.make_ndarray(each.inputs["history"]).shape for each in requests if "history" in each.inputs}
    assert {(1, 8), (8, 8), (1, 256)} <= widths
    assert 20 <= len(logs) <= 1000


def test_new_items_are_served_without_training(published: tuple[Path, list[dict]], spec: DatasetSpec) -> None:
    folder, (_, result) = published
    assert result["new_items"] == 3
    before, refreshed = (Session(folder / version) for version in "12")
    items, new = spec.vocabulary("item"), ["new-0", "new-1", "new-2"]
    history, candidates = [items[2:9]], [[*items, *new]]
    old, scores = (ask("score", history=history, candidates=candidates)["scores"][0] for ask in (before, refreshed))
    np.testing.assert_allclose(scores[:-3], old[:-3], atol=1e-6, err_msg="the weights are the same")
    assert old[-3:] == [LOWEST] * 3
    assert min(old[:-3]) < min(scores[-3:]) <= max(scores[-3:]) < max(old[:-3])
    ranked = refreshed("recommend", history=history)["item_ids"][0]
    assert set(new) <= set(ranked)
    # A new item in the history is left out, but tells the model nothing.
    seen = refreshed("recommend", history=[[*history[0], "new-1"]])
    assert seen["item_ids"][0][: len(ranked) - 1] == [item for item in ranked if item != "new-1"]
    assert refreshed("recommend", history=[["new-1"]])["fallback"] == [True]
    popular = refreshed("recommend", history=[[""]])["item_ids"][0]
    assert popular.index("new-0") < popular.index("new-1")


def test_a_refresh_without_new_items_is_refused(run: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="has no item that the model doesn't know"):
        export_run(run, data, tmp_path / "m", refresh_items=data)
    assert list((tmp_path / "m").iterdir()) == []


def test_a_refused_version_leaves_nothing(run: Path, data: Path, tmp_path: Path, monkeypatch) -> None:
    save = Servable.save

    def save_and_tamper(self: Servable, directory: str) -> None:
        save(self, directory)
        change_a_weight(Path(directory))

    monkeypatch.setattr(Servable, "save", save_and_tamper)
    with pytest.raises(ExportError, match="1 of the weights are not the live model's"):
        export_run(run, data, tmp_path / "bert4rec")
    assert list((tmp_path / "bert4rec").iterdir()) == []


def test_a_version_that_no_server_takes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    with pytest.raises(ExportError, match="does not run behind the model server: .*can't be loaded"):
        replay_over_grpc(tmp_path, [])


@pytest.mark.parametrize(("option", "message"), [({"version": 0}, "positive"), ({"max_k": 0}, "at least 1")])
def test_impossible_options_are_refused(run: Path, data: Path, tmp_path: Path, option: dict, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        export_run(run, data, tmp_path, **option)
