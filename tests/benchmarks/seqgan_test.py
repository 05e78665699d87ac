"""The benchmarks of SeqGAN on a small vocabulary; the oracle's file."""

from pathlib import Path

import numpy as np
import pytest

from tfrec_zoo.benchmarks import seqgan_cost, seqgan_oracle
from tfrec_zoo.benchmarks.likelihood_ratio import LikelihoodRatio
from tfrec_zoo.benchmarks.oracle_language import draw_oracle, read_oracle
from tfrec_zoo.benchmarks.registry import bench
from tfrec_zoo.benchmarks.seqgan_oracle import ARMS, Experiment, Point, frontier_at
from tfrec_zoo.benchmarks.seqgan_schedule import Rounds
from tfrec_zoo.errors import ConfigError, DataError


def oracle_file(path: Path, tokens: int = 30, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {f"{kind}_{gate}": (32, 32) for kind in "WU" for gate in "ifoc"} | {f"b_{gate}": (32,) for gate in "ifoc"}
    shapes |= {"emb": (tokens, 32), "W_out": (32, tokens), "b_out": (tokens,)}
    weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    np.savez(path, **weights)
    return weights


def test_the_likelihood_of_a_hand_made_oracle_is_exact(tmp_path: Path) -> None:
    weights = oracle_file(tmp_path / "oracle.npz")
    tokens = np.random.default_rng(1).integers(0, 30, (4, 20))
    total = 0.0
    for sequence in tokens:
        h, c, last = np.zeros(32), np.zeros(32), 0
        for token in sequence:
            x = weights["emb"][last]
            i, f, o, g = (x @ weights[f"W_{k}"] + h @ weights[f"U_{k}"] + weights[f"b_{k}"] for k in "ifoc")
            c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
            h = np.tanh(c) / (1 + np.exp(-o))
            logits = h @ weights["W_out"] + weights["b_out"]
            total -= logits[token] - np.log(np.exp(logits).sum())
            last = token
    found = read_oracle(tmp_path / "oracle.npz").nll((tokens + 4).astype(np.int32))
    assert found == pytest.approx(total / tokens.size, rel=1e-5)


def test_an_oracle_is_likelier_to_write_than_another(tmp_path: Path) -> None:
    oracle = draw_oracle(vocabulary=50)
    assert oracle.nll(oracle.write(500, seed=0)) < oracle.nll(draw_oracle(seed=1, vocabulary=50).write(500, seed=0))
    cold = oracle.write(500, seed=0, temperature=0.5)
    assert oracle.nll(cold) < oracle.nll(oracle.write(500, seed=0))


def test_what_is_no_oracle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_oracle(tmp_path / "none.npz")
    weights = oracle_file(tmp_path / "oracle.npz")
    del weights["b_out"]
    np.savez(tmp_path / "torn.npz", **weights)
    with pytest.raises(DataError, match=r"torn.npz is no oracle .*b_out"):
        read_oracle(tmp_path / "torn.npz")
    with pytest.raises(ConfigError, match="--oracle FILE, not --data"):
        bench("seqgan-oracle", "DATA")


def test_the_frontier_is_linear_between_temperatures() -> None:
    frontier = [Point(0, 9.0, 8.0, 1.0, 1.0, 0.0, 9.0), Point(0, 8.0, 9.0, 1.0, 1.0, 0.0, 8.0)]
    assert frontier_at(frontier, 8.25) == pytest.approx(8.75)
    assert frontier_at(frontier, 9.5) is None


def test_the_likelihood_ratio_tells_two_languages_apart() -> None:
    real, written = draw_oracle(vocabulary=50), draw_oracle(seed=1, vocabulary=50)
    judge = LikelihoodRatio(real, written)
    for language, sign in ((real, 1), (written, -1)):
        sequences = language.write(300, seed=0)
        logits = judge(sequences).numpy()
        np.testing.assert_allclose(logits, written.nlls(sequences) - real.nlls(sequences), atol=1e-4)
        assert (np.sign(logits) == sign).mean() > 0.95


@pytest.mark.parametrize(("collapses", "counted", "measured"), [(False, 2, 3), (True, 0, 2)])
def test_no_round_counts_after_a_collapse(
    collapses: bool, counted: int, measured: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seqgan_oracle, "_TRAIN", 640)
    monkeypatch.setattr(seqgan_oracle, "_HELD_OUT", 256)
    monkeypatch.setattr(seqgan_oracle, "_CURVE", 256)
    monkeypatch.setattr(seqgan_oracle, "_ROUNDS_BETWEEN_MEASURES", 1)
    monkeypatch.setattr(seqgan_oracle.generation, "has_collapsed", lambda *figures: collapses)
    monkeypatch.setattr(seqgan_oracle, "ARMS", ARMS[:1])
    experiment = Experiment(draw_oracle(vocabulary=30), seed=0, epochs=1, rounds=Rounds(count=2))
    experiment.run()
    assert experiment.rows[-1]["arm"] == "constant reward"
    assert experiment.rows[-1]["step"] == counted
    assert len(experiment.curves["constant reward"]) == measured


@pytest.mark.slow
def test_a_row_for_every_arm_and_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seqgan_oracle, "_TRAIN", 1280)
    monkeypatch.setattr(seqgan_oracle, "_HELD_OUT", 1024)
    monkeypatch.setattr(seqgan_oracle, "_CURVE", 1024)
    oracle_file(tmp_path / "oracle.npz", tokens=60)
    page = tmp_path / "page.html"
    rows = seqgan_oracle.run(oracle=tmp_path / "oracle.npz", report=page, quick=True, epochs=2, rounds=1)
    arms = [row["arm"] for row in rows]
    assert arms[0] == "random"
    assert arms[-4:] == ["constant reward", "SeqGAN", "SeqGAN, baseline", "SeqGAN, likelihood ratio"]
    for name in ("temperature", "best epoch, temperature"):
        assert [f"{name} {value}" in arms for value in seqgan_oracle.TEMPERATURES] == [True] * 5
    assert rows[1]["NLL_test"] < rows[0]["NLL_test"]
    assert page.read_text().count('<svg class="chart"') == 4


@pytest.mark.slow
def test_the_parts_of_a_round_add_up() -> None:
    rows = seqgan_cost.run(vocabulary=60)
    assert rows[-1]["CPU s in a round"] == pytest.approx(sum(row["CPU s in a round"] for row in rows[:-1]), abs=0.2)
    assert rows[1]["ratio"] > 0
