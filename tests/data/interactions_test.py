"""The reader of the view `interactions`, on a dataset that the prepare job wrote."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import beam_jobs
from tfrec_zoo.data import records, shuffling
from tfrec_zoo.data.interactions import evaluation_batches, training_batches, training_rows
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec
from tfrec_zoo.errors import DataError

BATCH, LENGTH = 13, 6


def prepare(log_file: Path, output: Path, **options) -> DatasetSpec:
    options = {"views": ("interactions",), "label": "rating > 3", "partitions": 3, "quiet": True, **options}
    beam_jobs.prepare(beam_jobs.PrepareOptions(input=(str(log_file),), output=str(output), **options))
    return DatasetSpec.read(output)


@pytest.fixture(scope="module")
def rated(tmp_path_factory: pytest.TempPathFactory, log_file: Path) -> DatasetSpec:
    return prepare(log_file, tmp_path_factory.mktemp("rated"))


def key(spec: DatasetSpec, batch: dict) -> list[tuple[str, str, int, float]]:
    items = ["?"] * FIRST_ITEM_ID + spec.vocabulary("item")
    columns = [batch[name].numpy() for name in ("user", "item", "time", "label")]
    return [(u.decode(), items[i], int(t), float(y)) for u, i, t, y in zip(*columns, strict=True)]


def log_rows(log_file: Path, held_out: int = 0) -> list[tuple[str, str, int, float]]:
    """The rows of every user, but for the last ones of users with at least 3."""
    users: dict[str, list] = {}
    with log_file.open(newline="") as file:
        for row in csv.DictReader(file):
            event = (row["user_id"], row["item_id"], int(row["timestamp"]), float(int(row["rating"]) > 3))
            users.setdefault(row["user_id"], []).append(event)
    cut = {user: events[: len(events) - held_out * (len(events) > 2)] for user, events in users.items()}
    return sorted(event for events in cut.values() for event in events)


def one_epoch(spec: DatasetSpec, **options) -> list[dict]:
    steps = -(-training_rows(spec) // BATCH) + 1
    return list(training_batches(spec, BATCH, LENGTH, **options).take(steps))


def test_an_epoch_holds_every_train_row_once(rated: DatasetSpec, log_file: Path) -> None:
    expected = log_rows(log_file, held_out=2)
    assert training_rows(rated) == len(expected)
    found = [row for batch in one_epoch(rated) for row in key(rated, batch)][: len(expected)]
    assert sorted(found) == expected


def test_batches_have_the_promised_types(rated: DatasetSpec) -> None:
    batch = next(iter(training_batches(rated, BATCH, LENGTH)))
    assert set(batch) == {*rated.features["interactions"], "seed"}
    assert (batch["seed"].dtype, batch["seed"].shape) == (tf.int64, (2,))
    for name, dtype in {
        "user": tf.string,
        "user_id": tf.int32,
        "item": tf.int32,
        "label": tf.float32,
        "time": tf.int64,
        "user_count": tf.int64,
        "user_mean_label": tf.float32,
        "rating": tf.float32,
    }.items():
        assert batch[name].dtype == dtype, name
        assert batch[name].shape == (BATCH,), name
    assert batch["history"].dtype == tf.int32
    assert batch["history"].shape == (BATCH, LENGTH)


def test_every_step_has_a_seed_of_its_own_that_a_resumed_run_finds_again(rated: DatasetSpec) -> None:
    whole = [batch["seed"].numpy().tolist() for batch in training_batches(rated, BATCH, LENGTH, seed=7).take(5)]
    assert whole == [[7, step] for step in range(5)]
    resumed = training_batches(rated, BATCH, LENGTH, seed=7, first_step=3).take(2)
    assert [batch["seed"].numpy().tolist() for batch in resumed] == whole[3:]


def test_a_feature_named_as_the_seed_is_refused(rated: DatasetSpec) -> None:
    columns = rated.features["interactions"]
    view = {**columns, "seed": columns["user_count"]}
    clashing = dataclasses.replace(rated, features={**rated.features, "interactions": view})
    with pytest.raises(DataError, match="a feature 'seed'.*rename its column"):
        training_batches(clashing, BATCH, LENGTH)
    training_batches(clashing, BATCH, LENGTH, features=["item", "label"])


def test_histories_are_the_latest_items_on_the_right(rated: DatasetSpec, log_file: Path) -> None:
    events: dict[str, list[str]] = {}
    for user, item, _, _ in sorted(log_rows(log_file), key=lambda row: (row[0], row[2])):
        events.setdefault(user, []).append(item)
    known = {item: number + FIRST_ITEM_ID for number, item in enumerate(rated.vocabulary("item"))}
    for batch in evaluation_batches(rated, "test", 7, LENGTH):
        for user, history in zip(batch["user"].numpy(), batch["history"].numpy(), strict=True):
            expected = [known[item] for item in events[user.decode()][:-1] if item in known][-LENGTH:]
            assert history.tolist() == [0] * (LENGTH - len(expected)) + expected


def test_evaluation_goes_user_by_user(rated: DatasetSpec) -> None:
    users = [user for batch in evaluation_batches(rated, "test", 7, LENGTH) for user in batch["user"].numpy()]
    assert len(users) == rated.records("interactions", "test") == len(set(users))


@pytest.mark.parametrize("large", [False, True])
def test_a_run_that_goes_on_sees_the_batches_it_would_have_seen(rated: DatasetSpec, monkeypatch, large: bool) -> None:
    if large:
        monkeypatch.setattr(records, "CACHE_BYTES", 0)
        monkeypatch.setattr(shuffling, "BUFFER_RECORDS", 50)
    steps = training_rows(rated) // BATCH
    whole = list(training_batches(rated, BATCH, LENGTH, seed=1).take(2 * steps))
    tf.random.set_seed(99)
    rest = training_batches(rated, BATCH, LENGTH, seed=1, first_step=steps).take(steps)
    for expected, batch in zip(whole[steps:], rest, strict=True):
        for name in expected:
            np.testing.assert_array_equal(expected[name], batch[name])
    keys = [[row for batch in part for row in key(rated, batch)] for part in (whole[:steps], whole[steps:])]
    assert keys[0] != keys[1]
    other = next(iter(training_batches(rated, BATCH, LENGTH, seed=2)))
    assert key(rated, other) != key(rated, whole[0])


def test_a_view_beyond_memory_is_mixed_over_its_shards(log_file: Path, tmp_path: Path, monkeypatch) -> None:
    spec = prepare(log_file, tmp_path, partitions=5)
    monkeypatch.setattr(records, "CACHE_BYTES", 0)
    monkeypatch.setattr(shuffling, "BUFFER_RECORDS", 60)
    size = training_rows(spec)
    rows = [row for batch in training_batches(spec, 1, LENGTH).take(size) for row in key(spec, batch)]
    assert len(set(rows)) == size
    # A batch of 40 of about 60 users, drawn from all of them, has about 29 of them.
    assert len({row[0] for row in rows[:40]}) > 20


def test_negatives_and_gzip_read_alike(log_file: Path, tmp_path: Path) -> None:
    options = {"label": None, "negatives": 2}
    plain = prepare(log_file, tmp_path / "plain", **options)
    packed = prepare(log_file, tmp_path / "gzip", compression="gzip", **options)
    for one, other in zip(one_epoch(plain), one_epoch(packed), strict=True):
        assert key(plain, one) == key(packed, other)
    assert "user_mean_label" not in plain.features["interactions"]


def test_only_the_chosen_features_are_read(rated: DatasetSpec) -> None:
    batch = next(iter(training_batches(rated, BATCH, LENGTH, features=("item", "label"))))
    assert set(batch) == {"item", "label", "seed"}


def test_what_is_not_there_is_named(rated: DatasetSpec, spec: DatasetSpec) -> None:
    with pytest.raises(DataError, match="no feature 'age'; they have history, item"):
        training_batches(rated, BATCH, LENGTH, features=("age",))
    with pytest.raises(DataError, match="no view interactions.*--views sequences,interactions"):
        evaluation_batches(spec, "test", BATCH, LENGTH)
