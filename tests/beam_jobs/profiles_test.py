"""The view `profiles`, bands of numbers, and the reader of both, on a real run."""

from pathlib import Path

import numpy as np
import pytest

from beam_jobs import PrepareOptions
from tests.beam_jobs.conftest import run
from tfrec_zoo.data.profiles import evaluation_batches, training_batches, training_records
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec
from tfrec_zoo.errors import ConfigError, DataError

USERS = 40
PROFILES = {"views": ("sequences", "profiles"), "profile_labels": ("gender", "age_band"), "numeric": ("age",)}


def inputs(write) -> tuple[Path, Path]:
    log = "".join(f"u{user},i{(user + step) % 12},{step}\n" for user in range(USERS) for step in range(5))
    # The age of u0 and the gender of u1 are missing; u2 is not in the table at all.
    ages = ["" if user == 0 else str(15 + user) for user in range(USERS)]
    genders = ["" if user == 1 else "FM"[user % 2] for user in range(USERS)]
    rows = [f"u{user},{ages[user]},{genders[user]}\n" for user in range(USERS) if user != 2]
    return write(log), write("".join(rows), "users.csv", header="user_id,age,gender")


@pytest.fixture(scope="module")
def profiles(tmp_path_factory: pytest.TempPathFactory) -> DatasetSpec:
    folder = tmp_path_factory.mktemp("profiles")

    def write(rows: str, name: str = "log.csv", header: str = "user_id,item_id,timestamp") -> Path:
        (folder / name).write_text(f"{header}\n{rows}")
        return folder / name

    log, users = inputs(write)
    options = {**PROFILES, "bands": {"age": (18, 25, 35)}, "valid_share": 0.2, "test_share": 0.3, "max_length": 4}
    return run(log, folder / "DATA", users=str(users), partitions=2, **options)


def found(spec: DatasetSpec, label: str) -> dict[str, tuple[str, list[str], str]]:
    """User -> split, history and class."""
    classes, items = [*spec.vocabulary(label), None], ["", *[""] * 3, *spec.vocabulary("item")]
    users = {}
    for split in ("train", "valid", "test"):
        for batch in evaluation_batches(spec, label, split, 7):
            columns = (batch[name].numpy() for name in ("user", "history", "class"))
            for user, history, code in zip(*columns, strict=True):
                users[user.decode()] = (split, [items[item] for item in history], classes[code])
    return users


def test_every_user_has_one_record_with_its_class(profiles: DatasetSpec):
    genders, bands = found(profiles, "gender"), found(profiles, "age_band")
    assert set(genders) == {f"u{user}" for user in range(USERS)}
    for number in range(USERS):
        user, age = f"u{number}", 15 + number
        assert genders[user][1] == [f"i{(number + step) % 12}" for step in range(1, 5)]
        assert genders[user][2] == (None if number in (1, 2) else "FM"[number % 2])
        band = "(-inf,18)" if age < 18 else "[18,25)" if age < 25 else "[25,35)" if age < 35 else "[35,inf)"
        assert bands[user][2] == (None if number in (0, 2) else band)
    assert len({split for split, _, _ in genders.values()}) == 3
    assert profiles.features["profiles"]["age_band"].vocabulary == "vocab/age_band.txt"


def test_the_users_held_out_are_those_of_the_split_by_user(profiles: DatasetSpec, write, tmp_path):
    log, users = inputs(write)
    options = {**PROFILES, "bands": {"age": (18,)}, "valid_share": 0.2, "test_share": 0.3, "split": "user"}
    other = run(log, tmp_path / "out", users=str(users), partitions=5, **options)
    assert {u: row[0] for u, row in found(other, "gender").items()} == {
        u: r[0] for u, r in found(profiles, "gender").items()
    }
    assert set(other.vocabulary("user")) == {user for user, row in found(other, "gender").items() if row[0] == "train"}


def test_training_batches_repeat_and_go_on(profiles: DatasetSpec):
    assert training_records(profiles) == len([1 for row in found(profiles, "gender").values() if row[0] == "train"])
    whole = list(training_batches(profiles, "gender", 5, 3, seed=1).take(8))
    rest = training_batches(profiles, "gender", 5, 3, seed=1, first_step=3).take(5)
    for expected, batch in zip(whole[3:], rest, strict=True):
        for name in ("user", "history", "class"):
            np.testing.assert_array_equal(expected[name], batch[name])
    assert whole[0]["history"].shape == (5, 3)
    assert whole[0]["history"].numpy().min() >= FIRST_ITEM_ID
    with pytest.raises(DataError, match="no feature 'income'"):
        training_batches(profiles, "income", 5, 3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"views": ("profiles",)}, "needs --users, and --profile-labels"),
        ({"profile_labels": ("gender",)}, "only the view profiles"),
        ({"users": "u.csv", "bands": {"age": (30, 20)}, "numeric": ("age",)}, "ascending"),
        ({"users": "u.csv", "bands": {"age": (20,)}}, "name age in numeric too"),
    ],
)
def test_wrong_options_are_named(options, said):
    with pytest.raises(ConfigError, match=said):
        PrepareOptions(input=("log.csv",), output="out", **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"profile_labels": ("age",), "numeric": ("age",)}, "age is no category of --users; those are gender.*--bands"),
        ({"profile_labels": ("income",)}, "income is no category"),
        ({"profile_labels": ("gender",), "numeric": ("agee",)}, "--numeric names 'agee'"),
    ],
)
def test_a_label_that_the_table_lacks_is_named(write, tmp_path, options, said):
    log, users = inputs(write)
    with pytest.raises(DataError, match=said):
        run(log, tmp_path / "out", users=str(users), views=("profiles",), **options)
    assert not (tmp_path / "out").exists()
