import subprocess
import sys
import time

import pytest

from tfrec_zoo.cli import main
from tfrec_zoo.training import launch as module
from tfrec_zoo.training.launch import free_addresses, launch


def test_every_line_says_which_worker_wrote_it(capfd: pytest.CaptureFixture[str]) -> None:
    assert launch(["train", "--help"], 2) == 0
    lines = capfd.readouterr().out.splitlines()
    for worker in (0, 1):
        assert any(line.startswith(f"[worker {worker}] usage: tfrec train") for line in lines)
    assert all(line.startswith("[worker ") for line in lines)


def test_the_status_of_a_worker_that_failed_is_returned(capfd: pytest.CaptureFixture[str]) -> None:
    assert launch(["train"], 2) == 2
    assert "error: the following arguments are required" in capfd.readouterr().err


def test_when_one_fails_the_others_are_stopped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "_SECONDS_TO_END", 0.2)
    scripts = ["import time; time.sleep(60)", "import os; os.kill(os.getpid(), 9)"]
    processes = [subprocess.Popen([sys.executable, "-c", script], text=True) for script in scripts]
    began = time.monotonic()
    assert module._wait(processes) == 128 + 9
    module._stop(processes)
    assert time.monotonic() - began < 20
    assert all(process.poll() is not None for process in processes)
    assert capsys.readouterr().err == "tfrec launch: worker 1 ended with status 137; all are stopped\n"


def test_addresses_differ() -> None:
    assert len(set(free_addresses(20))) == 20


def test_what_cannot_be_launched_is_one_clear_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["launch", "--workers", "0", "--", "train", "bert4rec"]) == 1
    assert "--workers must be at least 1, not 0" in capsys.readouterr().err
    assert main(["launch", "--workers", "2", "--", "serve"]) == 1
    assert "tfrec launch runs the train command" in capsys.readouterr().err


def test_a_malformed_tf_config_is_one_line_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TF_CONFIG", '{"cluster": ')
    assert main(["train", "bert4rec", "--data", "DATA", "--workdir", "RUN"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("tfrec: error: TF_CONFIG is not JSON")
    assert said.count("\n") == 1
