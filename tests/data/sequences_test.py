import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.history_of_a_log import histories, train_histories
from tfrec_zoo.data import records
from tfrec_zoo.data.sequences import evaluation_batches, training_batches, training_records
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, OOV, DatasetSpec

BATCH, LENGTH = 10, 30


def raw(spec: DatasetSpec, rows: np.ndarray) -> set[tuple[str, ...]]:
    items = spec.vocabulary("item")
    return {tuple(items[item - FIRST_ITEM_ID] for item in row if item >= FIRST_ITEM_ID) for row in rows}


def one_epoch(spec: DatasetSpec, **options: object) -> np.ndarray:
    steps = training_records(spec) // BATCH
    batches = training_batches(spec, BATCH, LENGTH, **options).take(steps)
    return np.concatenate([batch["history"].numpy() for batch in batches])


def test_an_epoch_holds_every_train_history_and_no_held_out_item(spec: DatasetSpec, log_file: Path) -> None:
    assert training_records(spec) % BATCH == 0, "the comparison needs whole batches"
    expected = {tuple(items) for items in train_histories(log_file).values()}
    assert raw(spec, one_epoch(spec)) == expected


def test_a_refit_adds_the_validation_target_and_never_the_test_one(spec: DatasetSpec, log_file: Path) -> None:
    known = set(spec.vocabulary("item"))
    every = histories(log_file).values()
    expected = {tuple(i for i in (items[:-1] if len(items) >= 3 else items) if i in known) for items in every}
    assert raw(spec, one_epoch(spec, split="train+valid")) == expected


def test_held_out_records_are_the_last_items(spec: DatasetSpec, log_file: Path) -> None:
    ids = {item: FIRST_ITEM_ID + line for line, item in enumerate(spec.vocabulary("item"))}
    for split, back in (("valid", 2), ("test", 1)):
        found = {}
        for batch in evaluation_batches(spec, split, 7):
            users = [user.decode() for user in batch["user"].numpy()]
            rows = zip(users, batch["history"].numpy(), batch["target"].numpy(), batch["seen"].to_list(), strict=True)
            found.update({user: (row[row > 0].tolist(), int(target), seen) for user, row, target, seen in rows})
        expected = {}
        for user, items in histories(log_file).items():
            if len(items) >= 3:
                seen = [ids.get(item, OOV) for item in items[:-back]]
                history = [item for item in seen if item != OOV]
                expected[user] = (history, ids.get(items[-back], OOV), seen)
        assert found == expected


def test_batches_are_full_right_aligned_and_seeded(spec: DatasetSpec) -> None:
    batches = list(training_batches(spec, 16, LENGTH, seed=3).take(9))
    assert all(batch["history"].shape == (16, LENGTH) for batch in batches)
    assert [batch["seed"].numpy().tolist() for batch in batches] == [[3, step] for step in range(9)]
    for row in np.concatenate([batch["history"] for batch in batches]):
        assert (np.diff((row > 0).astype(int)) >= 0).all(), "PAD is on the left"


@pytest.mark.parametrize("windows", ["random", "latest"])
def test_a_run_that_goes_on_sees_the_batches_it_would_have_seen(spec: DatasetSpec, windows: str) -> None:
    options = {"windows": windows, "seed": 1}
    whole = list(training_batches(spec, 16, 6, **options).take(12))
    rest = training_batches(spec, 16, 6, first_step=7, **options).take(5)
    for expected, batch in zip(whole[7:], rest, strict=True):
        np.testing.assert_array_equal(expected["history"], batch["history"])
        np.testing.assert_array_equal(expected["seed"], batch["seed"])


def test_latest_windows_keep_the_newest_items(spec: DatasetSpec, log_file: Path) -> None:
    expected = {tuple(items[-3:]) for items in train_histories(log_file).values()}
    steps = training_records(spec) // BATCH
    batches = training_batches(spec, BATCH, 3, windows="latest").take(steps)
    assert raw(spec, np.concatenate([batch["history"] for batch in batches])) == expected


def test_another_seed_gives_another_order(spec: DatasetSpec) -> None:
    first, other = (next(iter(training_batches(spec, 16, LENGTH, seed=seed)))["history"] for seed in (0, 1))
    assert (first.numpy() != other.numpy()).any()


def test_the_order_depends_neither_on_the_global_seed_nor_on_earlier_iterations(spec: DatasetSpec) -> None:
    batches = training_batches(spec, 16, LENGTH)
    expected = [batch["history"].numpy() for batch in batches.take(5)]
    tf.random.set_seed(99)
    for again in (batches, training_batches(spec, 16, LENGTH)):
        np.testing.assert_array_equal(expected, [batch["history"].numpy() for batch in again.take(5)])


def test_every_epoch_is_shuffled_anew(spec: DatasetSpec) -> None:
    steps = training_records(spec) // BATCH
    batches = list(itertools.islice(training_batches(spec, BATCH, LENGTH), 2 * steps))
    first, second = (np.concatenate([b["history"] for b in part]) for part in (batches[:steps], batches[steps:]))
    assert raw(spec, first) == raw(spec, second)
    assert (first != second).any()


def test_compressed_shards_read_alike(spec: DatasetSpec, log_file: Path, tmp_path: Path) -> None:
    import beam_jobs

    options = {"input": (str(log_file),), "output": str(tmp_path), "partitions": 2, "quiet": True}
    beam_jobs.prepare(beam_jobs.PrepareOptions(**options, compression="gzip"))
    compressed = training_batches(DatasetSpec.read(tmp_path), BATCH, LENGTH).take(6)
    for plain, unpacked in zip(training_batches(spec, BATCH, LENGTH).take(6), compressed, strict=True):
        np.testing.assert_array_equal(plain["history"], unpacked["history"])


def test_a_corrupt_record_stops_reading(data: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(data, tmp_path / "DATA"))
    spec = DatasetSpec.read(copy)
    shard = Path(spec.paths("sequences", "test")[0])
    content = bytearray(shard.read_bytes())
    content[40] ^= 0xFF
    shard.write_bytes(bytes(content))
    with pytest.raises(tf.errors.DataLossError):
        list(evaluation_batches(spec, "test", 8))


def test_workers_with_their_own_records_see_all_of_them_and_draw_apart(spec: DatasetSpec, log_file: Path) -> None:
    parts = [records.Part(index, 2) for index in range(2)]
    rows = []
    for part in parts:  # shards of 27 and 33 records
        batches = list(training_batches(spec, 3, LENGTH, part=part).take(11))
        rows += [batch["history"].numpy() for batch in batches]
    assert raw(spec, np.concatenate(rows)) == {tuple(items) for items in train_histories(log_file).values()}
    seeds = [next(iter(training_batches(spec, 3, LENGTH, part=part)))["seed"].numpy().tolist() for part in parts]
    assert seeds[0] == [0, 0]
    assert seeds[1] != seeds[0]
