"""A chief, workers and parameter servers as real processes: they train, a worker may die, another death is said."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.training.multiworker_test import ROOT, ended, start_task, wait_for_checkpoints
from tests.training.resume_test import rows
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.evaluation.evaluator import Evaluator
from tfrec_zoo.layers.item_table import partitioned
from tfrec_zoo.models.registry import get_model
from tfrec_zoo.training.launch import free_addresses
from tfrec_zoo.training.parameter_servers import copy_weights, local_copy

NETWORK = {"dim": 16, "blocks": 1, "max_length": 12, "dropout": 0.0, "loss": "sampled_softmax", "negatives": 10}
TASKS = ("chief", "worker 0", "worker 1", "ps 0")


@pytest.fixture
def arguments(data: Path, tmp_path: Path) -> list[str]:
    training = {"optimizer": "lazy_adam", "batch_size": 16, "epochs": 60, "learning_rate": 0.003, "validate_every": 20}
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({"network": NETWORK, "training": {**training, "save_every": 10}}))
    found = ["train", "bert4rec", "--data", str(data), "--workdir", str(tmp_path / "RUN"), "--config", str(config)]
    return [*found, "--worker-timeout", "60"]


class Processes(dict[str, subprocess.Popen]):
    """The tasks of a cluster by name, started on free ports; a context manager that none of them outlives."""

    def __init__(self, arguments: list[str]) -> None:
        addresses = free_addresses(len(TASKS))
        self.cluster: dict[str, list[str]] = {}
        for task, address in zip(TASKS, addresses, strict=True):
            self.cluster.setdefault(task.partition(" ")[0], []).append(address)
        self.arguments = arguments

    def __enter__(self) -> "Processes":
        for task in TASKS:
            self.start(task)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.values():
            process.kill()
            process.wait()

    def start(self, task: str) -> None:
        job, _, place = task.partition(" ")
        self[task] = start_task(["tfrec_zoo.cli", *self.arguments], self.cluster, job, int(place or 0))

    def ended(self) -> dict[str, tuple[int, str]]:
        return dict(zip(self, ended(list(self.values())), strict=True))


@pytest.mark.slow
def test_they_train_although_a_worker_is_killed_and_comes_back(
    arguments: list[str], spec: DatasetSpec, tmp_path: Path
) -> None:
    run = tmp_path / "RUN"
    with Processes(arguments) as processes:
        wait_for_checkpoints(run, 1, processes.values())
        processes["worker 1"].send_signal(signal.SIGKILL)
        processes["worker 1"].communicate()
        assert not (run / "train.json").exists(), "it was killed in the midst of the run"
        processes.start("worker 1")  # as a cluster does
        for task, (status, said) in processes.ended().items():
            assert status == 0, f"{task}: {said}"

    losses = [float(row["loss"]) for row in rows(run / "history.csv")]
    assert len(losses) == 3
    assert losses[0] > losses[1] > losses[2]
    assert losses[-1] < 0.9 * losses[0]
    model = keras.models.load_model(run / "model.keras")
    table = [variable for variable in model.variables if "item_embeddings" in variable.path]
    assert len(table) == 1, "the saved model is one like any other"
    result = json.loads((run / "train.json").read_text())
    measured = Evaluator(model, spec, split="valid", filter_seen=True, ks=(10,))().metrics
    assert measured["ndcg@10"] == pytest.approx(result["best_value"], abs=1e-6)


@pytest.mark.slow
def test_a_server_that_dies_ends_every_process_and_the_run_goes_on_later(arguments: list[str], tmp_path: Path) -> None:
    run = tmp_path / "RUN"
    with Processes(arguments) as processes:
        wait_for_checkpoints(run, 2, processes.values())
        processes["ps 0"].send_signal(signal.SIGKILL)
        died = time.monotonic()
        outcomes = processes.ended()
    assert time.monotonic() - died < 300
    server = f"ps 0 ({processes.cluster['ps'][0]})"
    status, said = outcomes["chief"]
    assert status == 1
    assert f"tfrec: error: {server} has gone, and with it its part of the weights" in said.splitlines()[-1]
    for worker in ("worker 0", "worker 1"):
        status, said = outcomes[worker]
        assert status == 1
        assert f"tfrec: error: the chief failed: {server} has gone" in said.splitlines()[-1]

    command = [sys.executable, "-m", "tfrec_zoo.cli", "launch", "--workers", "2", "--servers", "1", "--", *arguments]
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert again.returncode == 0, again.stderr
    assert "[chief] going on with" in again.stderr
    assert (run / "train.json").exists()


@pytest.mark.slow
def test_without_workers_the_chief_gives_up_in_time(arguments: list[str], tmp_path: Path) -> None:
    with Processes([*arguments[:-1], "45"]) as processes:
        wait_for_checkpoints(tmp_path / "RUN", 1, processes.values())
        for worker in ("worker 0", "worker 1"):
            processes[worker].send_signal(signal.SIGKILL)
        died = time.monotonic()
        outcomes = processes.ended()
    assert time.monotonic() - died < 300
    assert outcomes["chief"][0] == outcomes["ps 0"][0] == 1
    assert "no step was finished within 45 s: worker 0 (" in outcomes["chief"][1].splitlines()[-1]


def test_a_local_copy_has_the_parts_in_one_piece(spec: DatasetSpec) -> None:
    with partitioned(3):
        model = get_model("bert4rec").from_spec(spec, NETWORK)
    copy = local_copy(model)
    assert len(copy.variables) == len(model.variables) - 2
    copy_weights(model, copy)
    history = np.array([[4, 6, 9, 5]], np.int32)
    np.testing.assert_array_equal(copy.score(history), model.score(history))
