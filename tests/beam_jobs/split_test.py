"""Leave-one-out on hand-written logs, and what training may see of it."""

from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_jobs.histories import Histories
from beam_jobs.splits.leave_one_out import LeaveOneOut
from beam_jobs.splits.split import TEST, TRAIN, VALID
from tests.beam_jobs.conftest import records, run

LOG = """\
u1,a,10,5
u2,b,5,1
u1,b,20,4
u1,c,30,3
u2,a,6,2
u1,d,40,2.5
u3,a,9,1
u3,a,8,2
u3,z,9,3
"""


def test_records_of_a_tiny_log(write, tmp_path):
    path = write(LOG, header="user_id,item_id,timestamp,rating")
    spec = run(path, tmp_path / "out")
    # Train rows: u1 a b, u2 b a, u3 a; so a (3) is item 4, b (2) is item 5, and c, d and z are out of vocabulary.
    assert spec.vocabulary("item") == ["a", "b"]
    assert list(spec.item_counts) == [3, 2]
    assert spec.vocabulary("user") == ["u1", "u2", "u3"]
    assert (spec.users, spec.items, spec.interactions) == (3, 5, 9)
    assert records(spec, "train") == {
        "u1": {"items": [4, 5], "times": [10, 20], "ratings": [5.0, 4.0]},
        "u2": {"items": [5, 4], "times": [5, 6], "ratings": [1.0, 2.0], "train_only": [1]},
        "u3": {"items": [4], "times": [8], "ratings": [2.0]},
    }
    assert records(spec, "valid") == {
        "u1": {"items": [4, 5], "times": [10, 20], "ratings": [5.0, 4.0], "seen": [4, 5], "target": [1]},
        "u3": {"items": [4], "times": [8], "ratings": [2.0], "seen": [4], "target": [4]},
    }
    assert records(spec, "test") == {
        "u1": {"items": [4, 5, 1], "times": [10, 20, 30], "ratings": [5.0, 4.0, 3.0], "seen": [4, 5, 1], "target": [1]},
        "u3": {"items": [4, 4], "times": [8, 9], "ratings": [2.0, 1.0], "seen": [4, 4], "target": [1]},
    }
    assert set(spec.features["sequences"]) == {"user", "items", "times", "ratings", "target", "seen", "train_only"}


def test_ties_in_time_keep_the_order_of_files_and_rows(write, tmp_path):
    first = write("u,c,7\nu,a,7\nu,e,1\n", "part-1.csv")
    second = write("u,b,7\nu,d,7\nu,f,9\n", "part-2.csv")
    items = ["e", "c", "a", "b"]
    for inputs in ([first, second], [second, first]):
        spec = run(inputs, tmp_path / "out")
        ids = {item: number + 4 for number, item in enumerate(spec.vocabulary("item"))}
        assert records(spec, "train")["u"]["items"] == [ids[item] for item in items]


def test_ties_survive_keys_that_do_not_fit_into_one_integer(write, tmp_path):
    path = write(f"u,a,{2**63 - 1}\nu,b,{-(2**63)}\nu,c,0\nu,d,0\nu,e,{2**63 - 1}\nv,a,1\n")
    spec = run(path, tmp_path / "out", partitions=1, min_time="none", max_time="none")
    ids = {item: number + 4 for number, item in enumerate(spec.vocabulary("item"))}
    assert records(spec, "train")["u"]["items"] == [ids["b"], ids["c"], ids["d"]]
    assert records(spec, "test")["u"]["times"][-1] == 2**63 - 1


def test_histories_are_truncated_and_seen_is_not(write, tmp_path):
    path = write("".join(f"u,i{n},{n}\n" for n in range(10)) + "".join(f"v,i{n},{n}\n" for n in range(2)))
    spec = run(path, tmp_path / "out", max_length=3)
    assert records(spec, "train")["u"]["times"] == [5, 6, 7]
    test = records(spec, "test")["u"]
    assert test["times"] == [6, 7, 8]
    assert len(test["items"]) == 3
    assert len(test["seen"]) == 9
    assert len(records(spec, "valid")["u"]["seen"]) == 8


def test_vocabulary_and_counts_come_from_train_rows_only(write, tmp_path):
    rng = np.random.default_rng(1)
    lines, held_out = [], {}
    for user in range(30):
        for n in range(int(rng.integers(3, 12))):
            lines.append(f"u{user},i{rng.integers(20)},{n}")
        # Items that occur as targets only must leave no trace but an OOV target.
        lines += [f"u{user},only-valid-{user},50", f"u{user},only-test-{user},60"]
        held_out[f"u{user}"] = 2
    spec = run(write("\n".join(lines) + "\n"), tmp_path / "out", min_item_count=2)
    assert not [item for item in spec.vocabulary("item") if item.startswith("only")]
    train = records(spec, "train")
    counts = np.bincount(np.concatenate([record["items"] for record in train.values()]), minlength=4)
    assert counts[4:].tolist() == list(spec.item_counts)
    assert list(spec.item_counts) == sorted(spec.item_counts, reverse=True)
    assert min(spec.item_counts) >= 2
    assert counts[[0, 2, 3]].sum() == 0
    for split in ("valid", "test"):
        assert all(record["target"] == [1] for record in records(spec, split).values())
    assert spec.items == len({line.split(",")[1] for line in lines})


def test_ties_in_frequency_go_by_the_bytes_of_the_id(write, tmp_path):
    spec = run(write("".join(f"u{n},{item},1\n" for n, item in enumerate(["b", "é", "a", "Z", "b"]))), tmp_path / "out")
    assert spec.vocabulary("item") == ["b", "Z", "a", "é"]


def test_split_hash_tells_splits_apart(write, tmp_path):
    path = write(LOG, header="user_id,item_id,timestamp,rating")
    one = run(path, tmp_path / "one", partitions=1)
    assert run(path, tmp_path / "five", partitions=5).split == one.split
    other = write(LOG.replace("u1,d,40", "u1,d,41"), "other.csv", header="user_id,item_id,timestamp,rating")
    assert run(other, tmp_path / "other").split.hash != one.split.hash


def by_hand(rows: list[tuple], at_least: int, max_length: int) -> tuple[list[str], dict]:
    """The contract, written as plainly as possible: vocabulary and records of rows in the log's order."""
    users: dict[str, list] = {}
    for user, item, time, rating in rows:
        users.setdefault(user, []).append((time, item, rating))
    users = {user: sorted(events, key=lambda event: event[0]) for user, events in users.items()}
    held_out = {user for user, events in users.items() if len(events) >= 3}
    train = {user: events[:-2] if user in held_out else events for user, events in users.items()}
    counts = Counter(item for events in train.values() for _, item, _ in events)
    vocabulary = sorted((item for item in counts if counts[item] >= at_least), key=lambda item: (-counts[item], item))
    ids = defaultdict(lambda: 1, {item: number + 4 for number, item in enumerate(vocabulary)})

    def record(history, **more):
        recent = history[-max_length:]
        columns = {"items": [ids[item] for _, item, _ in recent], "times": [time for time, _, _ in recent]}
        return {**columns, "ratings": [rating for _, _, rating in recent], **more}

    def predict(events, place):
        history = events[:place]
        return record(history, target=[ids[events[place][1]]], seen=[ids[item] for _, item, _ in history])

    return vocabulary, {
        "train": {u: record(train[u], **({} if u in held_out else {"train_only": [1]})) for u in users},
        "valid": {u: predict(users[u], -2) for u in held_out},
        "test": {u: predict(users[u], -1) for u in held_out},
    }


@pytest.mark.parametrize("seed", range(4))
def test_random_logs_equal_the_contract_written_by_hand(write, tmp_path, seed):
    rng = np.random.default_rng(seed)
    rows = [
        (f"u{rng.integers(40)}", f"i{int(rng.zipf(1.5)) % 60}", int(rng.integers(30)), float(rng.integers(1, 6)))
        for _ in range(700)
    ]
    text = "".join(f"{user},{item},{time},{rating}\n" for user, item, time, rating in rows)
    path = write(text, header="user_id,item_id,timestamp,rating")
    spec = run(path, tmp_path / "out", min_item_count=1 + seed, max_length=5 + 10 * seed)
    vocabulary, expected = by_hand(rows, 1 + seed, 5 + 10 * seed)
    assert spec.vocabulary("item") == vocabulary
    for split, of_split in expected.items():
        assert records(spec, split) == of_split


@settings(max_examples=100)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=30))
def test_splits_are_disjoint_and_complete(lengths):
    offsets = np.append(0, np.cumsum(lengths))
    users = pa.array([b"%03d" % user for user in range(len(lengths))])
    histories = Histories(users, offsets, {"time": pa.array(np.arange(offsets[-1]))})
    split = LeaveOneOut()
    marks = split.marks(histories)
    use = (marks == TRAIN).astype(int)
    for mark in (VALID, TEST):
        use[split.targets(histories, marks, mark)] += 1
    assert (use == 1).all()


@pytest.mark.parametrize("partitions", [1, 3])
def test_a_log_of_one_user(write, tmp_path, partitions):
    spec = run(write("u,a,1\n"), tmp_path / "out", partitions=partitions)
    assert records(spec, "train")["u"] == {"items": [4], "times": [1], "train_only": [1]}
    assert spec.records("sequences", "valid") == 0
