"""Real processes train together: as one device does; one that dies ends the others, and the run goes on later."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.training.curves import CASES, OWN_SHARDS, curve
from tests.training.mirrored_test import assert_equal_curves
from tests.training.resume_test import rows
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import DataError, TrainingError
from tfrec_zoo.runs.run_config import load_config
from tfrec_zoo.training.cluster import Cluster
from tfrec_zoo.training.launch import free_addresses
from tfrec_zoo.training.rendezvous import meet
from tfrec_zoo.training.strategy import DEFAULT, Distribution
from tfrec_zoo.training.train import _what_is_trained, train

ROOT = Path(__file__).parents[2]


def start_task(command: list[str], cluster: dict[str, list[str]], job: str, index: int) -> subprocess.Popen:
    config = {"cluster": cluster, "task": {"type": job, "index": index}}
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, "TF_CONFIG": json.dumps(config), "TF_CPP_MIN_LOG_LEVEL": "3"},
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def workers_of(commands: list[list[str]]) -> Iterator[list[subprocess.Popen]]:
    """The workers of a cluster, of which none outlives the block."""
    cluster, workers = {"worker": free_addresses(len(commands))}, []
    try:
        for index, command in enumerate(commands):
            workers.append(start_task(command, cluster, "worker", index))
        yield workers
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def ended(workers: list[subprocess.Popen], timeout: float = 900) -> list[tuple[int, str]]:
    """(exit status, stderr) of each."""
    said = [worker.communicate(timeout=timeout)[1] for worker in workers]
    return [(worker.returncode, text) for worker, text in zip(workers, said, strict=True)]


@pytest.mark.slow
def test_two_processes_train_as_one_device(data: Path, spec: DatasetSpec, tmp_path: Path) -> None:
    outputs = [tmp_path / f"{worker}.npz" for worker in range(2)]
    with workers_of([["tests.training.curves", str(data), str(output)] for output in outputs]) as workers:
        for status, said in ended(workers):
            assert status == 0, said
    ours = [dict(np.load(output)) for output in outputs]
    for name, array in ours[0].items():
        np.testing.assert_array_equal(array, ours[1][name], err_msg="all workers hold the same weights")
    for case in CASES:
        single = curve(case, spec, Distribution.start(DEFAULT))
        both = ours[0][f"{case}/losses"], [ours[0][f"{case}/{place}"] for place in range(len(single[1]))]
        if case == "adam":
            np.testing.assert_allclose(single[0], both[0], rtol=1e-3)
        else:
            assert_equal_curves(single, both)
    losses = ours[0][f"{OWN_SHARDS}/losses"]
    assert losses[-1] < losses[0]
    assert not np.allclose(losses, ours[0]["sgd/losses"], rtol=1e-4), "other batches"


def wait_for_checkpoints(run: Path, count: int, processes: Collection[subprocess.Popen]) -> None:
    deadline = time.monotonic() + 900
    while len(list(run.glob("checkpoints/fit-*[1-9]*.ckpt"))) < count:
        assert all(process.poll() is None for process in processes)
        assert time.monotonic() < deadline
        time.sleep(0.05)


def as_worker_1(monkeypatch: pytest.MonkeyPatch, facts: dict) -> list[str]:
    """Makes this process worker 1 of a cluster; the list will hold what its chief, a thread, ends with."""
    config = {"cluster": {"worker": free_addresses(2)}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    own = Cluster.from_environment()
    assert own is not None
    chief, said = dataclasses.replace(own, index=0), []

    def come() -> None:
        try:
            meet(chief, facts, 300)
        except TrainingError as error:
            said.append(str(error))

    threading.Thread(target=come, daemon=True).start()
    return said


def wait_for(said: list[str]) -> str:
    deadline = time.monotonic() + 300
    while not said and time.monotonic() < deadline:
        time.sleep(0.02)
    return said[0]


def test_a_worker_with_other_data_or_configuration_is_named_on_every_worker(
    data: Path, spec: DatasetSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = _what_is_trained(load_config("bert4rec"), spec, refit=False)
    cases = [
        ({**ours, "the split's hash": "other"}, "the split's hash is '.*' there and 'other' at the chief"),
        (_what_is_trained(load_config("bert4rec", seed=7), spec, False), "seed is 0 there and 7 at the chief"),
        (_what_is_trained(load_config("bert4rec"), spec, True), "--refit is False there and True at the chief"),
    ]
    for facts, message in cases:
        said = as_worker_1(monkeypatch, facts)
        with pytest.raises(TrainingError, match=f"^worker 1 .* would train something else than the chief: {message}"):
            train("bert4rec", data, tmp_path / "RUN", worker_timeout=300, quiet=True)
        assert "would train something else" in wait_for(said)
    assert not (tmp_path / "RUN").exists()


def test_a_worker_without_data_is_named_on_every_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = as_worker_1(monkeypatch, {})
    with pytest.raises(DataError, match="is not a dataset"):
        train("bert4rec", tmp_path / "NOTHING", tmp_path / "RUN", worker_timeout=300, quiet=True)
    assert "worker 1 (127.0.0.1" in wait_for(said)
    assert "NOTHING is not a dataset" in said[0]


@pytest.mark.slow
def test_a_killed_worker_ends_the_run_with_an_error_and_the_same_command_goes_on(data: Path, tmp_path: Path) -> None:
    network = {"dim": 8, "blocks": 1, "max_length": 12, "dropout": 0.0}
    training = {"batch_size": 16, "epochs": 60, "validate_every": 20, "learning_rate": 0.003, "save_every": 10}
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({"network": network, "training": training}))
    run = tmp_path / "RUN"
    arguments = ["train", "bert4rec", "--data", str(data), "--workdir", str(run), "--config", str(config)]
    arguments += ["--worker-timeout", "60"]

    with workers_of([["tfrec_zoo.cli", *arguments]] * 2) as workers:
        wait_for_checkpoints(run, 2, workers)
        workers[1].send_signal(signal.SIGKILL)
        killed = time.monotonic()
        (status, said), _ = ended(workers)
    assert status == 1
    assert "tfrec: error: worker 1 (127.0.0.1:" in said.splitlines()[-1]
    assert "has gone" in said.splitlines()[-1]
    assert time.monotonic() - killed < 300
    assert not (run / "train.json").exists()

    command = [sys.executable, "-m", "tfrec_zoo.cli", "launch", "--workers", "2", "--", *arguments]
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert again.returncode == 0, again.stderr
    assert "[worker 0] going on with" in again.stderr
    assert "[worker 1]" not in again.stdout
    assert "valid ndcg@10" in again.stdout

    train("bert4rec", data, tmp_path / "SINGLE", config=config, quiet=True)
    losses = [[float(row["loss"]) for row in rows(path / "history.csv")] for path in (run, tmp_path / "SINGLE")]
    assert len(losses[0]) == 3
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)
