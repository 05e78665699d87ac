"""The comparison with polars: the same work, measured in processes of their own."""

import sys
from pathlib import Path

import pytest

from tfrec_zoo.benchmarks import preparation_cost
from tfrec_zoo.benchmarks.interaction_log import write_log
from tfrec_zoo.benchmarks.measured_process import measured
from tfrec_zoo.benchmarks.registry import bench
from tfrec_zoo.errors import ConfigError, DataError, TfrecError

pytest.importorskip("polars")


def test_both_write_the_same_amount_and_are_measured():
    # Few rows a user: some have no valid and no test record.
    rows = bench("prepare", rows=[20_000], formats=["parquet"])["rows"]
    assert [row["way"] for row in rows] == ["tfrec prepare", "polars, no Beam"]
    for row in rows:
        assert (row["format"], row["rows"]) == ("parquet", 20_000)
        assert row["cpu_s"] > 0.1
        assert 50 < row["peak_rss_mib"] < 2000
        assert row["rows_per_s"] == pytest.approx(20_000 / row["seconds"], rel=0.01)
    assert rows[1]["cpu_ratio"] == rows[1]["memory_ratio"] == 1
    assert rows[0]["cpu_ratio"] == pytest.approx(rows[0]["cpu_s"] / rows[1]["cpu_s"], abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("file_format", preparation_cost.FORMATS)
def test_the_job_keeps_up_with_polars(file_format):
    rounds = [preparation_cost.run(rows=[2_000_000], formats=[file_format]) for _ in range(3)]
    for cost in ("cpu_s", "peak_rss_mib"):
        # The best of each: what else runs on the machine makes both dearer, one more than the other.
        ours, theirs = (min(row[cost] for row in rows) for rows in zip(*rounds, strict=True))
        assert ours <= 1.6 * theirs, (cost, rounds)


def test_other_work_is_no_figure(tmp_path, monkeypatch):
    (path,) = write_log(tmp_path, 4000, "csv")[:1]
    text = Path(path).read_text()
    Path(path).write_text(text + "7,8,not a time,1\n")
    with pytest.raises(TfrecError, match="polars_prepare.* failed|not the same work"):
        preparation_cost.run(path)


def test_a_log_of_users_with_few_rows(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id,timestamp,rating\n1,5,3,1\n1,6,2,2\n2,5,1,3\n2,6,2,4\n2,7,3,5\n2,6,4,1\n")
    assert preparation_cost.run(path)[0]["rows"] == 6


def test_no_such_log():
    with pytest.raises(DataError, match="matches no file"):
        preparation_cost.run("nowhere/*.csv")


def test_options_of_another_benchmark_are_refused():
    with pytest.raises(ConfigError, match="'encode' takes no --rows"):
        bench("encode", rows=[5])


def test_the_cost_of_a_process_is_its_own():
    code = "import json, time; block = b'x' * (100 << 20); time.sleep(0.2); print(json.dumps({'n': len(block)}))"
    cost = measured([sys.executable, "-c", code])
    assert cost["said"] == {"n": 100 << 20}
    assert 100 <= cost["peak_rss_mib"] < 200
    assert cost["seconds"] >= 0.2
    assert cost["cpu_s"] < cost["seconds"] + 0.5


def test_a_failing_or_endless_process_is_one_line():
    with pytest.raises(TfrecError, match="failed: .*ZeroDivisionError"):
        measured([sys.executable, "-c", "1/0"])
    with pytest.raises(TfrecError, match=r"did not end within 1 s"):
        measured([sys.executable, "-c", "import time; time.sleep(3)"], timeout=1)


def test_the_same_seed_writes_the_same_log(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        write_log(tmp_path / name, 1001, "parquet")
    files = sorted((tmp_path / "a").iterdir())
    assert len(files) == 4
    assert all(file.read_bytes() == (tmp_path / "b" / file.name).read_bytes() for file in files)
