"""`tfrec bench seqgan-oracle`: what adversarial training wins over likelihood, temperatures and a constant reward.

An oracle writes the data, so two figures are known: NLL_oracle, of what a generator writes under the oracle (quality),
and NLL_test, of the oracle's held-out sequences under the generator (it falls where variety is lost). Either alone can
be won cheaply: a temperature below 1 trades the second for the first. So every arm stands beside the frontier that
temperatures of the likelihood's generator draw, at equal NLL_test, and beside a policy gradient whose reward is
constant, which needs no discriminator.

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

from tfrec_zoo.benchmarks.oracle_language import Language, draw_oracle, read_oracle
from tfrec_zoo.benchmarks.progress import told
from tfrec_zoo.benchmarks.seqgan_page import write_page
from tfrec_zoo.benchmarks.seqgan_schedule import Rounds, SeqGANSchedule
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.metrics import generation
from tfrec_zoo.metrics.classification import auc

TEMPERATURES = (1.0, 0.9, 0.8, 0.7, 0.6)
BUDGET = 0.5
"""Nats of held-out NLL that an arm may lose; the last measured round within is the one that counts."""

_TRAIN, _HELD_OUT, _CURVE = 10_000, 9_984, 2_048
_ROUNDS_BETWEEN_MEASURES = 5
_BASE_EPOCH = 15
# Three passes at this rate are where the discriminator knows held-out sequences best; later it knows those it has seen.
_ROUNDS = Rounds(count=100, sets=1, sequences=1280, pretraining_sets=3, epochs=1)
_JUDGE_RATE = 1e-3
_QUICK = dataclasses.replace(_ROUNDS, count=3, sequences=640, pretraining_sequences=640)

JUDGED = ("AUC seen", "AUC held out", "verdict and NLL_oracle")
"""Of the discriminator before the first round: how well it tells training and held-out sequences from written ones, and
the correlation of its verdicts on written ones with their NLL_oracle, which is negative where it knows quality."""

CONTROL, SEQGAN, WITH_BASELINE = "constant reward", "SeqGAN", "SeqGAN, baseline"


@dataclasses.dataclass(frozen=True)
class Point:
    """A generator at one moment.

    Attributes:
        step: Epoch, or round.
        nll_oracle: Of what it writes.
        nll_test: Of the oracle's held-out sequences.
        distinct: Share of different pairs in what it writes.
        entropy: Of the items in it, nats.
    """

    step: int
    nll_oracle: float
    nll_test: float
    distinct: float
    entropy: float


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
        One row an arm and seed: round or epoch, NLL_oracle, NLL_test, what the temperature frontier has at the same
        NLL_test (None outside of it), variety, what the discriminator knew before the first round, seconds.

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
        write_page(Path(report), rows, first.likelihood, first.frontier, first.curves)
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
        self.frontier: list[Point] = []
        self.curves: dict[str, list[Point]] = {}

    def run(self) -> None:
        """Trains and measures; fills `rows` and the curves."""
        base = self._by_likelihood()
        self._arm(CONTROL, base, baseline=False)
        for name, baseline in ((SEQGAN, False), (WITH_BASELINE, True)):
            self._arm(name, base, baseline)

    def _by_likelihood(self) -> SeqGANSchedule:
        """Random, the epochs of the likelihood and the temperatures; the generator of the base epoch."""
        start = time.perf_counter()
        schedule = self._schedule()
        self._add("random", self._measure(schedule, 0), start)
        base_epoch = min(_BASE_EPOCH, self._epochs)
        for epoch in range(1, self._epochs + 1):
            schedule.likelihood_epoch(self._train)
            point = self._measure(schedule, epoch, self._test if epoch in (5, base_epoch) else self._valid)
            self.likelihood.append(point)
            if epoch in (5, base_epoch):
                self._add(f"likelihood, epoch {epoch}", point, start)
            if epoch == base_epoch:
                base = self._schedule()
                base.begin_rounds(schedule)
        best = min(self.likelihood, key=lambda point: point.nll_test)
        self._add("likelihood, best NLL_test", best, start)
        self._add("likelihood, last epoch", self._measure(schedule, self._epochs), start)
        for temperature in TEMPERATURES:
            point = self._measure(base, base_epoch, temperature=temperature)
            self.frontier.append(point)
            self._add(f"temperature {temperature}", point, start)
        return base

    def _arm(self, name: str, base: SeqGANSchedule, baseline: bool) -> None:
        start, rounds = time.perf_counter(), self._rounds
        schedule = self._schedule(baseline)
        schedule.begin_rounds(base)
        constant = name == CONTROL
        judged: dict[str, float] = {}
        if not constant:
            schedule.discriminate(self._train, rounds.pretraining_sets, rounds.pretraining_sequences, rounds.epochs)
            judged = self._judgement(schedule)
        curve = [self._measure(schedule, 0, self._valid)]
        chosen, kept = 0, schedule.model.get_weights()
        for number in range(1, rounds.count + 1):
            schedule.improve_policy(rounds.policy_steps, constant)
            if not constant:
                schedule.discriminate(self._train, rounds.sets, rounds.sequences, rounds.epochs)
            if number % _ROUNDS_BETWEEN_MEASURES and number != rounds.count:
                continue
            curve.append(self._measure(schedule, number, self._valid))
            if curve[-1].nll_test <= curve[0].nll_test + BUDGET:
                chosen, kept = number, schedule.model.get_weights()
        schedule.model.set_weights(kept)
        self.curves[name] = curve
        self._add(name, self._measure(schedule, chosen), start, judged)

    def _schedule(self, baseline: bool = False) -> SeqGANSchedule:
        size = self._oracle.generator.catalog_size
        return SeqGANSchedule(size, self._seed, baseline, discriminator_learning_rate=_JUDGE_RATE)

    def _judgement(self, schedule: SeqGANSchedule) -> dict[str, float]:
        """What a discriminator can tell apart, and whether its verdict says anything of quality."""
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
        return Point(
            step,
            self._oracle.nll(written),
            schedule.language.nll(held_out, temperature),
            float(generation.distinct(written[:_CURVE])),  # it falls with the number of sequences
            float(generation.entropy(written[:_CURVE])),
        )

    def _add(self, arm: str, point: Point, start: float, judged: Mapping[str, float] | None = None) -> None:
        seconds = round(time.perf_counter() - start)
        told(f"seed {self._seed}: {arm}, NLL_oracle {point.nll_oracle:.3f}, NLL_test {point.nll_test:.3f}, {seconds} s")
        frontier = frontier_at(self.frontier, point.nll_test)
        self.rows.append(
            {
                "arm": arm,
                "seed": self._seed,
                "step": point.step,
                "NLL_oracle": round(point.nll_oracle, 3),
                "NLL_test": round(point.nll_test, 3),
                "temperature at equal NLL_test": None if frontier is None else round(frontier, 3),
                "distinct-2": round(point.distinct, 3),
                "entropy": round(point.entropy, 2),
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
