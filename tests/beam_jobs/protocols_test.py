"""The splits beside leave-one-out: what they mark, what their records hold, and what train may know."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_jobs import PrepareOptions
from beam_jobs.histories import by_time
from beam_jobs.splits import make_split
from beam_jobs.splits.split import SPLIT_NAMES, TEST, TRAIN, VALID
from beam_jobs.splits.temporal import nth_smallest
from tests.beam_jobs.conftest import decoded, events, run
from tfrec_zoo.errors import ConfigError, DataError

PROTOCOLS = ("leave-one-out", "temporal", "user", "random")
ROWS = st.lists(
    st.tuples(st.sampled_from("uvwxyz"), st.sampled_from("abcde"), st.integers(-5, 30)), min_size=1, max_size=60
)


def fitted(protocol: str, histories, **options):
    split = make_split(PrepareOptions(input=("log.csv",), output="out", split=protocol, **options))
    return split.fit(lambda: [histories.times])


@settings(max_examples=60)
@given(ROWS, st.sampled_from(PROTOCOLS), st.integers(0, 3))
def test_splits_are_disjoint_and_complete_and_targets_have_a_history(rows, protocol, seed):
    histories = by_time(events(rows))
    try:
        split = fitted(protocol, histories, seed=seed, valid_share=0.2, test_share=0.3)
    except DataError:
        assert protocol == "temporal"
        return
    marks = split.marks(histories)
    assert marks.shape == (len(rows),)
    assert set(marks.tolist()) <= {TRAIN, VALID, TEST}
    for mark in (VALID, TEST):
        targets = split.targets(histories, marks, mark)
        assert (marks[targets] == mark).all()
        assert (np.diff(targets) > 0).all()
        assert all(
            target > histories.offsets[user] for user, target in zip(histories.owners(targets), targets, strict=True)
        )
        if split.valid_completes_train and mark == VALID:
            for user, target in zip(histories.owners(targets), targets, strict=True):
                start, end = histories.offsets[user : user + 2]
                assert (marks[start : target + 1] != TEST).all()
                assert (marks[target + 1 : end] == TEST).all()


@settings(max_examples=60)
@given(ROWS, st.sampled_from(["user", "random"]))
def test_draws_do_not_depend_on_the_other_users(rows, protocol):
    histories = by_time(events(rows))
    whole = fitted(protocol, histories, valid_share=0.3, test_share=0.3).marks(histories)
    for place, user in enumerate(histories.users.to_pylist()):
        alone = by_time(events([row for row in rows if row[0] == user.decode()]))
        start, end = histories.offsets[place : place + 2]
        marks = fitted(protocol, alone, valid_share=0.3, test_share=0.3).marks(alone)
        np.testing.assert_array_equal(marks, whole[start:end])


@settings(max_examples=200)
@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 50), min_size=1, max_size=30), st.data())
def test_nth_smallest_is_that_of_sorting(times, data):
    rank = data.draw(st.integers(0, len(times) - 1))
    cut = data.draw(st.integers(0, len(times)))
    parts = [np.array(part, np.int64) for part in (times[:cut], times[cut:])]
    assert nth_smallest(lambda: parts, rank, min(times)) == sorted(times)[rank]


def test_shares_are_kept():
    rows = [(f"u{n % 3000}", "a", n) for n in range(30_000)]
    histories = by_time(events(rows))
    for protocol in ("temporal", "user", "random"):
        split = fitted(protocol, histories, valid_share=0.1, test_share=0.2)
        shares = np.bincount(split.marks(histories), minlength=3) / len(rows)
        np.testing.assert_allclose(shares, [0.7, 0.1, 0.2], atol=0.03)
        other = fitted(protocol, histories, valid_share=0.1, test_share=0.2, seed=1)
        assert (split.marks(histories) != other.marks(histories)).any() == (protocol != "temporal")


def log(rows: int = 900) -> list[tuple[str, str, int]]:
    rng = np.random.default_rng(5)
    return [(f"u{rng.integers(40)}", f"i{int(rng.zipf(1.4)) % 50}", int(rng.integers(100))) for _ in range(rows)]


def by_hand(histories, marks, one_target: bool):
    """The records of the DATA contract for a marked log, a user at a time."""
    pairs = [(row, mark) for user, rows in histories.items() for row, mark in zip(rows, marks[user], strict=True)]
    train_counts = Counter(item for (item, _), mark in pairs if mark == TRAIN)
    words = sorted(train_counts, key=lambda item: (-train_counts[item], item.encode()))
    ids = defaultdict(lambda: 1, {item: place + 4 for place, item in enumerate(words)})
    found = {name: [] for name in (*SPLIT_NAMES, "train+valid")}
    for user, rows in histories.items():
        for name, chosen in (("train", {TRAIN}), ("train+valid", {TRAIN, VALID})):
            mine = [row for row, mark in zip(rows, marks[user], strict=True) if mark in chosen]
            if mine:
                found[name].append((user, [ids[item] for item, _ in mine], [time for _, time in mine]))
        for place in range(1, len(rows)):
            mark = marks[user][place]
            if mark and (not one_target or place == len(rows) - 1):
                before = rows[:place]
                history = [ids[item] for item, _ in before]
                found[SPLIT_NAMES[mark]].append(
                    (user, history, [time for _, time in before], [ids[rows[place][0]]], history)
                )
    return words, {name: sorted(rows) for name, rows in found.items()}


def found_records(spec, split: str):
    return sorted(
        (row["user"][0].decode(), row["items"], row["times"], *((row["target"], row["seen"]) if "seen" in row else ()))
        for row in decoded(spec, "sequences", split)
    )


@pytest.mark.parametrize("protocol", ["temporal", "user", "random", "files"])
def test_records_are_those_of_the_definition(write, tmp_path, protocol):
    rows = log()
    parts = {"train": rows, "valid": [], "test": []}
    options = {"split": protocol}
    if protocol == "files":
        rng = np.random.default_rng(2)
        part = rng.choice(3, len(rows), p=[0.6, 0.2, 0.2])
        parts = {
            name: [row for row, of in zip(rows, part, strict=True) if of == n] for n, name in enumerate(SPLIT_NAMES)
        }
        rows = [row for name in SPLIT_NAMES for row in parts[name]]
        options |= {f"{name}_input": (str(tmp_path / f"{name}.csv"),) for name in ("valid", "test")}
    for name, mine in parts.items():
        write("".join(f"{user},{item},{time}\n" for user, item, time in mine), f"{name}.csv")
    spec, other = (
        run(tmp_path / "train.csv", tmp_path / str(n), partitions=n, max_length=1000, **options) for n in (1, 3)
    )
    histories = by_time(events(rows))
    if protocol == "files":
        origin = [n for n, name in enumerate(SPLIT_NAMES) for _ in parts[name]]
        order = sorted(range(len(rows)), key=lambda row: (rows[row][0], rows[row][2], row))
        flat = np.array(origin)[order]
    else:
        flat = fitted(protocol, histories).marks(histories)
    assert set(flat.tolist()) == {TRAIN, VALID, TEST}
    users = [user.decode() for user in histories.users.to_pylist()]
    spans = dict(zip(users, zip(histories.offsets[:-1], histories.offsets[1:], strict=True), strict=True))
    marks = {user: flat[start:end].tolist() for user, (start, end) in spans.items()}
    stories = {
        user: [(histories.items[row].as_py().decode(), int(histories.times[row])) for row in range(*span)]
        for user, span in spans.items()
    }
    words, expected = by_hand(stories, marks, protocol == "user")
    assert spec.vocabulary("item") == words
    assert set(spec.vocabulary("user")) == {user for user in users if TRAIN in marks[user]}
    for split in SPLIT_NAMES:
        assert found_records(spec, split) == found_records(other, split) == expected[split]
    if protocol == "user":
        # The valid records with their targets, and the train records that say so, are train + valid.
        refit = [(row["user"][0].decode(), row["items"] + row["target"]) for row in decoded(spec, "sequences", "valid")]
        refit += [
            (row["user"][0].decode(), row["items"])
            for row in decoded(spec, "sequences", "train")
            if row.get("train_only")
        ]
        assert sorted(refit) == [(user, items) for user, items, _ in expected["train+valid"]]
    else:
        assert found_records(spec, "train+valid") == expected["train+valid"]
    assert spec.split.hash == other.split.hash
    assert spec.split.protocol == protocol


def test_temporal_cuts_by_date_and_by_share(write, tmp_path):
    days = [f"2024-01-{day:02d}T12:00:00" for day in range(1, 11)]
    path = write("".join(f"u,i{n},{day}\n" for n, day in enumerate(days)))
    dated = run(path, tmp_path / "a", split="temporal", valid_from="2024-01-08", test_from="2024-01-10T00:00:00Z")
    assert dated.split.details == {"valid_from": 1704672000, "test_from": 1704844800}
    assert [dated.records("sequences", split) for split in SPLIT_NAMES] == [1, 2, 1]
    shared = run(path, tmp_path / "b", split="temporal", valid_share=0.2, test_share=0.1)
    assert [shared.records("sequences", split) for split in SPLIT_NAMES] == [1, 2, 1]
    assert shared.split.hash == dated.split.hash
    # A log in milliseconds is cut at the same dates.
    path = write("".join(f"u,i{n},{1704110400000 + n * 86_400_000}\n" for n in range(10)), "ms.csv")
    ms = run(path, tmp_path / "c", split="temporal", valid_from="2024-01-08", test_from="2024-01-10")
    assert ms.split.details == {"valid_from": 1704672000000, "test_from": 1704844800000}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "temporal", "valid_from": "1", "test_from": "9"}, "train would be empty"),
        ({"split": "temporal", "valid_from": "5", "test_from": "3"}, "valid begins at 5, after test at 3"),
        ({"split": "files", "valid_input": ("{log}",), "test_input": ("{log}",)}, "cannot be in two splits"),
        ({"split": "files", "valid_input": ("x-*.csv",), "test_input": ("{log}",)}, "--valid-input x-.* matches no"),
        ({"split": "user", "valid_share": 0.5, "test_share": 0.499999}, "the vocabulary is empty"),
    ],
)
def test_splits_that_cannot_be_are_one_clear_error(write, tmp_path, options, message):
    path = write("u,a,2\nu,b,4\nu,c,6\n")
    given_options = {
        name: tuple(text.format(log=path) for text in value) if isinstance(value, tuple) else value
        for name, value in options.items()
    }
    with pytest.raises(DataError, match=message):
        run(path, tmp_path / "out", **given_options)


@pytest.mark.parametrize(
    "options",
    [
        {"split": "files"},
        {"valid_input": ("a.csv",)},
        {"valid_from": "5"},
        {"split": "temporal", "valid_from": "soon"},
        {"split": "random", "valid_share": 0.5, "test_share": 0.5},
        {"window_stride": 300},
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path, options):
    with pytest.raises(ConfigError):
        run("log.csv", tmp_path / "out", **options)


@pytest.mark.parametrize(("length", "stride"), [(4, 4), (5, 2), (3, 1)])
def test_windows_cover_long_histories(write, tmp_path, length, stride):
    rows = "".join(f"u,i{n},{n}\n" for n in range(17)) + "".join(f"v,i{n},{n}\n" for n in range(4))
    spec = run(write(rows), tmp_path / "out", max_length=length, window_stride=stride)
    for split, size in (("train", 15), ("train+valid", 16)):
        windows = defaultdict(list)
        for row in decoded(spec, "sequences", split):
            windows[row["user"][0]].append(row["times"])
        assert all(len(window) <= length for window in windows[b"u"])
        assert all(len(window) == length for window in windows[b"u"][1:])
        assert {time for window in windows[b"u"] for time in window} == set(range(size))
        ends = [window[-1] for window in windows[b"u"]]
        assert ends[-1] == size - 1
        assert set(np.diff(ends)) == {stride}
        assert len(windows[b"v"]) == 1
    assert spec.records("sequences", "test") == 2
    assert "train_only" not in spec.features["sequences"]
