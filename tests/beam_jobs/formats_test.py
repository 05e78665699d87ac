"""JSONL, files without a header, CSV in ranges, and columns beside the usual ones."""

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from beam_jobs import csv_reader, json_reader, log_readers
from beam_jobs.csv_reader import Dialect
from beam_jobs.json_reader import read_jsonl
from tests.beam_jobs.conftest import decoded, records, run, shard_bytes
from tfrec_zoo.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def table() -> pa.Table:
    rng = np.random.default_rng(0)
    rows = 3000
    return pa.table(
        {
            "user_id": [f"u{n}é" for n in rng.integers(0, 100, rows)],
            "item_id": np.minimum(rng.zipf(1.4, rows), 300),
            "timestamp": 1_600_000_000 + rng.integers(0, 400, rows),
            "rating": rng.integers(1, 11, rows) / 2,
        }
    )


@pytest.fixture(scope="module")
def expected(table, tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("csv")
    pa.csv.write_csv(table, folder / "log.csv")
    return shard_bytes(run(folder / "log.csv", folder / "out", partitions=2))


def lines(table: pa.Table) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in table.to_pylist())


@pytest.mark.parametrize("name", ["log.jsonl", "log.ndjson.gz"])
@pytest.mark.parametrize("odd", [False, True])
def test_jsonl_gives_the_dataset_of_csv(table, expected, tmp_path, monkeypatch, name, odd):
    monkeypatch.setattr(json_reader, "BLOCK_BYTES", 30_000)
    monkeypatch.setattr(json_reader, "CHUNK_ROWS", 1000)
    rows = table.to_pylist()
    if odd:
        # Some blocks are not uniform: other types, another order, more keys, an empty line.
        for place in (5, 6, 1900):
            rows[place]["item_id"] = str(rows[place]["item_id"])
            rows[place] = {"more": {"deep": [1]}, **dict(reversed(rows[place].items()))}
        rows[7]["timestamp"] = float(rows[7]["timestamp"])
    content = b"\n" + b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert shard_bytes(run(tmp_path / name, tmp_path / "out", partitions=2)) == expected


JSON_FAULTS = {
    b'{"user_id": "u", "item_id": "i", "timestamp": 5': "bad_json",
    b"[1, 2]": "bad_json",
    b"u,i,5": "bad_json",
    b'{"user_id": "u\xff", "item_id": "i", "timestamp": 5}': "not_utf8",
    b'{"user_id": "\\ud800", "item_id": "i", "timestamp": 5}': "not_utf8",
    b'{"item_id": "i", "timestamp": 5}': "empty_id",
    b'{"user_id": null, "item_id": "i", "timestamp": 5}': "empty_id",
    b'{"user_id": ["u"], "item_id": "i", "timestamp": 5}': "empty_id",
    b'{"user_id": "u\\n", "item_id": "i", "timestamp": 5}': "forbidden_character",
    b'{"user_id": "u", "item_id": "i", "timestamp": true}': "bad_time",
    b'{"user_id": "u", "item_id": "i", "timestamp": {"s": 5}}': "bad_time",
    b'{"user_id": "u", "item_id": "i", "timestamp": 1e300}': "bad_time",
}


def test_faulty_lines_of_jsonl_are_rejected_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr(json_reader, "BLOCK_BYTES", 500)
    good = [json.dumps({"user_id": n % 3, "item_id": n % 7, "timestamp": n}).encode() for n in range(200)]
    rows, at = list(good), {}
    for number, fault in enumerate(JSON_FAULTS):
        rows.insert(number * 15, fault)
    for place, row in enumerate(rows, 1):
        if row in JSON_FAULTS:
            at[place] = JSON_FAULTS[row]
    (tmp_path / "log.jsonl").write_bytes(b"\n".join(rows))
    (tmp_path / "good.jsonl").write_bytes(b"\n".join(good))
    spec = run(tmp_path / "log.jsonl", tmp_path / "out", max_reject_share=0.1)
    (path,) = (tmp_path / "out" / "rejects").iterdir()
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert {reject["row"]: reject["reason"] for reject in found} == at
    assert shard_bytes(spec) == shard_bytes(run(tmp_path / "good.jsonl", tmp_path / "good"))


def test_numbers_of_json_keep_their_spelling_in_either_way_of_reading(tmp_path):
    values = [1, 2.0, 2.5, -0.125, 10**18, 1e22]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps({"id": value}) + "\n" for value in values))
    (chunk,) = read_jsonl(str(tmp_path / "log.jsonl"), {"user": "id"})
    assert chunk.columns["user"].to_pylist() == [b"1", b"2", b"2.5", b"-0.125", b"1000000000000000000", b"1e+22"]


@pytest.mark.parametrize("text", ["", "hello\nworld\n", "[]\n"])
def test_jsonl_without_objects_is_one_clear_error(tmp_path, text):
    (tmp_path / "log.jsonl").write_text(text)
    with pytest.raises(DataError, match="no JSON object"):
        run(tmp_path / "log.jsonl", tmp_path / "out")


def test_files_without_a_header_and_tabs(table, expected, tmp_path):
    options = pa.csv.WriteOptions(include_header=False, delimiter="\t")
    for name, bom in (("plain.tsv", b""), ("bom.tsv", b"\xef\xbb\xbf")):
        pa.csv.write_csv(table, tmp_path / name, options)
        (tmp_path / name).write_bytes(bom + (tmp_path / name).read_bytes())
        spec = run(tmp_path / name, tmp_path / f"{name}.out", columns=table.column_names, partitions=2)
        assert shard_bytes(spec) == expected
    with pytest.raises(DataError, match="wrong_column_count"):
        run(tmp_path / "plain.tsv", tmp_path / "x", columns=("user_id", "item_id", "timestamp"))
    with pytest.raises(DataError, match="no column 'timestamp'"):
        run(tmp_path / "plain.tsv", tmp_path / "x", columns=("user_id", "item_id", "when", "rating"))
    with pytest.raises(ConfigError, match="twice"):
        run(tmp_path / "plain.tsv", tmp_path / "x", columns=("user_id", "user_id"))


@pytest.mark.parametrize("span", [700, 10_000])
@pytest.mark.parametrize("header", [True, False])
def test_csv_in_ranges_gives_the_same_dataset_and_row_numbers(table, expected, tmp_path, monkeypatch, span, header):
    monkeypatch.setattr(log_readers, "SPAN_BYTES", span)
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 2000)
    part = table.slice(0, 3000 if span > 1000 else 300)
    options = pa.csv.WriteOptions(include_header=header, quoting_style="none")
    pa.csv.write_csv(part, tmp_path / "log.csv", options)
    columns = {} if header else {"columns": tuple(table.column_names)}
    whole = run(tmp_path / "log.csv", tmp_path / "whole", partitions=2, **columns)
    ranged = run(tmp_path / "log.csv", tmp_path / "ranged", partitions=2, quoted_newlines=False, **columns)
    assert shard_bytes(ranged) == shard_bytes(whole)
    if span > 1000:
        assert shard_bytes(ranged) == expected
    text = (tmp_path / "log.csv").read_bytes().splitlines(keepends=True)
    bad = {40: b",,,\n", 41: b"x\n", 150: b"u,i,never,1\n", 299: b",,,\n"}
    for row, line in bad.items():
        text[row - 1 + header] = line
    (tmp_path / "log.csv").write_bytes(b"".join(text))
    for quoted in (True, False):
        run(tmp_path / "log.csv", tmp_path / "bad", quoted_newlines=quoted, max_reject_share=0.1, **columns)
        (path,) = (tmp_path / "bad" / "rejects").iterdir()
        assert [json.loads(line)["row"] for line in path.read_text().splitlines()] == list(bad)
    with pytest.raises(DataError, match="First: empty_id in .*log.csv, row 40. "):
        run(tmp_path / "log.csv", tmp_path / "x", quoted_newlines=False, max_reject_share=0, **columns)


def test_every_line_belongs_to_one_range(tmp_path):
    content = "user_id\n" + "".join(f"{'x' * (n % 9)}{n}\n" for n in range(60)) + "last"
    path = tmp_path / "log.csv"
    path.write_text(content)
    for size in (1, 2, 5, 17, 100, 1000):
        found = []
        for start in range(0, len(content), size):
            for chunk in csv_reader.read_csv(
                str(path), {"user": "user_id"}, Dialect(quoted_newlines=False), (start, start + size)
            ):
                found += chunk.columns["user"].to_pylist()
        assert b"\n".join(found).decode() == content.split("\n", 1)[1]


def test_actions_and_dwell_times_need_their_columns(write, tmp_path):
    path = write("u,a,1,buy,2\nu,b,2,,0.5\nu,c,3,buy,long\n", header="user_id,item_id,timestamp,what,seconds")
    spec = run(path, tmp_path / "out", action_col="what", dwell_col="seconds", max_reject_share=0.5)
    assert spec.rejects == {"bad_dwell": 1}
    assert (spec.interactions, spec.dropped) == (2, {})
    with pytest.raises(DataError, match="no column 'kind'.*--action-col"):
        run(path, tmp_path / "out", action_col="kind")
    with pytest.raises(ConfigError, match="different columns"):
        run(path, tmp_path / "out", action_col="user_id")


def test_a_file_that_disappears_is_one_clear_error(write, tmp_path, monkeypatch):
    path = write("u,a,1\nu,b,2\n")
    read = log_readers.csv_reader.read_csv

    def late(*args):
        path.unlink(missing_ok=True)
        return read(*args)

    monkeypatch.setattr(log_readers.csv_reader, "read_csv", late)
    with pytest.raises(DataError, match=r"log.csv cannot be read: .*No such file"):
        run(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_user_and_one_item(write, tmp_path):
    spec = run(write("u,a,1\nu,a,2\nu,a,3\nu,a,4\n"), tmp_path / "out", views=("sequences", "items"))
    assert records(spec, "test")["u"] == {"items": [4, 4, 4], "times": [1, 2, 3], "seen": [4, 4, 4], "target": [4]}
    assert decoded(spec, "items", "all") == [{"id": [4], "raw_id": [b"a"]}]
