"""An interrupted run, started again by the same arguments, ends as one that was not interrupted: to the last bit."""

import csv
import errno
import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import write_log
from tests.training.train_test import SMALL, weights_of
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import DataError, TrainingError
from tfrec_zoo.runs.run_config import load_config
from tfrec_zoo.runs.run_directory import RunDirectory
from tfrec_zoo.training import checkpoint_file
from tfrec_zoo.training.train import train
from tfrec_zoo.training.trainer import Trainer

# 4 steps an epoch: checkpoints fall within epochs, at their ends and at validations.
CONFIG = {
    "network": {**SMALL["network"], "blocks": 1},
    "training": {**SMALL["training"], "save_every": 3},
}
TIMINGS = {"seconds", "sequences_per_s", "data_wait_share", "refit_seconds"}


class Stopped(Exception):
    """Stands in for a kill."""


def start(data: Path, run: Path, config: dict = CONFIG, **arguments: Any) -> dict:
    return train("bert4rec", data, run, config=config, **{"refit": True, "quiet": True, **arguments})


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """The next training of this process dies in its step number `steps` + 1, counted over both phases."""
    real, left = Trainer._timed_step, [steps]

    def step(self: Trainer, *arguments: Any) -> Any:
        if left[0] == 0:
            raise Stopped
        left[0] -= 1
        return real(self, *arguments)

    monkeypatch.setattr(Trainer, "_timed_step", step)


def interrupt(monkeypatch: pytest.MonkeyPatch, steps: int, data: Path, run: Path, **arguments: Any) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, steps)
        with pytest.raises(Stopped):
            start(data, run, **arguments)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return [{key: value for key, value in row.items() if key not in TIMINGS} for row in csv.DictReader(file)]


def assert_equal_runs(one: Path, other: Path, spec: DatasetSpec) -> None:
    for weight, again in zip(weights_of(one, spec), weights_of(other, spec), strict=True):
        np.testing.assert_array_equal(weight, again)
    for name in ("history.csv", "refit.csv"):
        assert rows(one / name) == rows(other / name)
    results = [json.loads((run / "train.json").read_text()) for run in (one, other)]
    assert len({json.dumps({**result, **dict.fromkeys(TIMINGS)}) for result in results}) == 1
    assert not list(other.glob("**/.*")), "nothing half-written stays"


def assert_equal_fits(one: Path, other: Path) -> None:
    """For runs without a refit: the figures of every validation, which tell any two sets of weights apart."""
    assert rows(one / "history.csv") == rows(other / "history.csv")


def checkpoints(run: Path) -> list[Path]:
    return sorted((run / "checkpoints").glob("*"))


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted: 24 steps, then the refit."""
    run = tmp_path_factory.mktemp("whole") / "RUN"
    start(data, run)
    return run


@pytest.mark.parametrize("steps", [2, 11, 25])
def test_a_stopped_run_ends_as_if_it_had_not_stopped(
    steps: int, whole: Path, data: Path, spec: DatasetSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(monkeypatch, steps, data, tmp_path / "RUN")
    assert len(checkpoints(tmp_path / "RUN")) <= 2
    start(data, tmp_path / "RUN")
    assert_equal_runs(whole, tmp_path / "RUN", spec)


@pytest.mark.slow
def test_a_run_stopped_again_and_again_says_where_it_goes_on(
    whole: Path, data: Path, spec: DatasetSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    for _ in range(2):
        interrupt(monkeypatch, 5, data, tmp_path / "RUN")
    capfd.readouterr()
    start(data, tmp_path / "RUN", quiet=False)
    assert "going on with" in capfd.readouterr().err
    assert_equal_runs(whole, tmp_path / "RUN", spec)


def test_at_most_save_every_steps_are_lost(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(monkeypatch, 7, data, tmp_path / "RUN")
    assert [path.stem[-2:] for path in checkpoints(tmp_path / "RUN")] == ["03", "06"], "the last two, 3 steps apart"


@pytest.mark.slow
def test_a_run_stopped_between_the_phases_goes_on(
    whole: Path, data: Path, spec: DatasetSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "fit_steps", lambda *_: (_ for _ in ()).throw(Stopped))
        with pytest.raises(Stopped):
            start(data, tmp_path / "RUN")
    start(data, tmp_path / "RUN")
    assert_equal_runs(whole, tmp_path / "RUN", spec)


def test_a_run_stopped_before_its_result_goes_on(
    whole: Path, data: Path, spec: DatasetSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "finish", lambda *_: (_ for _ in ()).throw(Stopped))
        with pytest.raises(Stopped):
            start(data, tmp_path / "RUN")
    start(data, tmp_path / "RUN")
    assert_equal_runs(whole, tmp_path / "RUN", spec)


def test_early_stopping_counts_on(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = {**CONFIG["training"], "epochs": 50, "patience": 2, "learning_rate": 1e-9}
    config = {**CONFIG, "training": training}
    interrupt(monkeypatch, 18, data, tmp_path / "RUN", config=config, refit=False)
    assert start(data, tmp_path / "RUN", config=config, refit=False)["epochs"] == 6


# Damaged checkpoints


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    return content[:-5000] + bytes([content[-5000] ^ 1]) + content[-4999:]


DAMAGES = pytest.mark.parametrize("damage", [cut, flip, lambda content: b""], ids=["cut", "flipped", "empty"])


def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    whole: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    interrupt(monkeypatch, 13, data, tmp_path / "RUN", refit=False)
    before, newest = checkpoints(tmp_path / "RUN")
    newest.write_bytes(flip(newest.read_bytes()))
    # What a kill leaves of files that were being written.
    (tmp_path / "RUN" / ".4711.model.keras").write_bytes(b"half")
    (tmp_path / "RUN" / "checkpoints" / ".4711.fit-0000000015.ckpt").write_bytes(b"half")
    start(data, tmp_path / "RUN", refit=False, quiet=False)
    said = [line for line in capfd.readouterr().err.splitlines() if "damaged" in line or "going on" in line]
    assert len(said) == 2
    assert newest.name in said[0]
    assert f"from step {int(before.stem.split('-')[1])} of the fit" in said[1]
    assert_equal_fits(whole, tmp_path / "RUN")
    assert not list((tmp_path / "RUN").glob("**/.*"))


def test_no_whole_checkpoint_is_one_clear_error(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(monkeypatch, 4, data, tmp_path / "RUN")
    for path in checkpoints(tmp_path / "RUN"):
        path.write_bytes(cut(path.read_bytes()))
    with pytest.raises(TrainingError, match="no checkpoint in .* is whole.*--overwrite"):
        start(data, tmp_path / "RUN")


@DAMAGES
def test_a_damaged_checkpoint_file_is_noticed(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    checkpoint_file.write(path, {}, [("a", np.zeros(2000))])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(checkpoint_file.DamagedCheckpointError, match="x.ckpt is damaged"):
        checkpoint_file.read(path)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int64", "uint32", "bool"])
def test_a_checkpoint_file_gives_back_every_bit(dtype: str, tmp_path: Path) -> None:
    import ml_dtypes  # noqa: F401  makes bfloat16 a name that NumPy knows

    arrays = [("a", np.arange(6).reshape(2, 3).astype(np.dtype(dtype))), ("a", np.array(1, np.dtype(dtype)))]
    arrays.append(("empty", np.zeros((0, 4), np.dtype(dtype))))
    checkpoint_file.write(tmp_path / "x.ckpt", {"best": 0.1 + 0.2}, arrays)
    meta, again = checkpoint_file.read(tmp_path / "x.ckpt")
    assert meta == {"best": 0.1 + 0.2}
    for (name, array), (name_again, array_again) in zip(arrays, again, strict=True):
        assert name == name_again
        assert array.dtype == array_again.dtype
        np.testing.assert_array_equal(array, array_again)


# A full disk


def test_training_goes_on_when_the_disk_is_full(
    whole: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    full, real_fsync = [False], os.fsync

    def fsync(descriptor: int) -> None:
        if full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    real, steps = Trainer._timed_step, [0]
    seen: list[list[str]] = []

    def step(self: Trainer, *arguments: Any) -> Any:
        steps[0] += 1
        full[0] = 8 < steps[0] < 19
        if full[0]:
            seen.append([path.name for path in checkpoints(tmp_path / "RUN")])
        return real(self, *arguments)

    monkeypatch.setattr(Trainer, "_timed_step", step)
    start(data, tmp_path / "RUN", refit=False, quiet=False)
    said = [line for line in capfd.readouterr().err.splitlines() if "could not be written" in line]
    assert len(said) == 1
    assert "No space left" in said[0]
    assert all(names == seen[0] and len(names) == 2 for names in seen), "the earlier checkpoints stay"
    assert_equal_fits(whole, tmp_path / "RUN")
    assert not list((tmp_path / "RUN").glob("**/.*")), "nothing half-written stays"


def test_a_best_model_that_never_fits_on_the_disk_is_an_error(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "save_model", save)
        with pytest.raises(TrainingError, match="best model cannot be written.*No space left.*same command"):
            start(data, tmp_path / "RUN", refit=False)
    assert start(data, tmp_path / "RUN", refit=False)["best_value"] > 0


# Runs that are not to be resumed


def test_a_run_of_other_arguments_is_refused_by_name(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import beam_jobs

    run = tmp_path / "RUN"
    interrupt(monkeypatch, 4, data, run)
    before = {path.name: path.read_bytes() for path in checkpoints(run)}
    other = {**CONFIG, "network": {**CONFIG["network"], "dim": 32}}
    with pytest.raises(TrainingError, match="network.dim is 16 there and 32 now.*--overwrite"):
        start(data, run, config=other)
    with pytest.raises(TrainingError, match="seed is 0 there and 7 now.*--workdir"):
        start(data, run, seed=7)
    with pytest.raises(TrainingError, match="was started with --refit"):
        start(data, run, refit=False)
    log = write_log(tmp_path / "log.csv", seed=5)
    beam_jobs.prepare(beam_jobs.PrepareOptions(input=(str(log),), output=str(tmp_path / "DATA"), quiet=True))
    with pytest.raises(TrainingError, match="trained on another dataset.*--overwrite"):
        start(tmp_path / "DATA", run)
    RunDirectory(run)._write("config.yaml", (run / "config.yaml").read_text().replace("bert4rec", "sasrec"))
    with pytest.raises(TrainingError, match="model is 'sasrec' there and 'bert4rec' now"):
        start(data, run)
    assert {path.name: path.read_bytes() for path in checkpoints(run)} == before


def test_a_run_that_started_nothing_begins_anew(data: Path, tmp_path: Path) -> None:
    RunDirectory.create(tmp_path / "RUN", load_config("bert4rec", CONFIG))
    assert start(data, tmp_path / "RUN", refit=False)["steps"] == 24


def test_a_model_without_checkpoints_is_not_replaced(whole: Path, data: Path, tmp_path: Path) -> None:
    RunDirectory.create(tmp_path / "RUN", load_config("bert4rec", CONFIG))
    shutil.copy(whole / "model.keras", tmp_path / "RUN")
    with pytest.raises(TrainingError, match="has no checkpoint.*--overwrite"):
        start(data, tmp_path / "RUN")


def test_two_processes_do_not_train_in_one_directory(data: Path, tmp_path: Path) -> None:
    (tmp_path / "RUN").mkdir()
    descriptor = os.open(tmp_path / "RUN", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        with pytest.raises(TrainingError, match="another process is training in"):
            start(data, tmp_path / "RUN")
    finally:
        os.close(descriptor)


# Bad data


def test_a_shard_damaged_during_training_is_named(data: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(data, tmp_path / "DATA")
    spec = DatasetSpec.read(copy)
    shard = Path(spec.paths("sequences", "train")[1])
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 0xFF
    shard.write_bytes(content)
    with pytest.raises(DataError, match=f"{shard.name}.* is damaged.*tfrec prepare"):
        start(copy, tmp_path / "RUN")


def test_a_log_of_one_user_is_one_clear_error(tmp_path: Path) -> None:
    import beam_jobs

    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu,a,1\nu,b,2\n")
    beam_jobs.prepare(
        beam_jobs.PrepareOptions(input=(str(tmp_path / "log.csv"),), output=str(tmp_path / "DATA"), quiet=True)
    )
    with pytest.raises(DataError, match="holds no users: every user of the log has fewer than 3 items"):
        start(tmp_path / "DATA", tmp_path / "RUN")


# The real thing


TFREC_ON_TWO_DEVICES = """
import sys
import tensorflow as tf
from tfrec_zoo.cli import main

device = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["default", "mirrored"])
def test_killed_at_five_random_moments(strategy: str, data: Path, spec: DatasetSpec, tmp_path: Path) -> None:
    command = [sys.executable, "-c", TFREC_ON_TWO_DEVICES, "train", "bert4rec", "--data", str(data), "--refit"]
    command += ["--strategy", strategy]
    for key, value in {
        "network.dim": 16,
        "network.max_length": 12,
        "training.batch_size": 16,
        "training.epochs": 150,
        "training.validate_every": 10,
        "training.save_every": 7,
        "training.patience": 100,
    }.items():
        command += ["--set", f"{key}={value}"]

    def launch(run: Path) -> subprocess.Popen:
        return subprocess.Popen([*command, "--workdir", str(run)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    whole = launch(tmp_path / "WHOLE")
    assert whole.wait(1800) == 0, whole.stderr.read() if whole.stderr else ""
    refit_steps = json.loads((tmp_path / "WHOLE" / "train.json").read_text())["best_step"]
    rng, run = random.Random(11), tmp_path / "RUN"
    # Four in the 600 steps of the fit, the fifth in the first half of the refit, whose length depends on rounding; each
    # at once or some milliseconds later, so that a file may be half-written.
    moments = sorted(rng.sample(range(20, 560), 4))
    for name in [*(f"fit-{step:010d}" for step in moments), f"refit-{rng.randrange(1, refit_steps // 2):010d}"]:
        process = launch(run)
        deadline = time.monotonic() + 900
        while not any(path.stem >= name for path in checkpoints(run)):
            assert process.poll() is None, f"ended before {name}: {process.communicate()}"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(rng.random() * 0.05)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        process.communicate()
    last = launch(run)
    _, said = last.communicate(timeout=1800)
    assert last.returncode == 0
    assert b"of the refit" in said
    assert (b"2 replicas" in said) == (strategy == "mirrored")
    assert_equal_runs(tmp_path / "WHOLE", run, spec)
