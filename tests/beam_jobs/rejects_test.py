"""Dirty rows: counted by reason, kept with file and row, and never more than the limit."""

import json

import numpy as np
import pyarrow as pa
import pytest

from beam_jobs import csv_reader, log_readers
from beam_jobs.times import parse_times
from tests.beam_jobs.conftest import records, run
from tfrec_zoo.errors import DataError

FAULTS = {
    b",i,5,1": "empty_id",
    b"u,,5,1": "empty_id",
    b'"u\nx",i,5,1': "forbidden_character",
    b'u,"i\rx",5,1': "forbidden_character",
    b"u,i\0x,5,1": "forbidden_character",
    b"u\xff,i,5,1": "not_utf8",
    b"u,i,yesterday,1": "bad_time",
    b"u,i,,1": "bad_time",
    b"u,i,2021-13-01,1": "bad_time",
    b"u,i,0x1F,1": "bad_time",
    b"u,i,9223372036854775808,1": "bad_time",
    b"u,i,nan,1": "bad_time",
    b"u,i,5,NaN": "bad_rating",
    b"u,i,5,inf": "bad_rating",
    b"u,i,5,good": "bad_rating",
    b"u,i,5,": "bad_rating",
    b"u,i,5": "wrong_column_count",
    b"u,i,5,1,1": "wrong_column_count",
    b"u\xff,i,5": "wrong_column_count",
}


@pytest.mark.parametrize("block", [400, 1 << 20])
def test_faults_are_found_and_the_rest_is_exact(tmp_path, monkeypatch, block):
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", block)
    for reader in (csv_reader, log_readers):
        monkeypatch.setattr(reader, "CHUNK_ROWS", 50)
    rng = np.random.default_rng(0)
    rows = [f"u{n % 50},i{n % 7},{n},3".encode() for n in range(3000)]
    clean = tmp_path / "clean.csv"
    header = b"user_id,item_id,timestamp,rating\n"
    clean.write_bytes(header + b"\n".join(rows) + b"\n")
    expected = {}
    places = sorted(rng.choice(3000, len(FAULTS), replace=False).tolist())
    for number, (place, fault) in enumerate(zip(places, FAULTS, strict=True)):
        rows.insert(place + number, fault)
        expected[place + number + 1] = FAULTS[fault]
    dirty = tmp_path / "dirty.csv"
    dirty.write_bytes(header + b"\n".join(rows) + b"\n")
    spec, exact = run(dirty, tmp_path / "dirty"), run(clean, tmp_path / "clean")
    (path,) = (tmp_path / "dirty" / "rejects").iterdir()
    rejects = [json.loads(line) for line in path.read_text().splitlines()]
    assert {reject["row"]: reject["reason"] for reject in rejects} == expected
    assert [reject["row"] for reject in rejects] == sorted(expected)
    assert {reject["file"] for reject in rejects} == {str(dirty)}
    assert spec.rejects == {reason: list(FAULTS.values()).count(reason) for reason in set(FAULTS.values())}
    assert spec.interactions == exact.interactions == 3000
    assert spec.files == exact.files
    texts = {reject.get("text") for reject in rejects}
    assert "u,i,5" in texts
    assert {"user_id": "u\\xff", "item_id": "i", "timestamp": "5", "rating": "1"} in [r.get("values") for r in rejects]


def test_too_many_rejects_fail_the_job(write, tmp_path, capsys):
    path = write("u,a,1\nu,b,2\nu,c,3\nu,,4\n,,\n")
    with pytest.raises(
        DataError, match=r"2 rows rejected \(2 empty_id\) of 5: 40.00% .*First: empty_id in .*log.csv, row 4"
    ):
        run(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    spec = run(path, tmp_path / "out", max_reject_share=0.4)
    assert spec.rejects == {"empty_id": 2}
    assert "2 rows rejected (2 empty_id)" in capsys.readouterr().err
    with pytest.raises(DataError, match="no usable row"):
        run(write(",a,1\n", "bad.csv"), tmp_path / "bad", max_reject_share=1)


def test_lines_that_a_stray_quote_swallows_are_counted(write, tmp_path):
    path = write("u,a,1\n" * 10 + '"u,b,2\n' + "u,c,3\n" * 20 + 'u,d"e,4\n' + '"u,b,2\n' + "u,c,3\n" * 20)
    with pytest.raises(DataError, match="wrong_column_count"):
        run(path, tmp_path / "out", max_reject_share=0.3)


def test_nulls_in_parquet_are_faults(tmp_path):
    table = pa.table(
        {
            "user_id": pa.array([1, None, 1, 1, 1]),
            "item_id": pa.array([1.0, 2.0, float("nan"), 2.5, 4.0]),
            "timestamp": pa.array([1, 2, 3, 4, None]),
            "rating": pa.array([1, 2, 3, 4, 5], pa.int8()),
        }
    )
    pa.parquet.write_table(table, tmp_path / "log.parquet")
    spec = run(tmp_path / "log.parquet", tmp_path / "out", max_reject_share=1)
    assert spec.rejects == {"bad_time": 1, "empty_id": 2}
    assert spec.vocabulary("item") == ["1", "2.5"]
    assert records(spec, "train")["1"]["ratings"] == [1.0, 4.0]


def test_times_of_mixed_spelling():
    texts = [
        "12",
        "+7",
        "-3",
        "1.5e3",
        "-0.5",
        " 4 ",
        "2021-01-01",
        "2021-01-01T00:00:01Z",
        "2021-01-01 02:00+02:00",
        "x",
        "1_0",
    ]
    times, bad = parse_times(pa.array(texts))
    assert times[~bad].tolist() == [12, 7, -3, 1500, -1, 4, 1609459200, 1609459201, 1609459200]
    assert bad.tolist() == [False] * 9 + [True] * 2
