"""MovieLens 100K with its users and items in all views; skipped without the data."""

from pathlib import Path

import numpy as np
import pytest

from tests.beam_jobs.conftest import run
from tfrec_zoo.data.interactions import evaluation_batches, training_batches, training_rows
from tfrec_zoo.data.items import item_batches
from tfrec_zoo.data.profiles import evaluation_batches as profile_batches
from tfrec_zoo.data.transfer import evaluation_batches as transfer_batches
from tfrec_zoo.dataset_spec import DatasetSpec

ML_100K = Path(__file__).resolve().parents[3] / "shared/data/ml-100k"
pytestmark = pytest.mark.skipif(not (ML_100K / "items.csv").exists(), reason="MovieLens 100K is not here")


@pytest.fixture(scope="module")
def movielens(tmp_path_factory: pytest.TempPathFactory) -> DatasetSpec:
    return run(
        ML_100K / "interactions.csv",
        tmp_path_factory.mktemp("ml") / "DATA",
        users=str(ML_100K / "users.csv"),
        items=str(ML_100K / "items.csv"),
        features=("age", "gender", "occupation", "release_year", "class"),
        numeric=("age", "release_year"),
        multi={"class": " "},
        views=("sequences", "interactions", "items"),
        split="random",
        valid_share=0,
        test_share=0.2,
        label="rating > 3",
        drop="rating == 3",
    )


def test_rows_users_and_items_are_all_there(movielens: DatasetSpec):
    # 72,855 rows have a rating other than 3, see the published protocol.
    assert movielens.records("interactions", "train") + movielens.records("interactions", "test") == 72_855
    assert movielens.records("items", "all") == movielens.catalog_size
    assert movielens.vocabulary("gender") == ["M", "F"]
    assert len(movielens.vocabulary("class")) == 18
    assert len(movielens.vocabulary("occupation")) == 21


def test_rows_carry_the_features_of_their_user_and_item(movielens: DatasetSpec):
    batch = next(iter(training_batches(movielens, 512, 20)))
    users = dict(line.split(",")[0::2][:2] for line in (ML_100K / "users.csv").read_text().splitlines()[1:])
    gender = ["", "", "", "", *movielens.vocabulary("gender")]
    assert [gender[code] for code in batch["gender"].numpy()] == [
        users[user.decode()] for user in batch["user"].numpy()
    ]
    items = {
        int(i): f for b in item_batches(movielens, 100) for i, f in zip(b["id"], b["class"].to_list(), strict=True)
    }
    pairs = zip(batch["item"].numpy(), batch["class"].to_list(), strict=True)
    assert all(items[item] == classes for item, classes in pairs if item >= 4)


def test_two_leak_free_means_predict_what_they_should(movielens: DatasetSpec):
    """Logistic regression on the two mean labels: about .832 of AUC; means that see test labels would give .89."""
    names = ("user_mean_label", "item_mean_label", "label")
    steps = training_rows(movielens) // 4096
    parts = []
    for batches in (
        training_batches(movielens, 4096, 1, features=names).take(steps),
        evaluation_batches(movielens, "test", 4096, 1, features=names),
    ):
        parts.append(np.concatenate([np.stack([batch[name] for name in names], 1) for batch in batches]).astype(float))
    (train, test), weights = parts, np.zeros(3)
    inputs, labels = np.c_[np.ones(len(train)), train[:, :2]], train[:, 2]
    for _ in range(20):
        p = 1 / (1 + np.exp(-inputs @ weights))
        weights += np.linalg.solve((inputs.T * (p * (1 - p))) @ inputs, inputs.T @ (labels - p))
    score = test[:, :2] @ weights[1:]
    ranks = np.empty(len(score))
    ranks[np.argsort(score, kind="stable")] = np.arange(1, len(score) + 1)
    positive = test[:, 2] == 1
    auc = (ranks[positive].sum() - positive.sum() * (positive.sum() + 1) / 2) / (positive.sum() * (~positive).sum())
    assert 0.822 < auc < 0.842


def test_two_domains_of_movielens(tmp_path: Path):
    """Even items are the source, odd ones the target; users are asked for their gender and age band."""
    header, *lines = (ML_100K / "interactions.csv").read_text().splitlines()
    for name, odd in (("source.csv", 0), ("target.csv", 1)):
        half = [line for line in lines if int(line.split(",")[1]) % 2 == odd]
        (tmp_path / name).write_text("\n".join([header, *half]) + "\n")
    spec = run(
        tmp_path / "source.csv",
        tmp_path / "DATA",
        target_input=(str(tmp_path / "target.csv"),),
        users=str(ML_100K / "users.csv"),
        features=("age", "gender"),
        numeric=("age",),
        bands={"age": (18, 25, 35, 45, 50, 56)},
        views=("sequences", "transfer", "profiles"),
        profile_labels=("gender", "age_band"),
        transfer_history="all",
    )
    records = {split: spec.records("transfer", split) for split in ("train", "valid", "test")}
    assert spec.target.common_users == spec.users == 943
    assert sum(records.values()) == spec.target.interactions
    assert 0.05 < records["test"] / sum(records.values()) < 0.15
    assert not {int(item) % 2 for item in spec.vocabulary("item")} & {
        int(i) % 2 for i in spec.vocabulary("target_item")
    }
    assert sum(spec.records("profiles", split) for split in records) == 943
    assert len(spec.vocabulary("age_band")) == 7
    test = {user for batch in transfer_batches(spec, "test", 512) for user in batch["user"].numpy()}
    assert test == {user for batch in profile_batches(spec, "gender", "test", 512) for user in batch["user"].numpy()}
