"""Every filter against its definition, and what dataset.json says of it."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_jobs.filters import HistoryRules
from beam_jobs.histories import Histories, by_time
from beam_jobs.subsampling import keep_probability, uniform
from tests.beam_jobs.conftest import events, history_rows, records, run
from tfrec_zoo.errors import ConfigError, DataError

HEADER = "user_id,item_id,timestamp,action,dwell"


def log(seed: int, rows: int = 600) -> list[tuple[str, str, int, str, float]]:
    rng = np.random.default_rng(seed)
    return [
        (
            f"u{rng.integers(30)}",
            f"i{int(rng.zipf(1.3)) % 50}",
            int(rng.integers(60)),
            str(rng.choice(["view", "buy", "share"])),
            float(rng.integers(4)) / 2,
        )
        for _ in range(rows)
    ]


def text(rows) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


def kept(spec) -> Counter:
    """(User, item, time) of every event of a leave-one-out dataset without vocabulary limits."""
    words = ["", "", "", "", *spec.vocabulary("item")]
    found: Counter = Counter()
    last = records(spec, "test")
    for user, record in records(spec, "train").items():
        whole = last.get(user, record)
        found.update((user, words[i], t) for i, t in zip(whole["items"], whole["times"], strict=True))
    return found


def no_repeats(rows):
    """Rows in the order of user and time, without those whose item is that of the row before."""
    ordered = sorted(rows, key=lambda row: (row[0], row[2]))
    return [
        row
        for place, row in enumerate(ordered)
        if not place or (ordered[place - 1][0], ordered[place - 1][1]) != (row[0], row[1])
    ]


def core(rows, k, repeats=False):
    while True:
        users, items = Counter(row[0] for row in rows), Counter(row[1] for row in rows)
        left = [row for row in rows if users[row[0]] >= k and items[row[1]] >= k]
        left = no_repeats(left) if repeats else left
        if len(left) == len(rows):
            return left
        rows = left


def hot(rows, limit):
    items = Counter(row[1] for row in rows)
    return [row for row in rows if items[row[1]] <= limit]


def long_users(rows, k):
    users = Counter(row[0] for row in rows)
    return [row for row in rows if users[row[0]] >= k]


CASES = {
    "actions": ({"actions": ("buy", "share")}, lambda rows: [row for row in rows if row[3] != "view"]),
    "dwell": ({"min_dwell": 1.0}, lambda rows: [row for row in rows if row[4] >= 1.0]),
    "duplicates": ({"drop_duplicates": True}, lambda rows: list(dict.fromkeys(rows))),
    "count": ({"max_item_count": 40}, lambda rows: hot(rows, 40)),
    "share": ({"max_item_share": 0.05}, lambda rows: hot(rows, int(0.05 * len(rows)))),
    "repeats": ({"drop_repeats": True}, no_repeats),
    "users": ({"min_user_items": 20}, lambda rows: long_users(rows, 20)),
    "core": ({"k_core": 9}, lambda rows: core(rows, 9)),
    "core without repeats": ({"k_core": 9, "drop_repeats": True}, lambda rows: core(rows, 9, True)),
    "all": (
        {
            **{"actions": ("buy", "view"), "min_dwell": 0.5, "drop_duplicates": True, "max_item_count": 80},
            **{"drop_repeats": True, "k_core": 4, "min_user_items": 6},
        },
        lambda rows: long_core(hot(list(dict.fromkeys(r for r in rows if r[3] != "share" and r[4] >= 0.5)), 80), 4, 6),
    ),
}


def long_core(rows, k, shortest):
    while True:
        left = long_users(core(rows, k, True), shortest)
        if left == rows:
            return left
        rows = left


@pytest.mark.parametrize(("case", "partitions"), [*((case, 3) for case in CASES), ("all", 1)])
def test_filters_keep_what_their_definition_keeps(write, tmp_path, case, partitions):
    options, definition = CASES[case]
    rows = log(1) + log(1)[:50]
    path = write(text(rows), header=HEADER)
    columns = {"action_col": "action", "dwell_col": "dwell"}
    spec = run(path, tmp_path / "out", partitions=partitions, max_length=10_000, **columns, **options)
    left = definition(rows)
    assert 0 < len(left) < len(rows)
    assert spec.interactions == len(left) == len(rows) - sum(spec.dropped.values())
    assert (spec.users, spec.items) == (len({row[0] for row in left}), len({row[1] for row in left}))
    known = set(spec.vocabulary("item"))
    # The test target is in no history here, and an item without train rows has no name.
    ordered = {}
    for row in sorted(left, key=lambda row: row[2]):
        ordered.setdefault(row[0], []).append(row)
    expected: Counter = Counter()
    for user, mine in ordered.items():
        for row in mine[:-1] if len(mine) >= 3 else mine:
            expected[user, row[1] if row[1] in known else "", row[2]] += 1
    assert kept(spec) == expected


def test_the_counts_are_told_by_filter(write, tmp_path):
    rows = "u,a,1,view,1\nu,a,1,view,1\nu,a,2,view,1\nu,b,3,view,1\nu,c,4,buy,1\nu,c,5,view,0\nv,a,1,view,1\n"
    spec = run(
        write(rows, header=HEADER),
        tmp_path / "out",
        action_col="action",
        dwell_col="dwell",
        actions=("view",),
        min_dwell=0.5,
        drop_duplicates=True,
        drop_repeats=True,
        min_user_items=2,
    )
    assert spec.dropped == {
        "actions": 1,
        "min_dwell": 1,
        "drop_duplicates": 1,
        "drop_repeats": 1,
        "min_user_items": 1,
    }
    assert (spec.users, spec.items, spec.interactions) == (1, 2, 2)


def test_repeats_that_a_dropped_item_leaves_behind_are_dropped_too(write, tmp_path):
    rows = "".join(f"u,{item},{n}\n" for n, item in enumerate("axaxbxxx"))
    spec = run(write(rows), tmp_path / "out", max_item_count=4, drop_repeats=True)
    assert (spec.interactions, spec.dropped) == (2, {"hot_items": 5, "drop_repeats": 1})


@pytest.mark.parametrize("options", [{"min_user_items": 9}, {"k_core": 9}, {"max_item_share": 0.0}])
def test_no_row_left_is_one_clear_error(write, tmp_path, options):
    with pytest.raises(DataError, match=r"the filters leave no row of 3 \(dropped: \w+ 3\): loosen one"):
        run(write("u,a,1\nu,b,2\nv,a,3\n"), tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [{"actions": ("buy",)}, {"min_dwell": 1.0}, {"k_core": 0}, {"max_item_share": 2}])
def test_filters_that_cannot_be_kept_are_refused(tmp_path, options):
    with pytest.raises(ConfigError):
        run("log.csv", tmp_path / "out", **options)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from("uvw"), st.sampled_from("abc"), st.integers(0, 4)), min_size=1, max_size=40))
def test_history_rules_agree_with_naive_ones(rows):
    histories = by_time(events(rows))
    assert history_rows(histories) == sorted(rows, key=lambda row: (row[0], row[2]))
    unique, dropped = HistoryRules(duplicates=True).keep(histories)
    assert sorted(history_rows(unique)) == sorted(set(rows))
    assert dropped == {"drop_duplicates": len(rows) - len(set(rows))}
    single, _ = HistoryRules(repeats=True).keep(histories)
    assert history_rows(single) == no_repeats(rows)


def test_histories_survive_their_file(tmp_path):
    histories = by_time(events([("u", "a", 3), ("v", "b", 1), ("u", "c", 2)]))
    histories.write(tmp_path / "file")
    assert history_rows(Histories.read(str(tmp_path / "file"))) == [("u", "c", 2), ("u", "a", 3), ("v", "b", 1)]
    assert Histories.read_times(str(tmp_path / "file")).tolist() == [2, 3, 1]


def test_keep_probability_is_the_formula_of_word2vec():
    counts = np.array([0, 1, 10, 1000, 100_000])
    expected = [
        1.0 if f == 0 else min(1.0, ((f / (1e-3 * 101_011)) ** 0.5 + 1) * 1e-3 * 101_011 / f) for f in counts.tolist()
    ]
    np.testing.assert_allclose(keep_probability(counts, 1e-3), expected)


def test_uniform_numbers_are_uniform_and_independent_of_their_order():
    keys = np.arange(100_000, dtype=np.uint64)
    drawn, other = uniform(keys, 0), uniform(keys, 1)
    assert abs(drawn.mean() - 0.5) < 0.005
    assert 0 <= drawn.min() < drawn.max() < 1
    assert abs(np.corrcoef(drawn, other)[0, 1]) < 0.02
    np.testing.assert_array_equal(uniform(keys[::-1], 0), drawn[::-1])
