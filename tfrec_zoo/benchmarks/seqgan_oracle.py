"""`tfrec bench seqgan-oracle`: what adversarial training wins over likelihood, temperatures and a constant reward.

An oracle writes the data, so two figures are known: NLL_oracle, of what a generator writes under the oracle (quality),
and NLL_test, of the oracle's held-out sequences under the generator (it falls where variety is lost). Either alone can
be won cheaply: a temperature below 1 trades the second for the first. So every arm stands beside the frontiers that
temperatures of the likelihood's generator draw, at equal NLL_test: of the epoch that all arms start from, and of the
best one. And beside a policy gradient whose reward is constant, which needs no discriminator. Both figures miss one
thing: a generator that writes an item over and over, which the oracle likes, and which NLL_test hardly sees. So the
sequences with such loops are counted, and an arm ends where it collapses.

Yu et al., SeqGAN, AAAI 2017, section 4; Caccia et al., Language GANs Falling Short, ICLR 2020.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrec_zoo.benchmarks.likelihood_ratio import LikelihoodRatio
from tfrec_zoo.benchmarks.oracle_language import Language, draw_oracle, read_oracle
from tfrec_zoo.benchmarks.progress import told
from tfrec_zoo.benchmarks.seqgan_page import write_page
from tfrec_zoo.benchmarks.seqgan_schedule import Rounds, SeqGANSchedule
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.metrics import generation
from tfrec_zoo.metrics.classification import auc

TEMPERATURES = (1.0, 0.9, 0.8, 0.7, 0.6)
BASE_FRONTIER, BEST_FRONTIER = "temperatures", "best epoch's temperatures"
BUDGET = 0.5
"""Nats of held-out NLL that an arm may lose; the last measured round within, and before any collapse, counts."""

_TRAIN, _HELD_OUT, _CURVE = 10_000, 9_984, 2_048
_ROUNDS_BETWEEN_MEASURES = 5
_BASE_EPOCH = 15
# Three passes at this rate are where the discriminator knows held-out sequences best; later it knows those it has seen.
_ROUNDS = Rounds(count=100, sets=1, sequences=1280, pretraining_sets=3, epochs=1)
_JUDGE_RATE = 1e-3
_QUICK = dataclasses.replace(_ROUNDS, count=3, sequences=640, pretraining_sequences=640)

JUDGED = ("AUC seen", "AUC held out", "verdict and NLL_oracle")
"""Of the judge before the first round: how well it tells training and held-out sequences from written ones, and
the correlation of its verdicts on written ones with their NLL_oracle, which is negative where it knows quality."""

CONSTANT, DISCRIMINATOR, RATIO = "constant", "discriminator", "likelihood ratio"


@dataclasses.dataclass(frozen=True)
class Arm:
    """A way to improve on likelihood.

    Attributes:
        name: In the table.
        judge: Who rewards.
        baseline: Whether rewards are taken above the mean of the batch's other rows.
        samples: Completions of a prefix.
    """

    name: str
    judge: str
    baseline: bool = False
    samples: int = 16


ARMS = (
    Arm("constant reward", CONSTANT),
    Arm("SeqGAN", DISCRIMINATOR),
    Arm("SeqGAN, baseline", DISCRIMINATOR, baseline=True),
    # Its verdict takes two softmaxes over the vocabulary for every item of every completion.
    Arm("SeqGAN, likelihood ratio", RATIO, baseline=True, samples=4),
)


@dataclasses.dataclass(frozen=True)
class Point:
    """A generator at one moment.

    Attributes:
        step: Epoch, or round.
        nll_oracle: Of what it writes.
        nll_test: Of the oracle's held-out sequences.
        distinct: Share of different pairs in what it writes.
        entropy: Of the items in it, nats.
        loops: Share of sequences in it that have an item three times in a row.
        without_loops: NLL_oracle of the others; None where there are none.
    """

    step: int
    nll_oracle: float
    nll_test: float
    distinct: float
    entropy: float
    loops: float
    without_loops: float | None


def run(
    data: str | os.PathLike[str] | None = None,
    *,
    oracle: str | os.PathLike[str] | None = None,
    report: str | os.PathLike[str] | None = None,
    seeds: Sequence[int] = (0, 1),
    epochs: int = 40,
    rounds: int | None = None,
    quick: bool = False,
) -> list[dict[str, Any]]:
    """Trains every arm and measures it.

    Args:
        data: Not taken: the oracle writes the data.
        oracle: Its file; default: one drawn by the same recipe.
        report: HTML page to write, with the curves and the frontier.
        seeds: Of the generators.
        epochs: Of the likelihood. The arms start at the 15th.
        rounds: Of every adversarial arm.
        quick: One seed, 5 epochs, 3 rounds.

    Returns:
        One row an arm and seed: round or epoch, NLL_oracle, NLL_test, what the two temperature frontiers have at the
        same NLL_test (None outside of them), variety, what the judge knew before the first round, seconds.

    Raises:
        ConfigError: `data` is given, or there are no epochs.
        DataError: The oracle cannot be read.
    """
    if data is not None:
        raise ConfigError("the benchmark seqgan-oracle takes --oracle FILE, not --data: the oracle writes the data.")
    length = _QUICK if quick else _ROUNDS
    if quick:
        seeds, epochs = seeds[:1], min(epochs, 5)
    if epochs < 1:
        raise ConfigError(f"the likelihood takes at least one epoch, not {epochs}.")
    length = dataclasses.replace(length, count=length.count if rounds is None else rounds)
    truth = read_oracle(oracle) if oracle is not None else draw_oracle()
    experiments = [Experiment(truth, seed, epochs, length) for seed in seeds]
    for experiment in experiments:
        experiment.run()
    rows = [row for experiment in experiments for row in experiment.rows]
    if report is not None:
        first = experiments[0]
        write_page(Path(report), rows, first.likelihood, first.frontiers, first.curves)
    return rows


class Experiment:
    """All arms of one seed.

    Args:
        oracle: The truth.
        seed: Of the generators; the data are the same for all seeds.
        epochs: Of the likelihood.
        rounds: Of the arms.
    """

    def __init__(self, oracle: Language, seed: int, epochs: int, rounds: Rounds) -> None:
        self._oracle, self._seed, self._epochs, self._rounds = oracle, seed, epochs, rounds
        self._train = oracle.write(_TRAIN, seed=1)
        self._test = oracle.write(_HELD_OUT, seed=2)
        self._valid = oracle.write(_CURVE, seed=3)
        self.rows: list[dict[str, Any]] = []
        self.likelihood: list[Point] = []
        self.frontiers: dict[str, list[Point]] = {BASE_FRONTIER: [], BEST_FRONTIER: []}
        self.curves: dict[str, list[Point]] = {}

    def run(self) -> None:
        """Trains and measures; fills `rows` and the curves."""
        base, best = self._by_likelihood()
        for arm in ARMS:
            self._arm(arm, base, best)

    def _by_likelihood(self) -> tuple[SeqGANSchedule, SeqGANSchedule]:
        """Random, the epochs of the likelihood and the temperatures; the generators of the base and the best epoch."""
        start = time.perf_counter()
        schedule, base, best = self._schedule(), self._schedule(), self._schedule()
        self._add("random", self._measure(schedule, 0), start)
        base_epoch, best_epoch = min(_BASE_EPOCH, self._epochs), 0
        for epoch in range(1, self._epochs + 1):
            schedule.likelihood_epoch(self._train)
            point = self._measure(schedule, epoch, self._valid)
            if not best_epoch or point.nll_test < self.likelihood[best_epoch - 1].nll_test:
                best_epoch = epoch
                best.begin_rounds(schedule)
            self.likelihood.append(point)
            if epoch in (5, base_epoch):
                self._add(f"likelihood, epoch {epoch}", self._measure(schedule, epoch), start)
            if epoch == base_epoch:
                base.begin_rounds(schedule)
        self._add("likelihood, best epoch", self._measure(best, best_epoch), start)
        self._add("likelihood, last epoch", self._measure(schedule, self._epochs), start)
        for name, frontier, epoch, own in (
            ("temperature", BASE_FRONTIER, base_epoch, base),
            ("best epoch, temperature", BEST_FRONTIER, best_epoch, best),
        ):
            points = [self._measure(own, epoch, temperature=temperature) for temperature in TEMPERATURES]
            self.frontiers[frontier] = points
            for temperature, point in zip(TEMPERATURES, points, strict=True):
                self._add(f"{name} {temperature}", point, start)
        return base, best

    def _arm(self, arm: Arm, base: SeqGANSchedule, best: SeqGANSchedule) -> None:
        start, rounds = time.perf_counter(), self._rounds
        schedule = self._schedule(baseline=arm.baseline, samples=arm.samples)
        schedule.begin_rounds(base)
        judged: dict[str, float] = {}
        if arm.judge == CONSTANT:
            schedule.judged_by(None)
        elif arm.judge == RATIO:
            schedule.judged_by(LikelihoodRatio(best.language, schedule.language))
        else:
            schedule.discriminate(self._train, rounds.pretraining_sets, rounds.pretraining_sequences, rounds.epochs)
        if arm.judge != CONSTANT:
            judged = self._judgement(schedule)
        curve = [self._measure(schedule, 0, self._valid)]
        chosen, kept = 0, schedule.model.get_weights()
        for number in range(1, rounds.count + 1):
            schedule.improve_policy(rounds.policy_steps)
            if arm.judge == DISCRIMINATOR:
                schedule.discriminate(self._train, rounds.sets, rounds.sequences, rounds.epochs)
            if number % _ROUNDS_BETWEEN_MEASURES and number != rounds.count:
                continue
            curve.append(self._measure(schedule, number, self._valid))
            figures = f"NLL_oracle {curve[-1].nll_oracle:.3f}, NLL_test {curve[-1].nll_test:.3f}"
            told(f"seed {self._seed}: {arm.name}, round {number}, {figures}, entropy {curve[-1].entropy:.2f}")
            if self._has_collapsed(curve[-1]):
                told(f"seed {self._seed}: {arm.name} collapsed by round {number}")
                break
            if curve[-1].nll_test <= curve[0].nll_test + BUDGET:
                chosen, kept = number, schedule.model.get_weights()
        schedule.model.set_weights(kept)
        self.curves[arm.name] = curve
        self._add(arm.name, self._measure(schedule, chosen), start, judged)

    def _has_collapsed(self, point: Point) -> bool:
        real, real_entropy = generation.distinct(self._valid), generation.entropy(self._valid)
        return generation.has_collapsed(point.distinct, float(real), point.entropy, float(real_entropy))

    def _schedule(self, **network: object) -> SeqGANSchedule:
        size = self._oracle.generator.catalog_size
        return SeqGANSchedule(size, self._seed, discriminator_learning_rate=_JUDGE_RATE, **network)

    def _judgement(self, schedule: SeqGANSchedule) -> dict[str, float]:
        """What a judge can tell apart, and whether its verdict says anything of quality."""
        written = schedule.language.write(_CURVE, seed=2_000_000 + self._seed)
        verdicts = schedule.verdicts(written)

        def told_apart(real: np.ndarray) -> float:
            both = np.concatenate([verdicts, schedule.verdicts(real)])
            return auc(both, np.arange(len(both)) >= len(verdicts))

        return {
            "AUC seen": told_apart(self._train[:_CURVE]),
            "AUC held out": told_apart(self._valid),
            "verdict and NLL_oracle": float(np.corrcoef(verdicts, self._oracle.nlls(written))[0, 1]),
        }

    def _measure(
        self, schedule: SeqGANSchedule, step: int, held_out: np.ndarray | None = None, temperature: float = 1.0
    ) -> Point:
        held_out = self._test if held_out is None else held_out
        written = schedule.language.write(len(held_out), seed=1_000_000 + self._seed, temperature=temperature)
        nlls, loops = self._oracle.nlls(written), generation.loops(written).numpy()
        return Point(
            step,
            float(nlls.mean()),
            schedule.language.nll(held_out, temperature),
            float(generation.distinct(written[:_CURVE])),  # it falls with the number of sequences
            float(generation.entropy(written[:_CURVE])),
            float(loops.mean()),
            None if loops.all() else float(nlls[~loops].mean()),
        )

    def _add(self, arm: str, point: Point, start: float, judged: Mapping[str, float] | None = None) -> None:
        seconds = round(time.perf_counter() - start)
        told(f"seed {self._seed}: {arm}, NLL_oracle {point.nll_oracle:.3f}, NLL_test {point.nll_test:.3f}, {seconds} s")
        at_equal = {name: frontier_at(points, point.nll_test) for name, points in self.frontiers.items()}
        self.rows.append(
            {
                "arm": arm,
                "seed": self._seed,
                "step": point.step,
                "NLL_oracle": round(point.nll_oracle, 3),
                "NLL_test": round(point.nll_test, 3),
                **{
                    f"{name} at equal NLL_test": None if value is None else round(value, 3)
                    for name, value in at_equal.items()
                },
                "distinct-2": round(point.distinct, 3),
                "entropy": round(point.entropy, 2),
                "loops": round(point.loops, 3),
                "NLL_oracle without": None if point.without_loops is None else round(point.without_loops, 3),
                **{name: round(judged[name], 3) if judged else None for name in JUDGED},
                "seconds": seconds,
            }
        )


def frontier_at(frontier: Sequence[Point], nll_test: float) -> float | None:
    """NLL_oracle that a temperature reaches at a given NLL_test, linear between those measured; None outside."""
    points = sorted((point.nll_test, point.nll_oracle) for point in frontier)
    if not points or not points[0][0] <= nll_test <= points[-1][0]:
        return None
    tests, oracles = zip(*points, strict=True)
    return float(np.interp(nll_test, tests, oracles))
