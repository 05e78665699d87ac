import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.report_test import resplit
from tfrec_zoo.cli import main
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ConfigError, DataError
from tfrec_zoo.evaluation.comparison import compare_runs, print_comparison
from tfrec_zoo.evaluation.evaluator import Evaluator
from tfrec_zoo.metrics.ranking import ndcg
from tfrec_zoo.runs.run_directory import RunDirectory


def test_the_difference_is_that_of_the_same_users(runs: tuple[Path, Path], data: Path, spec: DatasetSpec) -> None:
    result = compare_runs(*runs, data, metric="ndcg@5", filter_seen=True, quiet=True)
    values = [
        ndcg(Evaluator(RunDirectory.open(run).load_model(spec), spec, filter_seen=True, ks=(5,))().ranks, 5)
        for run in runs
    ]
    difference = values[0] - values[1]
    assert result["difference"] == pytest.approx(difference.mean())
    assert result["difference"] == pytest.approx(result["first"]["value"] - result["second"]["value"])
    assert [result[name] for name in ("wins", "ties", "losses")] == [
        int(np.sum(difference > 0)),
        int(np.sum(difference == 0)),
        int(np.sum(difference < 0)),
    ]
    low, high = result["interval"]
    assert low <= result["difference"] <= high
    assert 0 < result["p_value"] <= 1


def test_a_run_beside_itself_is_no_difference(
    runs: tuple[Path, Path], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = compare_runs(runs[0], runs[0], data, metric="mrr", quiet=True)
    assert (result["difference"], result["p_value"], result["ties"]) == (0, 1, result["users"])
    print_comparison(result)
    assert "no clear difference" in capsys.readouterr().out


def test_runs_of_different_splits_are_refused(runs: tuple[Path, Path], data: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(runs[1], tmp_path / "RUN"))
    content = json.loads((other / "train.json").read_text())
    (other / "train.json").write_text(json.dumps({**content, "split_hash": "0" * 32}))
    with pytest.raises(DataError, match="were trained on different splits"):
        compare_runs(runs[0], other, data, quiet=True)
    with pytest.raises(DataError, match="was trained on another split"):
        compare_runs(*runs, resplit(data, tmp_path / "DATA"), quiet=True)


def test_the_dataset_is_the_one_of_the_card(
    runs: tuple[Path, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(runs[0], tmp_path / "RUN"))
    with pytest.raises(ConfigError, match="no result card that names its dataset.*--data"):
        compare_runs(run, runs[1], quiet=True)
    assert main(["evaluate", "--workdir", str(run), "--data", str(data), "--quiet"]) == 0
    capsys.readouterr()
    assert main(["compare", str(run), str(runs[1]), "--filter-seen", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["protocol"]["filter_seen"] is True


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("auc", "there is no metric 'auc'; choose mrr or one of ndcg, hr"),
        ("ndcg", "there is no metric 'ndcg'"),
        ("hr@0", "k = 0 is out of range"),
        ("hr@41", "k = 41 is out of range: the catalogue has 40 items"),
    ],
)
def test_other_metrics_are_refused(metric: str, message: str, runs: tuple[Path, Path], data: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        compare_runs(*runs, data, metric=metric, quiet=True)
