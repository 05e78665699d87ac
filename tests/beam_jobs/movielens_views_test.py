"""MovieLens 100K with its users and items in all views; skipped without the data."""

from pathlib import Path

import numpy as np
import pytest

from tests.beam_jobs.conftest import run
from tfrec_zoo.data.interactions import evaluation_batches, training_batches, training_rows
from tfrec_zoo.data.items import item_batches
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
