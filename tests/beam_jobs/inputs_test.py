"""Formats, types and orders of the input that must not matter; and inputs that cannot be read."""

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from beam_jobs import csv_reader, log_readers
from tests.beam_jobs.conftest import records, run, shard_bytes, tree
from tfrec_zoo.errors import DataError


@pytest.fixture(scope="module")
def table() -> pa.Table:
    rng = np.random.default_rng(0)
    rows = 5000
    return pa.table(
        {
            "extra": pa.array(["x,y"] * rows),
            "user_id": rng.integers(0, 300, rows),
            "item_id": np.minimum(rng.zipf(1.4, rows), 500),
            "timestamp": 1_600_000_000 + rng.integers(0, 400, rows),
            "rating": rng.integers(1, 11, rows) / 2,
        }
    )


def test_csv_gzip_and_parquet_give_equal_datasets(table, tmp_path, monkeypatch):
    pa.csv.write_csv(table, tmp_path / "log.csv")
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress((tmp_path / "log.csv").read_bytes()))
    pq.write_table(table, tmp_path / "log.parquet", row_group_size=700)
    expected = shard_bytes(run(tmp_path / "log.csv", tmp_path / "csv"))
    assert len(expected) == 8 * 3 + 2
    # Small chunks must not show either.
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 5000)
    for reader in (csv_reader, log_readers):
        monkeypatch.setattr(reader, "CHUNK_ROWS", 600)
    for name in ("log.csv", "log.csv.gz", "log.parquet"):
        assert shard_bytes(run(tmp_path / name, tmp_path / f"{name}.out")) == expected


def test_order_of_inputs_and_repetition_do_not_matter(table, tmp_path):
    for part in range(4):
        pa.csv.write_csv(table.slice(part * 1250, 1250), tmp_path / f"part-{part}.csv")
    paths = sorted(tmp_path.glob("*.csv"))
    run(paths, tmp_path / "a")
    run([*reversed(paths), tmp_path / "part-*.csv"][1:], tmp_path / "b", partitions=8)
    shards = {name: content for name, content in tree(tmp_path / "a").items() if name != "dataset.json"}
    assert shards == {name: content for name, content in tree(tmp_path / "b").items() if name != "dataset.json"}
    run(paths[::-1], tmp_path / "c")
    assert tree(tmp_path / "a") == tree(tmp_path / "c")


def test_partitions_change_shards_but_not_content(table, tmp_path):
    pa.csv.write_csv(table, tmp_path / "log.csv")
    one, many = (run(tmp_path / "log.csv", tmp_path / str(n), partitions=n) for n in (1, 13))
    assert len(many.paths("sequences", "test")) == 13
    assert (one.split, one.item_counts) == (many.split, many.item_counts)
    for feature in ("item", "user"):
        assert one.vocabulary(feature) == many.vocabulary(feature)
    for split in ("train", "valid", "test"):
        assert records(one, split) == records(many, split)


def test_gzip_shards_hold_the_same_records(table, tmp_path):
    pq.write_table(table, tmp_path / "log.parquet")
    plain, zipped = (
        run(tmp_path / "log.parquet", tmp_path / kind, compression=kind, partitions=2) for kind in ("none", "gzip")
    )
    assert all(path.endswith(".tfrecord.gz") for path in zipped.paths("sequences", "train"))
    assert records(plain, "valid") == records(zipped, "valid", "GZIP")
    again = run(tmp_path / "log.parquet", tmp_path / "again", compression="gzip", partitions=2)
    assert shard_bytes(again) == shard_bytes(zipped)


def test_ids_and_times_of_any_type(tmp_path):
    log = {"user_id": [7, 7, 7, 8], "item_id": [1, 2, 3, 1], "timestamp": [10, 20, 30, -5]}
    columns = {
        "integers": log,
        "text": {name: [str(value) for value in values] for name, values in log.items()},
        "floats": {name: [float(value) for value in values] for name, values in log.items()},
        "dictionary": {**log, "item_id": pa.array(["1", "2", "3", "1"]).dictionary_encode()},
        "large": {**log, "user_id": pa.array(["7", "7", "7", "8"], pa.large_string())},
        "times": {**log, "timestamp": pa.array([10_000, 20_500, 30_999, -4_001], pa.timestamp("ms"))},
        "iso": {
            **log,
            "timestamp": [
                "1970-01-01T00:00:10Z",
                "1970-01-01 00:00:20.7",
                "1970-01-01T01:00:30+01:00",
                "1969-12-31T23:59:55",
            ],
        },
    }
    results = []
    for name, content in columns.items():
        pq.write_table(pa.table(content), tmp_path / f"{name}.parquet")
        results.append(shard_bytes(run(tmp_path / f"{name}.parquet", tmp_path / name, partitions=2, min_time="none")))
    assert all(result == results[0] for result in results)
    assert b"7\n8\n" in tree(tmp_path / "floats").values()


def test_columns_and_delimiter_by_flag(write, tmp_path):
    path = write("1;2021-01-01;A;u\n2;2021-01-02;B;u\n", header="stars;when;what;who")
    options = {"user_col": "who", "item_col": "what", "time_col": "when", "rating_col": "stars", "delimiter": ";"}
    spec = run(path, tmp_path / "out", **options)
    assert records(spec, "train")["u"] == {
        "items": [4, 5],
        "times": [1609459200, 1609545600],
        "ratings": [1.0, 2.0],
        "train_only": [1],
    }


def test_unusual_ids_survive(write, tmp_path):
    ids = ["NA", "007", "a\tb", "x,y", 'q"q', "😀", "1.0", " s "]
    quoted = ['"' + item.replace('"', '""') + '"' for item in ids]
    spec = run(write("".join(f"{item},{item},1\r\n" for item in quoted)), tmp_path / "out")
    assert sorted(spec.vocabulary("item")) == sorted(ids) == sorted(spec.vocabulary("user"))


def bad_inputs(path):
    good = "user_id,item_id,timestamp\nu,a,1\n"
    (path / "good.csv").write_text(good)
    (path / "zero.csv").write_text("")
    (path / "header.csv").write_text("user_id,item_id,timestamp\n")
    (path / "semicolon.csv").write_text(good.replace(",", ";"))
    (path / "twice.csv").write_text("user_id,item_id,item_id,timestamp\nu,a,b,1\n")
    (path / "log.xlsx").write_text(good)
    (path / "short.csv.gz").write_bytes(gzip.compress(good.encode() * 9999)[:-40])
    (path / "not.csv.gz").write_text(good)
    damaged = bytearray(gzip.compress("".join(f"u{n},a{n * 7 % 997},{n}\n" for n in range(9999)).encode()))
    damaged[9000:9100] = bytes(100)
    (path / "damaged.csv.gz").write_bytes(gzip.compress(good.encode()) + damaged)
    (path / "not.parquet").write_text(good * 9)
    (path / "rated.csv").write_text("user_id,item_id,timestamp,rating\nu,a,1,2\n")
    pq.write_table(pa.table({"user_id": [[1]], "item_id": [1], "timestamp": [1]}), path / "nested.parquet")
    pq.write_table(
        pa.table({"user_id": ["u"] * 9999, "item_id": ["i"] * 9999, "timestamp": range(9999)}), path / "cut.parquet"
    )
    content = bytearray((path / "cut.parquet").read_bytes())
    content[200:4000] = bytes(3800)
    (path / "cut.parquet").write_bytes(content)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nothing-*.csv", {}, "matches no file"),
        ("", {}, "is a directory"),
        ("zero.csv", {}, "is empty"),
        ("header.csv", {}, "no usable row"),
        ("semicolon.csv", {}, "is --delimiter right"),
        ("twice.csv", {}, "2 columns named 'item_id'"),
        ("log.xlsx", {}, "unsupported file type"),
        ("short.csv.gz", {}, "cannot be read"),
        ("not.csv.gz", {}, "cannot be read"),
        ("damaged.csv.gz", {}, "cannot be read"),
        ("not.parquet", {}, "cannot be read"),
        ("cut.parquet", {}, "cannot be read"),
        ("nested.parquet", {}, "plain values"),
        ("good.csv", {"item_col": "sku"}, "no column 'sku'; it has 'user_id', 'item_id', 'timestamp'.*--item-col"),
        ("good.csv", {"rating_col": "stars"}, "no column 'stars'"),
        ("*d.csv", {}, "good.csv has no column 'rating'"),
        ("good.csv", {"min_item_count": 2}, "vocabulary is empty"),
    ],
)
def test_bad_inputs_are_one_clear_error(tmp_path, name, options, message):
    bad_inputs(tmp_path)
    with pytest.raises(DataError, match=message) as raised:
        run(f"{tmp_path}/{name}", tmp_path / "out", **options)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()
