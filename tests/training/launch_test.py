import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tfrec_zoo.cli import main
from tfrec_zoo.training import launch as module
from tfrec_zoo.training.launch import free_addresses, launch

KILLS_ITSELF = "import os; os.kill(os.getpid(), 9)"
SLEEPS = "import time; time.sleep(600)"

Scripted = Callable[..., list[module.Process]]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    """Makes tasks that run the text of `scripts` instead of tfrec; a task started anew runs what is there then."""
    started: list[subprocess.Popen] = []

    def make(scripts: dict[str, str], revivals: int = 0) -> list[module.Process]:
        def start(process: module.Process) -> None:
            process.popen = subprocess.Popen([sys.executable, "-c", scripts[process.name]], text=True)
            started.append(process.popen)

        monkeypatch.setattr(module.Process, "start", start)
        names = [name.partition(" ") for name in scripts]
        return [
            module.Process([], {}, job, int(place or 0), revivals if job == "worker" else 0) for job, _, place in names
        ]

    yield make
    for popen in started:
        popen.kill()
        popen.wait()


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
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "_SECONDS_TO_END", 0.2)
    processes = scripted({"worker 0": SLEEPS, "worker 1": KILLS_ITSELF})
    began = time.monotonic()
    assert module.wait(processes) == 128 + 9
    module.stop(processes)
    assert time.monotonic() - began < 300, "it does not wait for the other to end"
    assert not any(process.runs for process in processes)
    assert capsys.readouterr().err == "tfrec launch: worker 1 ended with status 137; all are stopped\n"


def test_around_servers_a_worker_that_dies_is_started_again(
    scripted: Scripted, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    came = tmp_path / "came"
    chief = f"import pathlib, time\nwhile not pathlib.Path({str(came)!r}).exists(): time.sleep(0.05)"
    scripts = {"chief": chief, "worker 0": KILLS_ITSELF}
    processes = scripted(scripts, revivals=1)
    scripts["worker 0"] = f"import pathlib; pathlib.Path({str(came)!r}).touch()"
    assert module.wait(processes) == 0
    assert capsys.readouterr().err == "tfrec launch: worker 0 ended with status 137; it is started again\n"


def test_a_worker_that_goes_on_dying_ends_the_launch(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "_SECONDS_TO_END", 0.2)
    processes = scripted({"chief": SLEEPS, "worker 0": "import sys; sys.exit(3)"}, revivals=2)
    assert module.wait(processes) == 3
    module.stop(processes)
    said = capsys.readouterr().err
    assert said.count("it is started again") == 2
    assert said.endswith("worker 0 ended with status 3; all are stopped\n")


def test_addresses_differ() -> None:
    assert len(set(free_addresses(20))) == 20


def test_what_cannot_be_launched_is_one_clear_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["launch", "--workers", "0", "--", "train", "bert4rec"]) == 1
    assert "--workers must be at least 1 and --servers at least 0, not 0 and 0" in capsys.readouterr().err
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
