import csv
import json
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.conftest import write_log
from tests.models.model_contract import random_histories
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ConfigError, DataError, TrainingError
from tfrec_zoo.evaluation.evaluator import Evaluator
from tfrec_zoo.runs.run_config import load_config
from tfrec_zoo.runs.run_directory import RunDirectory
from tfrec_zoo.training.train import train

SMALL = {
    "network": {"dim": 16, "max_length": 12, "dropout": 0.1},
    "training": {"batch_size": 16, "epochs": 6, "validate_every": 2, "learning_rate": 0.01, "keep": "best"},
}


def weights_of(run: Path, spec: DatasetSpec) -> list[np.ndarray]:
    return [weight.numpy() for weight in RunDirectory.open(run).load_model(spec).weights]


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    workdir = tmp_path_factory.mktemp("run") / "RUN"
    return workdir, train("bert4rec", data, workdir, config=SMALL, quiet=True)


def test_the_result_has_the_fixed_keys(run: tuple[Path, dict], spec: DatasetSpec) -> None:
    workdir, result = run
    keys = "model steps epochs seconds sequences_per_s data_wait_share best_metric best_value parameters"
    assert set(keys.split()) <= set(result)
    assert result["steps"] == 6 * 4
    assert json.loads((workdir / "train.json").read_text())["split_hash"] == spec.split.hash
    assert result["parameters"] == sum(weight.size for weight in weights_of(workdir, spec))


def test_the_best_model_on_valid_is_kept(run: tuple[Path, dict], spec: DatasetSpec) -> None:
    workdir, result = run
    model = RunDirectory.open(workdir).load_model(spec)
    metrics = Evaluator(model, spec, split="valid", filter_seen=True, ks=(10,))().metrics
    assert metrics["ndcg@10"] == pytest.approx(result["best_value"], abs=1e-9)
    with (workdir / "history.csv").open() as file:
        values = [float(row["val_ndcg@10"]) for row in csv.DictReader(file)]
    assert len(values) == 3
    assert max(values) == pytest.approx(result["best_value"])


def test_the_written_configuration_runs_again_to_equal_weights(
    run: tuple[Path, dict], data: Path, spec: DatasetSpec, tmp_path: Path
) -> None:
    workdir, result = run
    again = train("bert4rec", data, tmp_path / "RUN", config=workdir / "config.yaml", quiet=True)
    assert again["best_value"] == result["best_value"]
    for one, other in zip(weights_of(workdir, spec), weights_of(tmp_path / "RUN", spec), strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_seed_gives_other_weights(
    run: tuple[Path, dict], data: Path, spec: DatasetSpec, tmp_path: Path
) -> None:
    train("bert4rec", data, tmp_path / "RUN", config=SMALL, seed=1, quiet=True)
    pairs = zip(weights_of(run[0], spec), weights_of(tmp_path / "RUN", spec), strict=True)
    assert any((one != other).any() for one, other in pairs)


def test_a_refit_trains_the_chosen_steps_on_train_and_valid(data: Path, spec: DatasetSpec, tmp_path: Path) -> None:
    result = train("bert4rec", data, tmp_path / "RUN", config=SMALL, refit=True, quiet=True)
    assert result["steps"] == result["best_step"]
    assert result["refit_seconds"] > 0
    with (tmp_path / "RUN" / "refit.csv").open() as file:
        assert int(list(csv.DictReader(file))[-1]["step"]) == result["best_step"]
    model = RunDirectory.open(tmp_path / "RUN").load_model(spec)
    on_valid = Evaluator(model, spec, split="valid", filter_seen=True, ks=(10,))().metrics["ndcg@10"]
    assert on_valid != result["best_value"], "the kept model has seen valid"


def test_training_stops_early(data: Path, tmp_path: Path) -> None:
    config = {**SMALL, "training": {**SMALL["training"], "epochs": 50, "patience": 1, "learning_rate": 1e-9}}
    result = train("bert4rec", data, tmp_path / "RUN", config=config, quiet=True)
    assert result["epochs"] == 4, "one validation sets the best, the next does not beat it"


def test_the_last_weights_are_kept_on_request_however_valid_went(data: Path, spec: DatasetSpec, tmp_path: Path) -> None:
    training = {**SMALL["training"], "keep": "last", "patience": 1, "learning_rate": 0.3}
    config = {"network": {**SMALL["network"], "last_item_share": 0.4}, "training": training}
    result = train("bert4rec", data, tmp_path / "RUN", config=config, quiet=True)
    assert result["steps"] == result["best_step"] == 6 * 4, "without early stopping"
    with (tmp_path / "RUN" / "history.csv").open() as file:
        values = [float(row["val_ndcg@10"]) for row in csv.DictReader(file)]
    assert result["best_value"] == pytest.approx(values[-1])
    assert max(values) > values[-1], "the case is only worth something where an earlier one was better"
    model = RunDirectory.open(tmp_path / "RUN").load_model(spec)
    metrics = Evaluator(model, spec, split="valid", filter_seen=True, ks=(10,))().metrics
    assert metrics["ndcg@10"] == pytest.approx(values[-1], abs=1e-9)


def test_a_finished_run_is_not_overwritten_by_accident(run: tuple[Path, dict], data: Path) -> None:
    before = (run[0] / "model.keras").read_bytes()
    with pytest.raises(TrainingError, match="holds a finished run.*--overwrite"):
        train("bert4rec", data, run[0], config=SMALL, quiet=True)
    assert (run[0] / "model.keras").read_bytes() == before


def test_a_folder_with_other_files_is_never_emptied(data: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(TrainingError, match="not empty and holds no run"):
            train("bert4rec", data, tmp_path, config=SMALL, overwrite=overwrite, quiet=True)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_wrong_configuration_leaves_no_run_behind(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        train("bert4rec", data, tmp_path / "RUN", config={"network": {"dim": 15}}, quiet=True)
    assert not (tmp_path / "RUN").exists()


def test_a_diverging_run_says_so(data: Path, tmp_path: Path) -> None:
    config = {**SMALL, "training": {**SMALL["training"], "learning_rate": 1e38}}
    with pytest.raises(TrainingError, match="loss became nan at step .*largest weight.*learning_rate"):
        train("bert4rec", data, tmp_path / "RUN", config=config, quiet=True)
    with np.load(tmp_path / "RUN" / "bad_batch.npz") as batch:
        assert batch["inputs/item_ids"].shape == (16, 12)
        assert batch["targets"].shape == batch["weights"].shape


def test_a_model_of_another_catalogue_is_refused(run: tuple[Path, dict], tmp_path: Path) -> None:
    import beam_jobs

    log = write_log(tmp_path / "log.csv", items=30)
    beam_jobs.prepare(beam_jobs.PrepareOptions(input=(str(log),), output=str(tmp_path / "DATA"), quiet=True))
    with pytest.raises(DataError, match="trained on another catalogue .40 items. than .* has .30 items."):
        RunDirectory.open(run[0]).load_model(DatasetSpec.read(tmp_path / "DATA"))


def test_a_damaged_model_file_is_one_clear_error(
    run: tuple[Path, dict], data: Path, spec: DatasetSpec, tmp_path: Path
) -> None:
    damaged = RunDirectory.create(tmp_path / "RUN", load_config("bert4rec"))
    content = (run[0] / "model.keras").read_bytes()
    (damaged.path / "model.keras").write_bytes(content[: len(content) // 2])
    with pytest.raises(ConfigError, match="model.keras cannot be loaded"):
        damaged.load_model(spec)


def test_no_run_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a run: it has no config.yaml.*tfrec train"):
        RunDirectory.open(tmp_path)


def test_the_kept_file_is_a_plain_keras_model(run: tuple[Path, dict], spec: DatasetSpec) -> None:
    model = keras.saving.load_model(run[0] / "model.keras", compile=False)
    history = random_histories(spec, 3, 9)
    np.testing.assert_array_equal(model.score(history), RunDirectory.open(run[0]).load_model(spec).score(history))
