"""A version with the items of a newer dataset, encoded by the item tower as it is: no training."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tests.export.conftest import CONFIGS, Exported
from tests.export.session import LOWEST, Session
from tests.rated_log import prepare_rated
from tfrec_zoo.data.items import item_batches
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import DataError, ExportError
from tfrec_zoo.export.export_run import export_run
from tfrec_zoo.runs.run_config import load_config
from tfrec_zoo.runs.run_directory import RunDirectory

NEW = {"new-0": ("Drama|Comedy", "1999"), "new-1": ("Western", ""), "new-2": ("", "2031")}


@pytest.fixture(scope="module")
def run(exported: dict[str, Exported], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory of the exported DSSM."""
    assignments = [f"network.{name}={json.dumps(value)}" for name, value in CONFIGS["dssm"].items()]
    run = RunDirectory.create(tmp_path_factory.mktemp("run") / "RUN", load_config("dssm", assignments=assignments))
    run.save_model(exported["dssm"].model)
    return run.path


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> DatasetSpec:
    """The same log with three more items: other vocabularies, means and counts."""
    folder = tmp_path_factory.mktemp("newer")
    first = prepare_rated(folder)
    log, items = (folder / name for name in ("log.csv", "items.csv"))
    with log.open("a", newline="") as file:
        for number, item in enumerate(NEW):
            csv.writer(file).writerows([f"u{user}", item, 5000 + user, 1 + user % 5] for user in range(12 + number))
    with items.open("a") as file:
        file.writelines(f"{item},{genres},{year}\n" for item, (genres, year) in NEW.items())
    import beam_jobs

    options = {**first.options, "output": str(folder / "DATA2"), "quiet": True}
    beam_jobs.prepare(beam_jobs.PrepareOptions(**options))
    return DatasetSpec.read(folder / "DATA2")


@pytest.fixture(scope="module")
def refreshed(run: Path, rated: DatasetSpec, newer: DatasetSpec, tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("published") / "dssm"
    result = export_run(run, rated.directory, folder, refresh_items=newer.directory, over_grpc=False)
    assert result["new_items"] == len(NEW)
    card = json.loads((folder / "1" / "assets.extra" / "model_card.json").read_text())
    assert card["catalog_size"] == rated.catalog_size + len(NEW)
    return Session(folder / "1")


USER = {"user": ["u5"], "gender": ["m"], "age": [30.0], "user_count": [7], "user_mean_label": [0.5]}


def test_items_score_as_their_raw_features_are_encoded(
    refreshed: Session, exported: dict[str, Exported], newer: DatasetSpec
) -> None:
    """By the version without the new items: the weights are the same, and a new id is an unknown one."""
    before = exported["dssm"].ask
    batch = next(iter(item_batches(newer, 100)))
    totals = {
        raw.decode(): (int(count), float(mean))
        for raw, count, mean in zip(batch["raw_id"].numpy(), batch["item_count"], batch["item_mean_label"], strict=True)
    }
    tables = {**NEW, "i07": ("Action|Comedy|Drama", "1997")}
    user = {**USER, "history": [["i01", "i02"]]}
    vector = np.array(before("encode", **user)["vectors"])[0]
    scores = refreshed("pre_rank", **user, candidates=[list(tables)])["scores"][0]
    assert before("pre_rank", **user, candidates=[list(NEW)])["scores"] == [[LOWEST] * len(NEW)]
    for item, score in zip(tables, scores, strict=True):
        genres, year = tables[item]
        count, mean = totals[item]
        # A number that is missing is the mean of the dataset that lacks it.
        year = float(year) if year else newer.features["items"]["year"].mean
        raw = {"item": [item], "genres": [[genres]], "year": [year], "item_count": [count], "item_mean_label": [mean]}
        encoded = np.array(before("encode_items", **raw)["vectors"])[0]
        np.testing.assert_allclose(score, vector @ encoded, rtol=1e-4, atol=1e-5, err_msg=item)


def test_new_items_are_recommended_until_they_are_seen(refreshed: Session, rated: DatasetSpec) -> None:
    ranked = refreshed("recommend", **USER, history=[["i01", "i02"]])["item_ids"][0]
    assert {*NEW, *rated.vocabulary("item")} - {"i01", "i02"} == set(ranked) - {""}
    seen = refreshed("recommend", **USER, history=[["i01", "i02", "new-1"]])["item_ids"][0]
    assert [item for item in seen if item] == [item for item in ranked if item and item != "new-1"]


def test_a_newer_dataset_has_to_say_the_same_of_its_items(
    run: Path, rated: DatasetSpec, newer: DatasetSpec, tmp_path: Path
) -> None:
    import beam_jobs

    def refresh(**changed: object) -> None:
        options = {**newer.options, **changed, "output": str(tmp_path / "OTHER"), "quiet": True}
        beam_jobs.prepare(beam_jobs.PrepareOptions(**options))
        export_run(run, rated.directory, tmp_path / "m", refresh_items=tmp_path / "OTHER")

    with pytest.raises(ExportError, match="has 'year' as category, and the model was trained on it as number"):
        refresh(numeric=("age",))
    with pytest.raises(DataError, match="has no view items"):
        refresh(views=("sequences",), label=None)
    assert list((tmp_path / "m").iterdir()) == []
