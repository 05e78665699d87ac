from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ITEMS, USERS, write_log
from tfrec_zoo.benchmarks.label_accuracy import ABLATIONS, MODELS, auc_difference, run
from tfrec_zoo.errors import DataError
from tfrec_zoo.evaluation.pointwise import PointwiseEvaluation
from tfrec_zoo.metrics.binary import summarize


@pytest.fixture
def movielens(tmp_path: Path) -> Path:
    """A small log in the form of MovieLens."""
    write_log(tmp_path / "interactions.csv")
    users = [f"u{user},{20 + user % 40},{'FM'[user % 2]},other,0" for user in range(USERS)]
    items = [f"i{item:02d},A film,{1960 + item},{'Drama War' if item % 3 else 'Comedy'}" for item in range(ITEMS)]
    for name, lines in (
        ("users", ["user_id,age,gender,occupation,zip_code", *users]),
        ("items", ["item_id,movie_title,release_year,class", *items]),
    ):
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.mark.slow
def test_a_row_for_every_scorer(movielens: Path) -> None:
    settings = {"training.epochs": 1, "training.batch_size": 64, "network.units": [8], "network.dim": 4}
    grid = [{"training.learning_rate": rate} for rate in (0.001, 0.01)]
    rows = run(movielens, splits=("random",), seeds=(0,), grid=grid, settings=settings)
    names = [*MODELS, *ABLATIONS, "popularity", "two means"]
    assert [row["model"] for row in rows] == names
    for row in rows:
        assert 0 <= row["auc"] <= 1
        assert (row["auc - dssm"] == "") is (row["model"] == "dssm")
    chosen = {row["model"]: row["chosen on valid"] for row in rows}
    assert chosen["inttower without CIR"] == f"{chosen['inttower']}, cir_weight 0.0"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"interactions.csv is missing"):
        run(tmp_path)


def _evaluation(logits: np.ndarray, labels: np.ndarray, users: np.ndarray) -> PointwiseEvaluation:
    return PointwiseEvaluation(summarize(logits, labels, users), logits, labels, users)


def test_the_difference_of_auc_is_paired_over_users_and_a_mean_over_seeds() -> None:
    rng = np.random.default_rng(0)
    users, labels = np.repeat(np.arange(100), 10), rng.random(1000) < 0.5
    noisy = [labels + rng.normal(0, 2, 1000) for _ in range(2)]
    weak = [_evaluation(logits, labels, users) for logits in noisy]
    strong = [_evaluation(logits + 0.5 * labels, labels, users) for logits in noisy]
    difference, low, high = auc_difference(strong, weak)
    means = [np.mean([each.metrics["auc"] for each in side]) for side in (strong, weak)]
    assert difference == pytest.approx(means[0] - means[1])
    assert 0 < low < difference < high
    assert auc_difference(weak, weak) == (0.0, 0.0, 0.0)
