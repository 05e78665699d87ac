"""The command line: flags, exit codes, what is said where; and ML-100K."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from beam_jobs import PrepareOptions
from tests.beam_jobs.conftest import records, run
from tfrec_zoo.errors import ConfigError

KEYS = [
    "rows",
    "rows_rejected",
    "users",
    "items",
    "sequences",
    "seconds",
    "rows_per_s",
    "cpu_s",
    "peak_rss_mib",
    "shards",
]
KEYS += ["split_hash"]
ROOT = Path(__file__).parents[2]
ML_100K = ROOT.parent / "shared/data/ml-100k/interactions.csv"


def prepare(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "beam_jobs.prepare", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_success_prints_a_table_and_progress(write, tmp_path):
    path = write("u,a,1\nu,b,2\nu,c,3\n")
    done = prepare(
        "--input", path, "--output", tmp_path / "out", "--json", tmp_path / "r.json", "--runner", "DirectRunner"
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "r.json").read_text())
    assert list(result) == KEYS
    assert (result["rows"], result["users"], result["items"], result["sequences"], result["shards"]) == (3, 1, 3, 3, 3)
    assert "split hash" in done.stdout
    assert "3 rows read" in done.stderr
    assert "DirectRunner runs as FnApiRunner" in done.stderr


def test_json_on_stdout_is_json_alone(write, tmp_path):
    done = prepare("--input", write("u,a,1\n"), "--output", tmp_path / "out", "--json", "-", "--quiet")
    assert list(json.loads(done.stdout)) == KEYS
    assert done.stderr == ""


def test_failure_is_one_line(write, tmp_path):
    path = write("u,a,1\n")
    done = prepare("--input", path, "--output", tmp_path / "out", "--item-col", "sku")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
    assert done.stdout == ""
    debug = prepare("--input", path, "--output", tmp_path / "out", "--item-col", "sku", "--debug")
    assert debug.returncode == 1
    assert "Traceback" in debug.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--unknown"], "unrecognized arguments: --unknown"),
        (["--runner", "NoRunner"], "invalid choice"),
        (["--max-length", "0"], "at least 1"),
        (["--max-reject-share", "2"], "between 0 and 1"),
        (["--delimiter", "::"], "one ASCII character"),
        (["--split", "last"], "invalid choice"),
        (["--user-col", "item_id"], "need different columns"),
    ],
)
def test_wrong_usage_exits_with_2(arguments, message):
    done = prepare("--input", "log.csv", "--output", "out", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    "options",
    [{"max_length": 0}, {"split": "x"}, {"runner": "x"}, {"delimiter": "::"}, {"input": ()}, {"input": "a.csv"}],
)
def test_options_are_checked(options):
    with pytest.raises(ConfigError):
        PrepareOptions(**{"input": ("a.csv",), "output": "out", **options})


def test_importing_the_face_does_not_break_the_function(write, tmp_path):
    code = (
        "import beam_jobs.prepare; from beam_jobs import PrepareOptions, prepare;"
        f"print(prepare(PrepareOptions(input=({str(write('u,a,1'))!r},), output={str(tmp_path / 'out')!r}))['rows'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "1\n"


@pytest.mark.skipif(not ML_100K.exists(), reason="ML-100K is not beside the project")
def test_ml_100k(tmp_path):
    spec = run(ML_100K, tmp_path / "out")
    assert (spec.users, spec.items, spec.interactions) == (943, 1682, 100_000)
    assert sum(spec.item_counts) == 100_000 - 2 * 943
    assert len(records(spec, "test")) == 943
    assert spec.vocabulary("item")[0] == "50"
