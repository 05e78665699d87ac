"""The command line as a user meets it: exit statuses, one clear line, results on stdout, progress on stderr."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tfrec_zoo.cli import main

COMMANDS = ("demo", "synth", "movielens", "prepare", "models", "train", "evaluate", "compare", "export", "serve")
COMMANDS += ("query", "bench", "finetune", "augment")


def tfrec(*arguments: object, timeout: float = 900) -> subprocess.CompletedProcess[str]:
    """Runs the command in a process of its own."""
    command = [sys.executable, "-m", "tfrec_zoo.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert "--debug" in capsys.readouterr().out


def test_help_and_usage_errors_wait_for_no_heavy_library() -> None:
    probe = (
        "import sys; sys.argv = ['tfrec', '--help']\n"
        "from tfrec_zoo.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'apache_beam', 'pyarrow', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, check=False).returncode == 0


def test_import_of_the_package_is_light() -> None:
    probe = "import sys, tfrec_zoo; dir(tfrec_zoo); assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0


def test_every_public_name_is_there() -> None:
    import tfrec_zoo

    for name in tfrec_zoo.__all__:
        assert getattr(tfrec_zoo, name) is not None
    with pytest.raises(AttributeError):
        _ = tfrec_zoo.nothing_of_that_name


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["tain"],
        ["train"],
        ["train", "bert4rec", "--data", "D", "--workdir", "R", "--epochs", "3"],
        ["prepare", "--input", "x.csv", "--output", "D", "--split", "thirds"],
        ["synth", "--output", "x.csv", "--users", "many"],
        ["query"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: tfrec" in capsys.readouterr().err


def _failures(data: Path) -> list[tuple[list[object], str]]:
    return [
        (["train", "bert4rec", "--data", "nowhere", "--workdir", "R"], "nowhere is not a dataset"),
        (["train", "bert5rec", "--data", data, "--workdir", "R"], "no model 'bert5rec'"),
        (["train", "bert4rec", "--data", data, "--workdir", "R", "--set", "network.with=3"], "unknown.*key `with`"),
        (["evaluate", "--workdir", "nowhere", "--data", data], "nowhere is not a run"),
        (["export", "--workdir", "nowhere", "--data", data, "--output", "out"], "nowhere is not a run"),
        (["prepare", "--input", "missing*.csv", "--output", "D"], "missing"),
        (["synth", "--output", "x.csv", "--users", "0"], "users is 0"),
        (["query", "m", "--address", "127.0.0.1:1", "--timeout", "1"], "127.0.0.1:1"),
    ]


@pytest.mark.parametrize("case", range(8))
def test_a_failure_is_one_clear_line_and_exits_with_1(
    case: int, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, message = _failures(data)[case]
    assert main([str(argument) for argument in arguments]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert err.startswith("tfrec")
    assert re.search(message, err), err
    assert list(tmp_path.iterdir()) == [], "nothing half-made stays"


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = tfrec("evaluate", "--workdir", tmp_path, "--data", tmp_path, "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_an_unexpected_error_is_one_line_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("tfrec_zoo.data.synthetic.synthesize", broken)
    assert main(["synth", "--output", "x.csv"]) == 1
    assert capsys.readouterr().err == "tfrec: error: unexpected RuntimeError: two lines (--debug shows where)\n"


def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, log_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    monkeypatch.delitem(sys.modules, "beam_jobs.pipeline", raising=False)
    assert main(["prepare", "--input", str(log_file), "--output", str(tmp_path / "DATA")]) == 1
    assert "pip install 'tfrec-zoo[beam]'" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    command = f"{sys.executable} -m tfrec_zoo.cli models | head -0"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr


def test_models_lists_the_zoo() -> None:
    done = tfrec("models", "--items", 500, "--json", "-")
    assert done.returncode == 0
    assert done.stderr == "", "TensorFlow's greetings stay out of the way"
    zoo = json.loads(done.stdout)
    assert zoo["bert4rec"]["needs"] == "sequences"
    assert zoo["bert4rec"]["parameters"] > 64 * 504


def test_synth_prints_the_range_and_writes_json(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = tfrec("synth", "--output", tmp_path / "log.csv", "--users", 150, "--items", 80, "--json", figures)
    assert done.returncode == 0
    assert "best possible  NDCG@10" in done.stdout
    content = json.loads(figures.read_text())
    assert content["popularity"]["ndcg@10"] < content["best_possible"]["ndcg@10"]
    assert content == json.loads((tmp_path / "log-truth.json").read_text())


def test_a_json_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    done = tfrec("synth", "--output", tmp_path / "log.csv", "--users", 60, "--items", 60, "--json", tmp_path)
    assert done.returncode == 1
    assert "--json" in done.stderr


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    import socket

    (tmp_path / "1").mkdir()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = tfrec("serve", "--model-base-path", tmp_path, "--grpc-port", port)
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_query_starts_in_little_more_than_the_time_of_its_imports() -> None:
    """In seconds of the processor, beside what a gRPC client cannot do without: a slow machine is slow at both."""
    query = (
        "from tfrec_zoo.cli import main; "
        "main(['query', 'm', '--address', '127.0.0.1:1', '--timeout', '0.1']); "
        "import sys; assert 'tensorflow' not in sys.modules"
    )

    def seconds(code: str) -> float:
        probe = f"import time; start = time.process_time(); {code}; print(time.process_time() - start)"
        done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
        return float(done.stdout)

    times = [(seconds(query), seconds("import grpc, numpy, google.protobuf.message")) for _ in range(5)]
    ours, needed = (min(side) for side in zip(*times, strict=True))
    assert ours < 4 * needed, times
