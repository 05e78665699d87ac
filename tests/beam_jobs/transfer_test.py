"""The view `transfer`: two hand-written logs, joined on their common users."""

import numpy as np
import pytest
import tensorflow as tf

from beam_jobs import PrepareOptions
from tests.beam_jobs.conftest import decode, run, shard_bytes
from tfrec_zoo.errors import ConfigError, DataError

SOURCE = "u1,a,1\nu1,b,5\nu1,c,9\nu2,a,3\nu2,b,4\nonly-source,c,1\nu3,c,20\n"
TARGET = "u1,X,4\nu1,Y,6\nu1,X,8\nu1,Z,10\nu2,X,2\nu2,Y,4\nu2,X,7\nonly-target,X,5\nu3,Y,5\n"


@pytest.fixture
def logs(write):
    return write(SOURCE, "source.csv"), write(TARGET, "target.csv")


def transfer(logs, output, **options):
    source, target = logs
    options = {"views": ("sequences", "transfer"), "transfer_split": "leave-one-out", **options}
    return run(source, output, target_input=(str(target),), **options)


def read(spec, split: str) -> list[dict]:
    if not spec.records("transfer", split):
        return []
    dataset = tf.data.TFRecordDataset(spec.paths("transfer", split))
    found = [decode(example) for example in dataset.as_numpy_iterator()]
    assert len(found) == spec.records("transfer", split)
    for row in found:
        row["user"] = row["user"][0].decode()
    return sorted(found, key=lambda row: (row["user"], row["time"]))


def test_records_of_two_tiny_logs(logs, tmp_path):
    spec = transfer(logs, tmp_path / "out")
    # Source, leave-one-out: train is u1 a, u2 a b, only-source c, u3 c. Target: train is u1 X Y, u2 X, only-target X,
    # u3 Y; so X is target item 4 and Y 5, and Z has no id.
    assert spec.vocabulary("item") == ["a", "c", "b"]
    assert spec.vocabulary("target_item") == ["X", "Y"]
    assert list(spec.target.item_counts) == [3, 2]
    assert (spec.target.users, spec.target.items, spec.target.interactions) == (4, 3, 9)
    assert spec.target.common_users == 3
    assert spec.target.split.protocol == "leave-one-out"
    a, c, b = 4, 5, 6
    # u3 has no source event before its target event, and u2 none before its first.
    assert read(spec, "train") == [
        {"user": "u1", "items": [a], "times": [1], "target": [4], "time": [4]},
        {"user": "u1", "items": [a, b], "times": [1, 5], "target": [5], "time": [6]},
    ]
    assert read(spec, "valid") == [
        {"user": "u1", "items": [a, b], "times": [1, 5], "target": [4], "time": [8], "seen": [4, 5]},
        # The source event at the same time is not earlier.
        {"user": "u2", "items": [a], "times": [3], "target": [5], "time": [4], "seen": [4]},
    ]
    assert read(spec, "test") == [
        {"user": "u1", "items": [a, b, c], "times": [1, 5, 9], "target": [1], "time": [10], "seen": [4, 5, 4]},
        {"user": "u2", "items": [a, b], "times": [3, 4], "target": [4], "time": [7], "seen": [4, 5]},
    ]
    assert set(spec.features["transfer"]) == {"user", "items", "times", "target", "time", "seen"}
    assert spec.features["transfer"]["target"].vocabulary == "vocab/target_item.txt"


def test_all_of_the_source_history(logs, tmp_path):
    spec = transfer(logs, tmp_path / "out", transfer_history="all", max_length=2)
    found = {
        (row["user"], row["time"][0]): row["times"] for split in ("train", "valid", "test") for row in read(spec, split)
    }
    assert found == {("u1", time): [5, 9] for time in (4, 6, 8, 10)} | {("u2", time): [3, 4] for time in (2, 4, 7)} | {
        ("u3", 5): [20]
    }


def test_the_target_log_may_have_other_columns(write, tmp_path):
    source = write(SOURCE, "source.csv")
    target = write(TARGET, "target.csv", header="who,what,when")
    columns = {"target_user_col": "who", "target_item_col": "what", "target_time_col": "when"}
    same = transfer((source, write(TARGET, "same.csv")), tmp_path / "same")
    other = transfer((source, target), tmp_path / "other", **columns)
    assert [read(same, split) for split in ("train", "test")] == [read(other, split) for split in ("train", "test")]


def random_logs(write, seed: int = 0):
    rng = np.random.default_rng(seed)
    rows = [f"u{rng.integers(40)},i{rng.integers(30)},{n}\n" for n in range(600)]
    targets = [f"u{rng.integers(20, 60)},t{min(rng.geometric(0.3), 9)},{n}\n" for n in range(600)]
    return write("".join(rows), f"source-{seed}.csv"), write("".join(targets), f"target-{seed}.csv")


def test_records_equal_a_plain_join(write, tmp_path):
    source, target = random_logs(write)
    spec = transfer((source, target), tmp_path / "out", transfer_history="all", partitions=3)
    known = {line.split(",")[0] for line in source.read_text().splitlines()[1:]}
    events = [line.split(",") for line in target.read_text().splitlines()[1:]]
    expected = sorted((user, int(time)) for user, _, time in events if user in known)
    found = sorted((row["user"], row["time"][0]) for split in ("train", "valid", "test") for row in read(spec, split))
    assert found == expected
    assert spec.target.common_users == len({user for user, _ in expected})


def test_records_do_not_depend_on_the_number_of_partitions(write, tmp_path):
    logs = random_logs(write)
    one, four = (transfer(logs, tmp_path / str(n), partitions=n) for n in (1, 4))
    assert shard_bytes(four) == shard_bytes(transfer(logs, tmp_path / "again", partitions=4))
    for split in ("train", "valid", "test"):
        assert read(one, split) == read(four, split)


def test_frequent_train_targets_are_thinned_out(write, tmp_path):
    logs = random_logs(write)
    whole = transfer(logs, tmp_path / "whole", transfer_history="all")
    thin = transfer(logs, tmp_path / "thin", transfer_history="all", target_sample=0.02)
    targets = [[row["target"][0] - 4 for row in read(spec, "train")] for spec in (whole, thin)]
    counts = np.array(whole.target.item_counts)
    before, after = (np.bincount(ranks, minlength=len(counts)) for ranks in targets)
    threshold = 0.02 * counts.sum()
    keep = np.minimum(1, (np.sqrt(counts / threshold) + 1) * threshold / counts)
    assert (after <= before).all()
    assert after[0] < 0.6 * before[0]
    # Five standard deviations of a sum of draws, and one of rounding.
    assert (np.abs(after - before * keep) <= 1 + 5 * np.sqrt(before * keep * (1 - keep))).all()
    assert read(thin, "test") == read(whole, "test")
    assert thin.target.item_counts == whole.target.item_counts


def test_nothing_of_a_held_out_target_reaches_train(write, tmp_path):
    source, target = random_logs(write)
    one = transfer((source, target), tmp_path / "one", target_sample=0.1)
    lines = target.read_text().splitlines()
    last = {line.split(",")[0]: number for number, line in enumerate(lines)}
    changed = [
        line.replace(",t", ",new-") if last[line.split(",")[0]] == n and n else line for n, line in enumerate(lines)
    ]
    target.write_text("\n".join(changed) + "\n")
    other = transfer((source, target), tmp_path / "other", target_sample=0.1)
    assert one.target.split.hash != other.target.split.hash
    assert read(one, "train") == read(other, "train")
    assert one.target.item_counts == other.target.item_counts


@pytest.mark.parametrize("split", ["user", "temporal", "random"])
def test_every_protocol_cuts_the_target_log(write, tmp_path, split):
    source, target = random_logs(write)
    shares = {"valid_share": 0.3, "test_share": 0.2}
    spec = transfer((source, target), tmp_path / "out", transfer_split=split, transfer_history="all", **shares)
    parts = [read(spec, name) for name in ("train", "valid", "test")]
    assert all(parts)
    assert spec.target.split.protocol == split
    keys = [(row["user"], row["time"][0]) for part in parts for row in part]
    assert len(keys) == len(set(keys)) == len(target_rows(source, target))
    if split == "user":
        users = [{row["user"] for row in part} for part in parts]
        assert not users[0] & users[1] | users[0] & users[2] | users[1] & users[2]
    if split == "temporal":
        times = [[row["time"][0] for row in part] for part in parts]
        assert max(times[0]) < min(times[1]) <= max(times[1]) < min(times[2])


def target_rows(source, target) -> list[str]:
    """Rows of the target log whose user the source log knows."""
    known = {line.split(",")[0] for line in source.read_text().splitlines()[1:]}
    return [line for line in target.read_text().splitlines()[1:] if line.split(",")[0] in known]


def test_rejected_rows_of_both_logs_are_counted(write, tmp_path):
    source, target = write(SOURCE + "u1,a,soon\n", "s.csv"), write(TARGET + "u1,,3\nu1,X,later\n", "t.csv")
    spec = transfer((source, target), tmp_path / "out", max_reject_share=0.5)
    assert spec.rejects == {"bad_time": 2, "empty_id": 1}


def test_logs_without_a_common_user_are_refused(write, tmp_path):
    with pytest.raises(DataError, match="no user of the source log occurs in .*--target-user-col"):
        transfer((write("u,a,1\n", "s.csv"), write("v,X,1\n", "t.csv")), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"views": ("transfer",)}, "give --target-input"),
        ({"target_input": ("t.csv",)}, "only the view transfer reads it"),
        ({"views": ("transfer",), "target_input": "t.csv"}, "sequence of globs"),
        ({"views": ("transfer",), "target_input": ("t.csv",), "transfer_history": "none"}, "none"),
        ({"views": ("transfer",), "target_input": ("t.csv",), "target_sample": 0}, "target_sample"),
    ],
)
def test_wrong_options_are_named(options, said):
    with pytest.raises(ConfigError, match=said):
        PrepareOptions(input=("log.csv",), output="out", **{"transfer_split": "leave-one-out", **options})
