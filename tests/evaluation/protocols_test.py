"""Training and evaluation on the splits beside leave-one-out, where a user may have many targets, or be new."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

import beam_jobs
from tests.conftest import write_log
from tfrec_zoo.cli import main
from tfrec_zoo.data.sequences import evaluation_batches, training_batches, training_records
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.evaluation.baselines import Popularity
from tfrec_zoo.evaluation.evaluator import Evaluator
from tfrec_zoo.metrics.bootstrap import intervals, paired_difference
from tfrec_zoo.training.train import train

SMALL = {"network": {"dim": 8, "max_length": 6}, "training": {"batch_size": 16, "epochs": 1, "validate_every": 1}}


@pytest.fixture(scope="module", params=["temporal", "user", "random"])
def split_data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    log = write_log(folder / "log.csv")
    options = {"split": request.param, "valid_share": 0.15, "test_share": 0.2, "max_length": 5, "quiet": True}
    beam_jobs.prepare(beam_jobs.PrepareOptions(input=(str(log),), output=str(folder / "DATA"), **options))
    return folder / "DATA"


def log_of(data: Path) -> dict[str, list[str]]:
    """User -> items in the order of time."""
    rows = [line.split(",") for line in (data.parent / "log.csv").read_text().splitlines()[1:]]
    histories = defaultdict(list)
    for user, item, *_ in sorted(rows, key=lambda row: int(row[2])):
        histories[user].append(item)
    return histories


def test_tfrec_evaluate_on_every_protocol(split_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = DatasetSpec.read(split_data)
    # The refit reads shards of its own only where the valid records do not complete the train records.
    refit = spec.split.protocol == "temporal"
    train("bert4rec", split_data, tmp_path / "RUN", config=SMALL, refit=refit, quiet=True)
    command = ["evaluate", "--workdir", str(tmp_path / "RUN"), "--data", str(split_data), "--filter-seen", "--quiet"]
    assert main([*command, "--json", "-"]) == 0
    report = json.loads(capsys.readouterr().out)
    users = {name for batch in evaluation_batches(spec, "test", 64) for name in batch["user"].numpy()}
    assert report["targets"] == spec.records("sequences", "test") > 5
    assert report["users"] == len(users)
    assert (report["users"] == report["targets"]) == (spec.split.protocol == "user")
    assert report["protocol"]["split"] == spec.split.protocol
    low, high = report["intervals"]["ndcg@10"]
    assert 0 <= low <= report["metrics"]["ndcg@10"] <= high <= 1


def test_seen_is_every_earlier_item_and_the_target_comes_next(split_data: Path) -> None:
    spec, log = DatasetSpec.read(split_data), log_of(split_data)
    words = spec.vocabulary("item")
    ids = {item: place + 4 for place, item in enumerate(words)}
    known = {user: [ids.get(item, 1) for item in items] for user, items in log.items()}
    for split in ("valid", "test"):
        for batch in evaluation_batches(spec, split, 16):
            for user, history, target, seen in zip(
                batch["user"].numpy(),
                batch["history"].numpy(),
                batch["target"].numpy(),
                batch["seen"].to_list(),
                strict=True,
            ):
                items = known[user.decode()]
                assert seen == items[: len(seen)]
                assert items[len(seen)] == target
                assert [item for item in history if item] == seen[-5:]
                if spec.split.protocol == "user":
                    assert len(seen) == len(items) - 1


def test_a_refit_sees_train_and_valid_and_nothing_of_test(split_data: Path) -> None:
    spec = DatasetSpec.read(split_data)
    batches = training_batches(spec, 1, 50, split="train+valid", windows="latest")
    whole = len(log_of(split_data))
    refit = spec.records("sequences", "train+valid") or training_records(spec) + spec.records("sequences", "valid")
    assert training_records(spec) <= refit <= whole
    seen = [tuple(batch["history"].numpy()[0]) for batch in batches.take(refit)]
    assert len(set(seen)) > refit // 2
    tests = {
        (*seen_items, target)
        for batch in evaluation_batches(spec, "test", 16)
        for seen_items, target in zip(batch["seen"].to_list(), batch["target"].numpy(), strict=True)
    }
    if spec.split.protocol == "user":
        assert not {tuple(item for item in row if item) for row in seen} & tests


def test_metrics_are_means_over_targets_and_intervals_draw_users(split_data: Path) -> None:
    spec = DatasetSpec.read(split_data)
    evaluation = Evaluator(Popularity(spec), spec, ks=(5,))()
    hits = (evaluation.ranks <= 5).astype(float)
    assert evaluation.metrics["hr@5"] == pytest.approx(hits.mean())
    names = [user for batch in evaluation_batches(spec, "test", 64) for user in batch["user"].numpy()]
    for number in range(evaluation.users.max() + 1):
        assert len({names[row] for row in np.flatnonzero(evaluation.users == number)}) == 1


def test_targets_of_one_user_are_drawn_together() -> None:
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(50), 20)
    values = np.repeat(rng.random(50), 20)
    together = np.subtract(*intervals(values[:, None], users)[::-1])
    alone = np.subtract(*intervals(values[:, None])[::-1])
    # Twenty equal values of a user say no more than one does.
    assert together == pytest.approx(alone * np.sqrt(20), rel=0.15)
    one_each = np.arange(1000)
    np.testing.assert_array_equal(intervals(values[:, None], one_each), intervals(values[:, None]))
    paired = paired_difference(values, np.full(1000, 0.5), users)
    assert paired.wins + paired.ties + paired.losses == 50
    assert paired.high - paired.low == pytest.approx(float(together[0]), rel=0.15)
