"""The same bytes from every runner: real processes, real sockets, all of them ended by pid."""

import argparse
import contextlib
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from beam_jobs import PrepareOptions, add_arguments
from beam_jobs.runner_options import RunnerChoice, parse_with_beam_flags
from tests.beam_jobs.conftest import run, shard_bytes
from tfrec_zoo.errors import ConfigError, DataError

ROOT = Path(__file__).parents[2]
START_SECONDS = 600
DEAD = "127.0.0.1:1"


@pytest.fixture(scope="module")
def logs(tmp_path_factory) -> list[Path]:
    """Three files of a log with ties in time, ratings, rejects and users in all files."""
    folder, rng = tmp_path_factory.mktemp("logs"), random.Random(0)
    paths = []
    for number in range(3):
        rows = [
            f"u{rng.randrange(120)},i{rng.paretovariate(1):.0f},{rng.randrange(500)},{rng.randrange(1, 6)}"
            for _ in range(1500)
        ]
        rows[7] = ",i1,5,3"
        paths.append(folder / f"log-{number}.csv")
        paths[-1].write_text("user_id,item_id,timestamp,rating\n" + "\n".join(rows) + "\n")
    return paths


@pytest.fixture(scope="module")
def jobs(logs, tmp_path_factory) -> dict[str, dict]:
    """Options of two jobs: the defaults, and one with every view, features, filters, k-core and negatives."""
    folder, rng = tmp_path_factory.mktemp("tables"), random.Random(1)
    (folder / "users.csv").write_text(
        "user_id,age,country\n" + "".join(f"u{n},{rng.randrange(18, 70)},{rng.choice('abc')}\n" for n in range(120))
    )
    (folder / "items.csv").write_text(
        "item_id,tags,price\n" + "".join(f"i{n},{rng.choice(['x', 'x|y', ''])},{rng.random()}\n" for n in range(80))
    )
    target = folder / "target.csv"
    rows = (f"u{rng.randrange(60, 200)},t{rng.paretovariate(1):.0f},{rng.randrange(500)}\n" for _ in range(900))
    target.write_text("user_id,item_id,timestamp\n" + "".join(rows))
    everything = {
        "views": ("sequences", "interactions", "transfer", "items", "profiles"),
        "users": str(folder / "users.csv"),
        "items": str(folder / "items.csv"),
        "multi": {"tags": "|"},
        "numeric": ("age", "price"),
        "bands": {"age": (30.0, 50.0)},
        "profile_labels": ("country", "age_band"),
        "target_input": (str(target),),
        "split": "temporal",
        "negatives": 2,
        "negative_sampling": "popularity",
        "k_core": 2,
        "drop_repeats": True,
        "target_sample": 0.05,
    }
    return {"defaults": {}, "everything": everything}


@pytest.fixture(scope="module")
def expected(logs, jobs, tmp_path_factory) -> dict[str, dict[str, str]]:
    folder = tmp_path_factory.mktemp("expected")
    found = {name: shard_bytes(run(logs, folder / name, **options)) for name, options in jobs.items()}
    views = {path.split("/")[0] for path in found["everything"]}
    assert views == {"sequences", "interactions", "transfer", "items", "profiles", "vocab"}
    return found


def outcomes(logs, jobs, folder: Path, **options) -> dict[str, dict[str, str]]:
    """Job -> listed file -> digest, under other options of where and how it runs."""
    return {name: shard_bytes(run(logs, folder / name, **job, **options)) for name, job in jobs.items()}


@contextlib.contextmanager
def process(*command, wrapper: Sequence[str] = ()) -> Iterator[subprocess.Popen]:
    """Runs a Python module beside the test, which cannot outlive it."""
    child = subprocess.Popen(
        [*wrapper, sys.executable, "-m", *map(str, command)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(60)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(10)


def wait_for(path: Path, child: subprocess.Popen, whole: Callable[[str], bool]) -> str:
    """The text that a process writes to a file once it has started; the file is there a moment before its text."""
    end = time.monotonic() + START_SECONDS
    while not (path.exists() and whole(text := path.read_text())):
        assert child.poll() is None, f"{child.args} ended with {child.returncode}"
        assert time.monotonic() < end, f"{child.args} did not start"
        time.sleep(0.05)
    return text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@contextlib.contextmanager
def dask_scheduler(folder: Path) -> Iterator[tuple[str, Path]]:
    """A scheduler process on 127.0.0.1: its address and the file that workers find it with."""
    file = folder / "scheduler.json"
    flags = ["--host", "127.0.0.1", "--port", 0, "--no-dashboard", "--no-show", "--scheduler-file", file]
    with process("distributed.cli.dask_scheduler", *flags) as child:
        yield json.loads(wait_for(file, child, _is_json))["address"], file


def dask_worker(scheduler_file: Path, folder: Path, wrapper: Sequence[str] = ()):
    """A worker process with one thread, ended by `process`."""
    flags = ["--host", "127.0.0.1", "--nthreads", 1, "--no-nanny", "--no-dashboard", "--local-directory", folder]
    return process("distributed.cli.dask_worker", "--scheduler-file", scheduler_file, *flags, wrapper=wrapper)


def test_the_order_of_the_inputs_does_not_matter(logs, jobs, expected, tmp_path):
    assert outcomes([logs[2], logs[0], logs[1]], jobs, tmp_path) == expected


def test_portable_runner_with_a_job_server(logs, jobs, expected, tmp_path):
    port = tmp_path / "port"
    server = "apache_beam.runners.portability.local_job_service_main"
    with process(server, "--port_file", port, "--staging_dir", tmp_path / "staging") as child:
        endpoint = f"127.0.0.1:{wait_for(port, child, str.isdecimal)}"
        flags = ("--job-endpoint", endpoint, "--environment-type=LOOPBACK")
        found = outcomes(logs, jobs, tmp_path, runner="PortableRunner", beam_flags=flags)
    assert found == expected


@pytest.mark.slow
def test_two_worker_processes(logs, jobs, expected, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert outcomes(logs, jobs, tmp_path, runner="multi_processing", workers=2) == expected


def test_dask_with_two_worker_processes(logs, jobs, expected, tmp_path):
    pytest.importorskip("distributed")
    with dask_scheduler(tmp_path) as (address, file), contextlib.ExitStack() as workers:
        assert address.startswith("tcp://127.0.0.1:")
        for number in range(2):
            workers.enter_context(dask_worker(file, tmp_path / f"worker{number}"))
        _wait_for_workers(address, 2)
        found = outcomes(logs, jobs, tmp_path, runner="DaskRunner", beam_flags=("--dask-scheduler", address))
    assert found == expected


@pytest.mark.slow
@pytest.mark.skipif(
    subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0
    if shutil.which("unshare")
    else True,
    reason="a worker with another view of the disk needs unshare -m",
)
def test_workers_that_do_not_see_the_folder_are_one_line(logs, tmp_path):
    pytest.importorskip("distributed")
    output = tmp_path / "out"
    output.mkdir()
    elsewhere = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs none "{output}" && exec "$@"', "sh"]
    with dask_scheduler(tmp_path) as (address, file), dask_worker(file, tmp_path / "worker", elsewhere):
        _wait_for_workers(address, 1)
        with pytest.raises(DataError, match="workers of DaskRunner do not see the folder .*out: --output must be"):
            run(logs, output, runner="DaskRunner", beam_flags=("--dask-scheduler", address))
    assert not list(output.iterdir())


def _wait_for_workers(address: str, count: int) -> None:
    from distributed import Client

    with Client(address, timeout=START_SECONDS) as client:
        client.wait_for_workers(count, timeout=START_SECONDS)


def test_a_dask_scheduler_without_workers_is_one_line(logs, tmp_path):
    pytest.importorskip("distributed")
    with dask_scheduler(tmp_path) as (address, _), pytest.raises(DataError, match="has no workers: start some with"):
        run(logs, tmp_path / "out", runner="DaskRunner", beam_flags=(f"--dask-scheduler={address}",))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("DaskRunner", ("--dask-scheduler", f"tcp://{DEAD}"), "no Dask scheduler answers at tcp://127.0.0.1:1"),
        ("PortableRunner", ("--job-endpoint", DEAD, "--job_server_timeout=2"), "the Beam pipeline failed"),
    ],
)
def test_nobody_at_the_address_is_one_line(logs, tmp_path, monkeypatch, name, flags, message):
    if name == "DaskRunner":
        pytest.importorskip("distributed")
        monkeypatch.setattr("beam_jobs.runners._DASK_SECONDS", 1)
    with pytest.raises(DataError, match=message) as caught:
        run(logs, tmp_path / "out", runner=name, beam_flags=flags)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("FnApiRunner", ("--flink_master=h:1",), "unrecognized arguments: --flink_master"),
        ("FlinkRunner", ("--flink_mastr=h:1",), "unrecognized arguments: --flink_mastr=h:1"),
        ("FlinkRunner", ("--parallelism=many",), "invalid int value: 'many'"),
        ("FlinkRunner", ("--spark_version=3",), "unrecognized arguments"),
        ("DaskRunner", (), "needs --dask-scheduler"),
        ("PortableRunner", ("--environment_type=LOOPBACK",), "needs --job-endpoint"),
        ("NoRunner", (), "not supported: choose one of FnApiRunner"),
    ],
)
def test_flags_of_nobody_are_refused(name, flags, message):
    with pytest.raises(ConfigError, match=message):
        PrepareOptions(input=("a.csv",), output="out", runner=name, beam_flags=flags)


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("FlinkRunner", ("--flink_master=h:8081", "--parallelism=4", "--environment_type=DOCKER")),
        ("SparkRunner", ("--spark_master_url=spark://h:7077", "--environment-config=image:1")),
        ("DataflowRunner", ("--project=my-project", "--region=r", "--temp_location=gs://b/t", "--setup_file=s.py")),
    ],
)
def test_flags_of_clusters_pass_beams_own_parser(name, flags):
    assert RunnerChoice(name, flags=flags).flags[0] == flags[0]


@pytest.mark.parametrize(("name", "workers"), [("FnApiRunner", 2), ("multi_processing", 0)])
def test_workers_are_checked(name, workers):
    with pytest.raises(ConfigError, match="workers"):
        RunnerChoice(name, workers)


def test_cluster_runners_say_what_they_lack(logs, tmp_path):
    flags = ("--project=my-project", "--region=europe-west1")
    with pytest.raises((ConfigError, DataError), match="temp_location|not installed|gcp"):
        run(logs, tmp_path / "out", runner="DataflowRunner", beam_flags=flags)
    assert not (tmp_path / "out").exists()


def test_the_documented_commands_pass_beams_parser():
    text = (ROOT / "docs" / "beam-runners.md").read_text().replace("\\\n", " ")
    commands = [shlex.split(line)[2:] for line in text.splitlines() if line.startswith("tfrec prepare ")]
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_arguments(parser)
    runners = [PrepareOptions.from_args(parse_with_beam_flags(parser, command)).runner for command in commands]
    assert sorted(runners) == ["DaskRunner", "DataflowRunner", "FlinkRunner", "PortableRunner", "SparkRunner"]
