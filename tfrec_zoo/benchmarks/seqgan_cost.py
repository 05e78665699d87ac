"""`tfrec bench seqgan-cost`: what a round of SeqGAN costs with the networks and the schedule as published.

The roll-outs of a policy step (16 completions of every prefix of 64 sequences of 20 items) as one call of the graph,
beside a Python loop that makes a call for every completion and its score; a step of the discriminator; and a whole
round, whose cost follows from how often each is done.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec_zoo.benchmarks.oracle_language import START, VOCABULARY
from tfrec_zoo.benchmarks.seqgan_schedule import BATCH, Rounds, SeqGANSchedule
from tfrec_zoo.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one call, after the first: wall seconds, CPU seconds over all threads; and the wall seconds of the first."""

    seconds: float
    cpu_seconds: float
    first_seconds: float


def run(data: str | os.PathLike[str] | None = None, *, vocabulary: int = VOCABULARY) -> list[dict[str, Any]]:
    """Measures the parts of a round.

    Args:
        data: Not taken.
        vocabulary: Number of items.

    Returns:
        One row a part: seconds, CPU seconds, seconds of the first call beyond the later ones (tracing and
        compilation), how often it is done in a round, its CPU seconds there. The last row is their sum.

    Raises:
        ConfigError: `data` is given.
    """
    if data is not None:
        raise ConfigError("the benchmark seqgan-cost takes no --data: it writes its own.")
    schedule, published = SeqGANSchedule(vocabulary, seed=0), Rounds()
    steps = published.sets * published.epochs * (2 * published.sequences // BATCH)
    sequences = np.random.default_rng(0).integers(START, START + vocabulary, (2 * 10 * BATCH, 20)).astype(np.int32)
    few = len(sequences) // 2
    roll_outs = _cost(_in_one_call(schedule), 3)
    written = _cost(lambda: schedule.language.write(published.sequences, seed=0), 1)
    # The sequences of a set are written once for many steps; here their own row has that cost.
    discriminator = _cost(lambda: schedule.discriminate(sequences, sets=1, sequences=few, epochs=1), 3)
    own = _cost(lambda: schedule.language.write(few, seed=0), 3)
    step = Cost(
        max(0.0, discriminator.seconds - own.seconds) / (2 * few // BATCH),
        max(0.0, discriminator.cpu_seconds - own.cpu_seconds) / (2 * few // BATCH),
        discriminator.first_seconds,
    )
    policy = _cost(lambda: schedule.improve_policy(1), 2)
    loop = _cost(_in_a_loop(schedule), 1)
    rows = [
        _row("roll-outs, one call", roll_outs, 0),
        _row("roll-outs, a loop of calls", loop, 0),
        _row("policy step with its roll-outs", policy, published.policy_steps),
        _row(f"writing {published.sequences:,} sequences", written, published.sets),
        _row("discriminator step", step, steps),
    ]
    rows[1]["ratio"] = round(loop.seconds / roll_outs.seconds, 2)
    total = sum(row["CPU s in a round"] for row in rows)
    return [*rows, {**dict.fromkeys(rows[0], ""), "part": "published round", "CPU s in a round": round(total, 1)}]


def _in_one_call(schedule: SeqGANSchedule) -> Callable[[], Any]:
    model = schedule.model
    history = tf.fill((BATCH, model.history_length), START)
    play = tf.function(lambda seed: model.play(history, seed).rewards)
    return lambda: play(tf.constant([0, 1])).numpy()


def _in_a_loop(schedule: SeqGANSchedule) -> Callable[[], Any]:
    """As the published code does it: a call for each completion of each prefix, and one for its score."""
    model, policy = schedule.model, schedule.model.rollout_policy
    length = model.config.continuation
    written = tf.constant(schedule.language.write(BATCH, seed=0))

    @tf.function
    def complete(known: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        padded = tf.where(tf.range(length) < known - 1, written, 0)
        # What is known stands on the right, as the generator reads.
        read = tf.roll(tf.concat([tf.fill((BATCH, 1), START), padded], axis=1), length + 1 - known, axis=1)
        return policy.complete(written, known, policy.generator.state_after(read), 1, seed)

    score = tf.function(model.discriminator.probability_of_real)

    def loop() -> np.ndarray:
        rewards = np.zeros((BATCH, length), np.float32)
        for sample in range(model.config.samples):
            for known in range(1, length):
                completed = complete(tf.constant(known), tf.constant([sample, 0]))
                rewards[:, known - 1] += score(completed).numpy()
            rewards[:, -1] += score(written).numpy()
        return rewards / model.config.samples

    return loop


def _cost(call: Callable[[], Any], repeats: int) -> Cost:
    start = time.perf_counter()
    call()
    first = time.perf_counter() - start
    start, cpu = time.perf_counter(), time.process_time()
    for _ in range(repeats):
        call()
    seconds = (time.perf_counter() - start) / repeats
    return Cost(seconds, (time.process_time() - cpu) / repeats, max(0.0, first - seconds))


def _row(part: str, cost: Cost, times: int) -> dict[str, Any]:
    return {
        "part": part,
        "seconds": round(cost.seconds, 3),
        "CPU s": round(cost.cpu_seconds, 3),
        "tracing s": round(cost.first_seconds, 1),
        "ratio": "",
        "times in a round": times,
        "CPU s in a round": round(times * cost.cpu_seconds, 1),
    }
