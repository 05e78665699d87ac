"""The reader of the view `transfer`, on a dataset that the prepare job wrote."""

from pathlib import Path

import numpy as np
import pytest

import beam_jobs
from tests.history_of_a_log import histories
from tfrec_zoo.data.transfer import evaluation_batches, training_batches, training_records
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, OOV, DatasetSpec
from tfrec_zoo.errors import DataError

BATCH, LENGTH = 8, 5


@pytest.fixture(scope="module")
def domains(tmp_path_factory: pytest.TempPathFactory, log_file: Path) -> DatasetSpec:
    """The small log as the source; in the target every second of its users chooses four items after that."""
    folder = tmp_path_factory.mktemp("domains")
    target = folder / "target.csv"
    rows = (f"u{user},t{(user + 3 * step) % 9},{5000 + step}\n" for user in range(0, 80, 2) for step in range(4))
    target.write_text("user_id,item_id,timestamp\n" + "".join(rows))
    beam_jobs.prepare(
        beam_jobs.PrepareOptions(
            input=(str(log_file),),
            target_input=(str(target),),
            output=str(folder / "DATA"),
            views=("sequences", "transfer"),
            transfer_split="leave-one-out",
            partitions=2,
            quiet=True,
        )
    )
    return DatasetSpec.read(folder / "DATA")


def test_an_epoch_holds_every_train_record_once(domains: DatasetSpec, log_file: Path) -> None:
    assert training_records(domains) == 2 * 30
    items, targets = domains.vocabulary("item"), domains.vocabulary("target_item")
    source, found = histories(log_file), set()
    for batch in training_batches(domains, 10, LENGTH).take(6):
        for user, history, target in zip(*(batch[name].numpy() for name in ("user", "history", "target")), strict=True):
            known = [item for item in source[user.decode()] if item in set(items)]
            assert [items[item - FIRST_ITEM_ID] for item in history] == known[-LENGTH:]
            found.add((user.decode(), targets[target - FIRST_ITEM_ID]))
    assert found == {(f"u{user}", f"t{(user + 3 * step) % 9}") for user in range(0, 60, 2) for step in range(2)}


def test_held_out_records_carry_what_the_user_has_seen(domains: DatasetSpec) -> None:
    ids = {item: place + FIRST_ITEM_ID for place, item in enumerate(domains.vocabulary("target_item"))}
    for split, step in (("valid", 2), ("test", 3)):
        found = {}
        for batch in evaluation_batches(domains, split, 7):
            columns = (batch["user"].numpy(), batch["target"].numpy(), batch["seen"].to_list())
            found.update({user.decode(): (int(target), seen) for user, target, seen in zip(*columns, strict=True)})
        assert found == {
            f"u{user}": (
                ids.get(f"t{(user + 3 * step) % 9}", OOV),
                [ids.get(f"t{(user + 3 * n) % 9}", OOV) for n in range(step)],
            )
            for user in range(0, 60, 2)
        }


def test_a_run_that_goes_on_sees_the_batches_it_would_have_seen(domains: DatasetSpec) -> None:
    whole = list(training_batches(domains, BATCH, LENGTH, seed=1).take(12))
    rest = training_batches(domains, BATCH, LENGTH, seed=1, first_step=7).take(5)
    for expected, batch in zip(whole[7:], rest, strict=True):
        for name in ("user", "history", "target", "seed"):
            np.testing.assert_array_equal(expected[name], batch[name])
    assert [batch["seed"].numpy().tolist() for batch in whole] == [[1, step] for step in range(12)]
    other = next(iter(training_batches(domains, BATCH, LENGTH, seed=2)))
    assert (other["user"].numpy() != whole[0]["user"].numpy()).any()


def test_a_dataset_without_the_view_is_named(spec: DatasetSpec) -> None:
    with pytest.raises(DataError, match="holds no transfer/train"):
        training_batches(spec, BATCH, LENGTH)
