"""What `tfrec inspect` says of whole and of damaged datasets."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from beam_jobs.dataset_check import verify
from beam_jobs.encode import Feature, encode_examples, pack
from beam_jobs.inspect import inspect, main
from beam_jobs.tfrecord import frame
from tests.beam_jobs.conftest import run
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ConfigError, DataError

ROWS = "".join(
    f"u{user},i{(user * event) % 7},{1_700_000_000 + event},{event % 5}\n" for user in range(20) for event in range(9)
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    log = folder / "log.csv"
    log.write_text("user_id,item_id,timestamp,rating\n" + ROWS + "lone,i1,1700000000,3\n,i1,5,3\n")
    items = folder / "items.csv"
    items.write_text("item_id,kind,price\n" + "".join(f"i{item},k{item % 2},{item}.5\n" for item in range(7)))
    run(log, folder / "out", views=("sequences", "items"), items=str(items), numeric=("price",), compression="gzip")
    return folder / "out"


@pytest.fixture
def data(whole, tmp_path) -> Path:
    shutil.copytree(whole, tmp_path / "out")
    return tmp_path / "out"


def test_the_card_counts(whole):
    card = inspect(whole)
    assert (card["users"], card["interactions"], card["catalog"]) == (21, 181, 7)
    assert card["rejects"] == {"empty_id": 1}
    assert card["parts"]["sequences"]["train"]["records"] == 21
    assert card["parts"]["sequences"]["test"]["records"] == card["parts"]["sequences"]["valid"]["records"] == 20
    assert list(card["parts"]["sequences"]) == ["train", "valid", "test"]
    train = card["lengths"]["sequences"]["train"]
    assert train["histogram"] == {"1": 1, "4-7": 20}
    assert (train["quantiles"]["0%"], train["quantiles"]["100%"], train["mean"]) == (
        1,
        7,
        pytest.approx(141 / 21, abs=0.01),
    )
    assert card["popularity"]["most"] == max(DatasetSpec.read(whole).item_counts)
    json.dumps(card)


def test_a_sample_has_raw_ids_and_numbers_in_their_unit(whole):
    rows = inspect(whole, sample=30, view="sequences", split="test")["sample"]["rows"]
    (row,) = [row for row in rows if row["user"] == "u3"]
    assert row["target"] == "i3"
    assert row["seen"] == row["items"] == [f"i{3 * event % 7}" for event in range(8)]
    assert row["ratings"][-1] == 2
    assert row["times"][-1] == 1_700_000_007
    items = {row["raw_id"]: row for row in inspect(whole, sample=10, view="items")["sample"]["rows"]}
    assert len(items) == 7
    assert items["i3"]["id"] == "i3"
    assert items["i3"]["kind"] == "k1"
    assert items["i3"]["price"] == pytest.approx(3.5, abs=1e-4)


def test_a_whole_dataset_verifies(whole):
    found = inspect(whole, verify=True)["verify"]
    assert (found["ok"], found["faults"], found["notes"]) == (True, 0, [])
    assert found["records"] == 21 + 2 * 20 + 7


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["temporal", "user", "random"])
def test_other_splits_verify(write, tmp_path, protocol, compression):
    log = write(ROWS, header="user_id,item_id,timestamp,rating")
    run(log, tmp_path / "out", split=protocol, compression=compression)
    found = verify(DatasetSpec.read(tmp_path / "out"))
    assert found["first_faults"] == []


def rewrite(data: Path, change) -> None:
    """Changes dataset.json."""
    content = json.loads((data / "dataset.json").read_text())
    change(content)
    (data / "dataset.json").write_text(json.dumps(content))


def replace_shard(data: Path, split: str, records: list[bytes]) -> None:
    """Puts other records into the first shard of a split, uncompressed, and dataset.json agrees but for the digest."""
    framed = frame(pa.array(records, pa.large_binary()))[0].to_pybytes()

    def change(content):
        file = next(file for file in content["files"] if (file["view"], file["split"]) == ("sequences", split))
        (data / file["path"]).unlink()
        file |= {"path": file["path"].removesuffix(".gz"), "records": len(records), "bytes": len(framed), "digest": ""}
        (data / file["path"]).write_bytes(framed)

    rewrite(data, change)


def record(user: bytes, items: list[int], **others: list[int]) -> bytes:
    import numpy as np

    zero = np.zeros(1, np.int64)
    values = {"items": items, "times": [5] * len(items), **others}
    features = [Feature("user", pack(pa.array([user])), zero, zero + 1)]
    features += [
        Feature(name, pack(np.array(value, np.int64)), zero, zero + len(value)) for name, value in values.items()
    ]
    return encode_examples(features)[0].as_py()


def faults(data: Path) -> str:
    found = verify(DatasetSpec.read(data))
    assert found["ok"] == (not found["faults"])
    return "\n".join(found["first_faults"])


def test_a_flipped_bit_is_found(write, tmp_path):
    spec = run(write(ROWS, header="user_id,item_id,timestamp,rating"), tmp_path / "out")
    path = Path(spec.paths("sequences", "train")[0])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "the checksum of the" in faults(tmp_path / "out")
    assert path.name in faults(tmp_path / "out")
    with pytest.raises(DataError, match="checksum of the"):
        inspect(tmp_path / "out")


def test_an_exchanged_shard_is_found_by_its_digest(data):
    def change(content):
        one, other = [file for file in content["files"] if file["path"].startswith("sequences/train")][:2]
        one["digest"], other["digest"] = other["digest"], one["digest"]

    rewrite(data, change)
    assert faults(data).count("the digest of its records differs") == 2


def test_counts_vocabularies_and_ids_are_checked(data):
    rewrite(data, lambda content: content["files"][0].update(records=999))
    assert "records, dataset.json says 999" in faults(data)
    words = data / "vocab" / "item.txt"
    words.write_text(words.read_text().replace("i1\n", "i2\n"))
    found = faults(data)
    assert "vocab/item.txt is not the file that was published" in found
    assert "vocab/item.txt holds 'i2' more than once" in found
    replace_shard(data, "train", [record(b"x", [4, 11]), record(b"y", [4, 0]), b"\xff\xff", record(b"z", [4], odd=[1])])
    found = faults(data)
    assert "feature 'items' holds the id 11; ids are 1 or 4-10" in found
    assert "feature 'items' holds the id 0" in found
    assert "record 2: not a tf.train.Example" in found
    assert "feature 'odd' is not in dataset.json" in found


def test_an_event_in_two_splits_is_found(data):
    asked = record(b"x", [4, 5], target=[6], seen=[4, 5])
    replace_shard(data, "valid", [asked])
    replace_shard(data, "test", [asked, asked])
    found = faults(data)
    assert "1 targets are in valid and in test" in found
    assert "sequences/test asks 1 times for an event" in found
    assert "train holds other events of 1 users" in found


def test_a_user_in_two_splits_is_found(write, tmp_path):
    spec = run(write(ROWS, header="user_id,item_id,timestamp,rating"), tmp_path / "out", split="user")
    user = next(line for line in inspect(spec.directory, sample=1, split="test")["sample"]["rows"])["user"]
    replace_shard(tmp_path / "out", "train", [record(user.encode(), [4])])
    assert "1 users are in test and in train" in faults(tmp_path / "out")


def test_the_picture_is_written(data, tmp_path):
    for suffix in (".png", ".svg"):
        inspect(data, plot=tmp_path / f"card{suffix}")
    assert (tmp_path / "card.png").read_bytes().startswith(b"\x89PNG")
    assert "</svg>" in (tmp_path / "card.svg").read_text()
    with pytest.raises(DataError, match="--plot .* cannot be written"):
        inspect(data, plot=tmp_path / "no" / "card.png")


def test_the_command(data, tmp_path, capsys):
    assert main([str(data), "--sample", "1", "--verify", "--json", str(tmp_path / "r.json")]) == 0
    out = capsys.readouterr().out
    assert "181 interactions of 21 users" in out
    assert "verified" in out
    assert "2023-11-14 22:13" in out
    assert json.loads((tmp_path / "r.json").read_text())["verify"]["ok"] is True
    rewrite(data, lambda content: content["files"][0].update(records=999))
    assert main([str(data), "--verify"]) == 1
    assert "damaged" in capsys.readouterr().out
    assert main([str(tmp_path)]) == 1
    assert "is not a dataset" in capsys.readouterr().err
    assert main([str(data), "--sample", "1", "--view", "clicks"]) == 2


def test_unknown_parts_are_named(data):
    with pytest.raises(ConfigError, match="no split 'valid'; it has all"):
        inspect(data, sample=1, view="items", split="valid")


def test_looking_needs_neither_beam_nor_tensorflow(data):
    code = (
        "import sys; from beam_jobs.inspect import main; main(sys.argv[1:]);"
        "assert not {'tensorflow', 'apache_beam'} & sys.modules.keys()"
    )
    command = [sys.executable, "-c", code, str(data), "--verify", "--sample", "2"]
    assert subprocess.run(command, capture_output=True, text=True, check=False).returncode == 0


def test_a_dataset_without_digests_is_damaged(data):
    rewrite(data, lambda content: [file.pop("digest") for file in content["files"]])
    with pytest.raises(DataError, match="is damaged"):
        DatasetSpec.read(data)
