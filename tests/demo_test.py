"""The two long proofs: the demo's road with its learned share, and ML-100K where the data is at hand."""

import csv
import json
from pathlib import Path

import pytest

from tests.cli_test import tfrec
from tests.history_of_a_log import histories
from tests.road_test import check_stock_client

ML_100K = Path(__file__).parents[2] / "shared" / "data" / "ml-100k" / "interactions.csv"


@pytest.mark.slow
def test_the_demo_learns_and_serves(tmp_path: Path) -> None:
    done = tfrec("demo", "--workdir", tmp_path / "demo", "--json", tmp_path / "demo.json", timeout=3600)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "demo.json").read_text())
    assert result["share_learned"] >= 0.5
    assert len(result["query"]["item_ids"]) == 10
    assert not set(result["query"]["item_ids"]) & set(result["query"]["history"])
    assert result["query"]["item_ids"][0] in done.stdout


def test_the_demo_never_empties_a_folder_of_others(tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text("mine")
    done = tfrec("demo", "--workdir", tmp_path)
    assert done.returncode == 1
    assert "not of an earlier demo" in done.stderr
    assert (tmp_path / "demo.json").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.skipif(not ML_100K.is_file(), reason="ML-100K is not at hand; its licence forbids shipping it")
def test_bert4rec_on_ml_100k(tmp_path: Path) -> None:
    data, run = tmp_path / "DATA", tmp_path / "RUN"
    exported = tmp_path / "bert4rec"
    steps = [
        ["prepare", "--input", ML_100K, "--output", data],
        ["train", "bert4rec", "--data", data, "--workdir", run, "--refit", "--json", tmp_path / "train.json"],
        ["evaluate", "--workdir", run, "--data", data, "--filter-seen", "--json", tmp_path / "evaluate.json"],
        ["export", "--workdir", run, "--data", data, "--output", exported],
    ]
    for step in steps:
        done = tfrec(*step, timeout=3600)
        assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "evaluate.json").read_text())
    with ML_100K.open(newline="") as file:
        assert report["users"] == len({row["user_id"] for row in csv.DictReader(file)}) == 943
    assert report["metrics"]["ndcg@10"] >= 0.085
    assert report["metrics"]["ndcg@10"] > report["baselines"]["markov"]["ndcg@10"]
    assert report["baselines"]["markov"]["ndcg@10"] > report["baselines"]["popularity"]["ndcg@10"]
    check_stock_client(tmp_path, list(histories(ML_100K).values())[:100])
