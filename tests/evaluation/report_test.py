"""`tfrec evaluate` as a user meets it: figures, intervals, card, and what it refuses."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from tfrec_zoo.cli import main
from tfrec_zoo.dataset_spec import DatasetSpec, SplitSpec
from tfrec_zoo.errors import ConfigError, DataError
from tfrec_zoo.evaluation.report import evaluate_run, print_report


def resplit(data: Path, copy: Path) -> Path:
    """The same dataset under another split hash, as a split by other options would have."""
    shutil.copytree(data, copy)
    spec = DatasetSpec.read(copy)
    dataclasses.replace(spec, split=SplitSpec("leave-one-out", "0" * 32)).write(copy)
    return copy


def test_every_metric_has_its_place(run: Path, data: Path) -> None:
    report = evaluate_run(run, data, filter_seen=True, quiet=True)
    metrics = report["metrics"]
    for k in (1, 5, 10, 20):
        for name in ("ndcg", "hr", "mrr", "recall", "map"):
            low, high = report["intervals"][f"{name}@{k}"]
            assert low <= metrics[f"{name}@{k}"] <= high
    for name in ("coverage", "gini", "novelty", "popularity", "popularity_ratio", "diversity"):
        assert metrics[f"{name}@10"] >= 0
        assert f"{name}@10" not in report["intervals"]
    for baseline in ("popularity", "markov"):
        assert set(report["baselines"][baseline]) == set(metrics)
        assert set(report["baseline_intervals"][baseline]) == set(report["intervals"])
    assert report["protocol"]["candidates"] == "whole catalogue"
    assert sum(group["targets"] for group in report["groups"]["history"].values()) == report["targets"]
    assert json.loads(json.dumps(report)) == report


def test_the_card_holds_what_is_needed_to_repeat(run: Path, data: Path, spec: DatasetSpec) -> None:
    command = ["evaluate", "--workdir", str(run), "--data", str(data), "--filter-seen", "--json", "-"]
    assert main(command) == 0
    card = json.loads((run / "result_card.json").read_text())
    assert card["command"].startswith("tfrec evaluate --workdir")
    assert card["dataset"]["split_hash"] == spec.split.hash
    assert card["config"]["network"]["dim"] == 16
    assert card["seed"] == 0
    assert card["parameters"] == json.loads((run / "train.json").read_text())["parameters"]
    assert card["seconds"]["train"] > 0
    assert {"tensorflow", "keras", "python"} <= set(card["versions"])
    assert card["hardware"]["cpus"] >= 1
    page = (run / "result_card.md").read_text()
    assert f"| ndcg@10 | {card['metrics']['ndcg@10']:.4f} [" in page
    assert "seen items filtered" in page
    assert not list(run.glob(".*")), "written whole, nothing left over"


def test_no_card_for_valid_sampled_or_on_request(run: Path, data: Path) -> None:
    evaluate_run(run, data, split="valid", quiet=True)
    evaluate_run(run, data, sampled="uniform:20", quiet=True)
    evaluate_run(run, data, card=False, quiet=True)
    assert not (run / "result_card.json").exists()


def test_sampled_figures_are_labelled_everywhere(run: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = evaluate_run(run, data, sampled="popularity:10", seed=3, quiet=True)
    label = "sampled: target and 10 popularity negatives, seed 3"
    assert report["protocol"]["candidates"] == label
    print_report(report, groups=True)
    out = capsys.readouterr().out
    assert label in out.splitlines()[0]
    assert "whole catalogue" not in out
    assert "ndcg@10" in report["metrics"]
    assert "ndcg@20" not in report["metrics"], "the target is among 11 items"
    assert "coverage@10" not in report["metrics"]


def test_tables_show_intervals_and_groups(run: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = evaluate_run(run, data, ks=(3,), quiet=True)
    print_report(report, groups=True)
    out = capsys.readouterr().out
    low, high = report["intervals"]["ndcg@3"]
    assert f"{report['metrics']['ndcg@3']:.4f} [{low:.4f}, {high:.4f}]" in out
    assert "by popularity" in out
    assert "head" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ks", "0"], "k = 0 is out of range: the catalogue has 40 items"),
        (["--ks", "41"], "k = 41 is out of range"),
        (["--continuations", "8:3"], "bert4rec generates nothing; leave --continuations out"),
        (["--diverse"], "bert4rec has no diversified prediction; leave --diverse out"),
        (["--sampled", "normal:3"], "uniform:N or popularity:N"),
        (["--sampled", "uniform:10", "--ks", "12"], "the target is among 11 items"),
    ],
)
def test_bad_input_is_one_clear_line(
    arguments: list[str], message: str, run: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--workdir", str(run), "--data", str(data), "--quiet", *arguments]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_a_run_of_another_split_is_refused(run: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="was trained on another split .* may contain these targets"):
        evaluate_run(run, resplit(data, tmp_path / "DATA"), quiet=True)


def test_a_dataset_of_one_user_has_an_interval_that_is_a_point(runs: tuple[Path, Path], tmp_path: Path) -> None:
    import beam_jobs
    from tfrec_zoo.training.train import train

    log = tmp_path / "log.csv"
    rows = [f"ada,i{number},{number}" for number in range(6)]
    log.write_text("\n".join(["user_id,item_id,timestamp", *rows]) + "\n")
    beam_jobs.prepare(beam_jobs.PrepareOptions(input=(str(log),), output=str(tmp_path / "DATA"), quiet=True))
    config = {"network": {"dim": 8, "max_length": 4}, "training": {"batch_size": 1, "epochs": 1}}
    train("bert4rec", tmp_path / "DATA", tmp_path / "RUN", config=config, quiet=True)
    report = evaluate_run(tmp_path / "RUN", tmp_path / "DATA", filter_seen=True, quiet=True)
    assert report["users"] == 1
    for name, (low, high) in report["intervals"].items():
        assert low == high == report["metrics"][name]


def test_a_folder_that_is_no_run_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a run"):
        evaluate_run(tmp_path, data, quiet=True)
