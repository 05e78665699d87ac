"""The view `interactions`: hand-computed rows, and what no train row may depend on."""

import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beam_jobs import PrepareOptions
from tests.beam_jobs.conftest import decode, decoded, run, shard_bytes
from tfrec_zoo.errors import ConfigError, DataError

HEADER = "user_id,item_id,timestamp,rating"
LOG = """\
u1,a,1,5
u1,b,2,1
u1,c,3,3
u1,d,4,4
u1,e,5,2
u2,a,1,4
u2,c,2,5
u3,b,1,2
u3,a,2,1
u3,z,3,5
"""
BY_RATING = {"views": ("sequences", "interactions"), "label": "rating > 3", "drop": "rating == 3"}


def rows(spec, split: str) -> list[dict]:
    if not spec.records("interactions", split):
        return []
    dataset = tf.data.TFRecordDataset(spec.paths("interactions", split))
    found = [decode(example) for example in dataset.as_numpy_iterator()]
    assert len(found) == spec.records("interactions", split)
    return [
        {name: value if name == "history" else value[0] for name, value in row.items()}
        | {"user": row["user"][0].decode()}
        for row in found
    ]


def test_rows_of_a_tiny_log(write, tmp_path):
    spec = run(write(LOG, header=HEADER), tmp_path / "out", **BY_RATING)
    # Train events: u1 a b c, u2 a c, u3 b; so a is item 4, b 5 and c 6. Labelled train rows: 5, of which 3 positive.
    assert spec.vocabulary("item") == ["a", "b", "c"]
    assert spec.vocabulary("user") == ["u1", "u2", "u3"]
    ids = ("user", "user_id", "item", "time", "label", "rating", "history")
    columns = (*ids, "user_count", "user_mean_label", "item_count", "item_mean_label")
    expected = {
        "train": [
            ("u1", 4, 4, 1, 1, 5.0, [], 1, 0.0, 1, 1.0),
            ("u1", 4, 5, 2, 0, 1.0, [4], 1, 1.0, 1, 0.0),
            ("u2", 5, 4, 1, 1, 4.0, [], 1, 1.0, 1, 1.0),
            # No other row has the item c: the mean of the other four train rows.
            ("u2", 5, 6, 2, 1, 5.0, [4], 1, 1.0, 0, 0.5),
            ("u3", 6, 5, 1, 0, 2.0, [], 0, 0.75, 1, 0.0),
        ],
        "valid": [
            ("u1", 4, 1, 4, 1, 4.0, [4, 5, 6], 2, 0.5, 0, 0.6),
            ("u3", 6, 4, 2, 0, 1.0, [5], 1, 0.0, 2, 1.0),
        ],
        "test": [
            ("u1", 4, 1, 5, 0, 2.0, [4, 5, 6, 1], 2, 0.5, 0, 0.6),
            ("u3", 6, 1, 3, 1, 5.0, [5, 4], 1, 0.0, 0, 0.6),
        ],
    }
    for split, of_split in expected.items():
        found = sorted(rows(spec, split), key=lambda row: (row["user"], row["time"]))
        assert [row["item_mean_label"] for row in found] == pytest.approx([row[-1] for row in of_split])
        for row, values in zip(found, of_split, strict=True):
            assert {**row, "item_mean_label": values[-1]} == dict(zip(columns, values, strict=True))
    assert set(spec.features["interactions"]) == set(columns)
    assert spec.records("sequences", "train") == 3


def test_histories_are_bounded_and_chosen_by_rule(write, tmp_path):
    text = "".join(f"u,i{n},{n},{n % 2}\n" for n in range(12))
    options = {"views": ("interactions",), "label": "rating > 0", "history_length": 3}
    spec = run(write(text, header=HEADER), tmp_path / "out", history_rule="rating == 1", **options)
    ids = {item: place + 4 for place, item in enumerate(spec.vocabulary("item"))}
    by_time = {row["time"]: row for split in ("train", "valid", "test") for row in rows(spec, split)}
    assert by_time[9]["history"] == [ids["i3"], ids["i5"], ids["i7"]]
    assert by_time[4]["history"] == [ids["i1"], ids["i3"]]
    assert by_time[0]["history"] == []
    none = run(write(text, header=HEADER), tmp_path / "none", **{**options, "history_length": 0})
    assert all(row["history"] == [] for row in rows(none, "train"))


def test_labels_by_action(write, tmp_path):
    text = "u1,a,1,view\nu1,a,2,buy\nu1,b,3,cart\nu2,a,1,buy\nu2,b,2,wish\n"
    path = write(text, header="user_id,item_id,timestamp,event")
    options = {"views": ("interactions",), "action_col": "event", "drop": "event in (cart, wish)"}
    spec = run(path, tmp_path / "out", label="event == buy", **options)
    found = {
        (row["user"], row["time"], row["label"]) for split in ("train", "valid", "test") for row in rows(spec, split)
    }
    assert found == {("u1", 1, 0), ("u1", 2, 1), ("u2", 1, 1)}


def touches(log: list[tuple], splits: int) -> dict[str, set[str]]:
    """Items of every user in the first `splits` parts of a leave-one-out split."""
    users: dict[str, list[str]] = {}
    for user, item, _ in sorted(log, key=lambda row: row[2]):
        users.setdefault(user, []).append(item)
    cut = {0: -2, 1: -1, 2: None}[splits]
    return {user: set(items[:cut] if len(items) >= 3 else items) for user, items in users.items()}


logs = st.lists(
    st.tuples(st.sampled_from(["u1", "u2", "u3", "u4"]), st.sampled_from("abcdefgh")), min_size=1, max_size=40
).map(lambda rows: [(*row, time) for time, row in enumerate(rows)])


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(log=logs, distribution=st.sampled_from(["uniform", "popularity"]), count=st.integers(1, 4))
def test_a_negative_is_never_an_item_that_the_user_touched(write, tmp_path_factory, log, distribution, count):
    path = write("".join(f"{user},{item},{time}\n" for user, item, time in log))
    options = {"views": ("interactions",), "negatives": count, "negative_sampling": distribution}
    spec = run(path, tmp_path_factory.mktemp("out"), partitions=2, **options)
    vocabulary = spec.vocabulary("item")
    for number, split in enumerate(("train", "valid", "test")):
        avoided = touches(log, number)
        found = rows(spec, split)
        for row in found:
            if row["label"] == 0:
                assert vocabulary[row["item"] - 4] not in avoided[row["user"]]
        positives = [row for row in found if row["label"] == 1]
        left = [len(set(vocabulary) - avoided[row["user"]]) > 0 for row in positives]
        assert len(found) - len(positives) == count * sum(left)


def test_negatives_share_the_user_side_of_their_positive(write, tmp_path):
    text = "".join(f"u{user},i{(user * item) % 7},{item}\n" for user in range(9) for item in range(2, 9))
    spec = run(write(text), tmp_path / "out", views=("interactions",), negatives=3)
    groups: dict[tuple, list[dict]] = {}
    for row in rows(spec, "train"):
        groups.setdefault((row["user"], row["time"]), []).append(row)
    for group in groups.values():
        assert sorted(row["label"] for row in group)[-1] == 1
        for name in ("history", "user_id", "user_count"):
            assert all(row[name] == group[0][name] for row in group)
        assert group[0]["user_count"] == 4
    counts = dict(zip(spec.vocabulary("item"), spec.item_counts, strict=True))
    for row in rows(spec, "train"):
        assert row["item_count"] == counts[spec.vocabulary("item")[row["item"] - 4]] - row["label"]


OPTIONS = [
    {"label": "rating > 3", "drop": "rating == 3"},
    {"negatives": 2, "negative_sampling": "popularity", "drop": "rating == 3"},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_nothing_of_a_held_out_row_reaches_a_train_row_or_a_statistic(write, tmp_path, options):
    def log(held_out: str) -> str:
        return "".join(
            f"u{user},i{(user + step * step) % 11},{step},{1 + (user + step) % 5}\n"
            if step < 7
            else f"u{user},{held_out[0]}{step % 3},{step},{held_out[1]}\n"
            for user in range(12)
            for step in range(9)
        )

    options = {"views": ("sequences", "interactions"), "partitions": 3, **options}
    one = run(write(log("i5"), "one.csv", HEADER), tmp_path / "one", **options)
    other = run(write(log("j1"), "other.csv", HEADER), tmp_path / "other", **options)
    assert one.split.hash != other.split.hash
    assert rows(one, "train") == rows(other, "train")
    assert one.item_counts == other.item_counts
    assert one.vocabulary("item") == other.vocabulary("item")
    if "label" in options:
        valid, changed = (sorted(rows(s, "valid"), key=lambda r: r["user"]) for s in (one, other))
        for name in ("user_mean_label", "user_count", "history"):
            assert [row[name] for row in valid] == [row[name] for row in changed]
        assert [row["label"] for row in valid] != [row["label"] for row in changed]


@pytest.mark.parametrize("options", OPTIONS)
def test_rows_do_not_depend_on_the_number_of_partitions(write, tmp_path, options):
    text = "".join(f"u{user},i{(user * step) % 13},{step},{1 + step % 5}\n" for user in range(30) for step in range(8))
    path = write(text, header=HEADER)
    options = {"views": ("interactions",), **options}
    one, five = (run(path, tmp_path / str(n), partitions=n, **options) for n in (1, 5))
    again = run(path, tmp_path / "again", partitions=5, **options)
    assert shard_bytes(five) == shard_bytes(again)
    for split in ("train", "valid", "test"):
        assert sorted(map(str, rows(one, split))) == sorted(map(str, rows(five, split)))
    other = run(path, tmp_path / "other", partitions=5, seed=1, **options)
    assert rows(other, "train") != rows(five, "train")


def test_train_rows_of_a_shard_are_shuffled(write, tmp_path):
    text = "".join(f"u{user:02d},i{step},{step},5\n" for user in range(30) for step in range(12))
    options = {"views": ("interactions",), "label": "rating > 3", "partitions": 1}
    spec = run(write(text, header=HEADER), tmp_path / "out", **options)
    users = [row["user"] for row in rows(spec, "train")]
    assert len(set(users[:30])) > 12
    assert [row["user"] for row in rows(spec, "test")] == sorted(set(users))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"views": ("interactions",)}, "either --label RULE .* and has neither"),
        ({"views": ("interactions",), "label": "rating > 3", "negatives": 2}, "not both"),
        ({"views": ("interactions",), "label": "rating >"}, "a value is expected"),
        ({"views": ("interactions",), "negatives": -1}, "negatives must be at least 0"),
        ({"views": ("interactions",), "negatives": 1, "history_length": -1}, "history_length"),
        ({"views": ("interactions",), "negatives": 1, "negative_sampling": "zipf"}, "zipf"),
        ({"label": "rating > 3"}, "only the view interactions has labels"),
    ],
)
def test_wrong_options_are_named(options, said):
    with pytest.raises(ConfigError, match=said):
        PrepareOptions(input=("log.csv",), output="out", **options)


def test_a_rule_over_a_column_that_is_not_read_is_named(write, tmp_path):
    path = write("u,a,1\n")
    with pytest.raises(DataError, match=r"'action == buy' reads the column 'action'.*--action-col"):
        run(path, tmp_path / "out", views=("interactions",), label="action == buy")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [BY_RATING, {"views": ("interactions",), "negatives": 2}])
def test_an_item_of_the_items_view_has_what_held_out_rows_have(write, tmp_path, options):
    spec = run(write(LOG, header=HEADER), tmp_path / "out", **{**options, "views": ("interactions", "items")})
    names = [name for name in ("item_count", "item_mean_label") if name in spec.features["items"]]
    assert len(names) == (2 if "label" in options else 1)
    items = {item["id"][0]: {name: item[name] for name in names} for item in decoded(spec, "items", "all")}
    held_out = [row for split in ("valid", "test") for row in rows(spec, split) if row["item"] in items]
    assert held_out
    for row in held_out:
        assert items[row["item"]] == {name: [row[name]] for name in names}


def test_positives_alone(write, tmp_path):
    spec = run(write(LOG, header=HEADER), tmp_path / "out", views=("interactions",), negatives=0)
    found = [row for split in ("train", "valid", "test") for row in rows(spec, split)]
    assert {row["label"] for row in found} == {1}
    assert len(found) == spec.interactions
