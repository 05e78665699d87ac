"""A log that does not fit is worked through in more partitions, or refused; nobody is killed."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from beam_jobs import PrepareOptions, memory
from beam_jobs.runner_options import RunnerChoice
from tests.beam_jobs.conftest import run, shard_bytes
from tfrec_zoo.benchmarks.interaction_log import write_log
from tfrec_zoo.benchmarks.measured_process import measured
from tfrec_zoo.benchmarks.preparation_cost import JOB
from tfrec_zoo.errors import ConfigError, DataError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("text", "size"), [("512M", 512 << 20), ("4G", 4 << 30), ("2GiB", 2 << 30), ("100", 100)])
def test_sizes(text, size):
    assert memory.parse_size(text) == size


@pytest.mark.parametrize("text", ["much", "-1G", "1.5G", ""])
def test_no_sizes(text):
    with pytest.raises(ConfigError, match="is not a size: write 512M or 4G"):
        PrepareOptions(input=("a.csv",), output="out", memory_limit=text)


def test_less_memory_means_more_partitions():
    rows = 1_000_000_000
    some = memory.partitions_for(rows, 4 << 30)
    more = memory.partitions_for(rows, 1 << 30)
    assert 40 < some < more
    assert rows / more * memory.ROW_BYTES * memory.TIMES_ITS_SIZE <= (1 << 30) - memory.BASE_BYTES
    assert memory.partitions_for(rows, None) == 1
    with pytest.raises(DataError, match="needs at least 384 MiB: free some memory, or set --memory-limit"):
        memory.partitions_for(10, 100 << 20)


def test_an_equal_share_for_local_workers(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 10 << 30)
    assert memory.limit_of(RunnerChoice(), None) == 8 << 30
    assert memory.limit_of(RunnerChoice("multi_processing", 4), None) == 2 << 30
    assert memory.limit_of(RunnerChoice("multi_processing", 4), "1G") == 1 << 30
    remote = RunnerChoice("DaskRunner", flags=("--dask-scheduler=tcp://h:1",))
    assert memory.limit_of(remote, None) is None


def test_a_limit_of_the_process_counts():
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (700 << 20, 700 << 20));"
        "from beam_jobs import memory; print(memory.available())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert 0 < int(done.stdout) <= 700 << 20


def test_a_partition_that_does_not_fit_is_refused_with_the_flag_that_helps(write, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "TIMES_ITS_SIZE", 500)
    log = write("".join(f"u{user},i{user % 5},{user}\n" for user in range(20_000)))
    with pytest.raises(
        DataError, match=r"needs about .* MiB and a worker has 384 MiB: give --partitions \d+ \(it was 1\)"
    ) as caught:
        run(log, tmp_path / "out", memory_limit="384M", partitions=1)
    assert not (tmp_path / "out").exists()
    enough = int(str(caught.value).split("--partitions ")[1].split()[0])
    assert enough < 20
    run(log, tmp_path / "out", memory_limit="384M", partitions=enough)


def test_the_limit_does_not_change_the_bytes(write, tmp_path):
    log = write("".join(f"u{event % 40},i{event % 7},{event}\n" for event in range(400)))
    plain = run(log, tmp_path / "plain")
    limited = run(log, tmp_path / "limited", memory_limit="1G")
    assert shard_bytes(plain) == shard_bytes(limited)
    assert "memory_limit" not in limited.options


@pytest.mark.slow
def test_a_job_keeps_its_limit(tmp_path):
    """One large partition is refused, and with as many as the job chooses by itself it stays within the limit."""
    (tmp_path / "log").mkdir()
    files = write_log(tmp_path / "log", 2_000_000, "parquet")
    base = ["-m", "beam_jobs.prepare", "--input", *files, "--output", str(tmp_path / "out"), "--quiet"]
    small = [sys.executable, *base, "--partitions", "1", "--memory-limit", "600M"]
    refused = subprocess.run(small, capture_output=True, text=True, check=False, cwd=ROOT)
    assert refused.returncode == 1
    assert "give --partitions" in refused.stderr
    flags = ["--input", *files, "--output", str(tmp_path / "out"), "--memory-limit", "600M", "--quiet"]
    assert measured([sys.executable, "-c", JOB, *flags])["peak_rss_mib"] < 600


@pytest.mark.slow
def test_running_out_of_memory_is_one_line(tmp_path):
    """The process may not take what it needs, and believes that it may: an error, no kill."""
    (tmp_path / "log").mkdir()
    files = write_log(tmp_path / "log", 4_000_000, "parquet")
    command = [
        sys.executable,
        "-m",
        "beam_jobs.prepare",
        "--input",
        *files,
        "--output",
        str(tmp_path / "out"),
        "--quiet",
    ]

    def limit():
        resource.setrlimit(resource.RLIMIT_DATA, (700 << 20, 700 << 20))

    flags = ["--partitions", "1", "--memory-limit", "100G"]
    done = subprocess.run(
        [*command, *flags], capture_output=True, text=True, check=False, cwd=ROOT, preexec_fn=limit, timeout=1800
    )
    assert done.returncode == 1, done.stderr[-500:]
    assert "memory" in done.stderr.lower()
    assert not (tmp_path / "out" / "dataset.json").exists()
