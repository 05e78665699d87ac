"""SeqGAN's schedule as published: likelihood, discriminator, then rounds of policy gradient and discriminator.

The pieces are those of models/seqgan.py, each compiled once. Yu et al., SeqGAN, AAAI 2017, algorithm 1; the numbers are
those of the authors' released code.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

import keras
import numpy as np
import tensorflow as tf

from tfrec_zoo.benchmarks.oracle_language import START, Language, after_start
from tfrec_zoo.losses.next_item import negative_log_likelihood
from tfrec_zoo.models.seqgan import SeqGAN
from tfrec_zoo.runs.run_config import PAPER, load_config

Judge: TypeAlias = Callable[[tf.Tensor], tf.Tensor]
"""From sequences, int32 (n, length), to what each is worth, float32 (n,)."""

BATCH = 64
RATE, CLIP = 0.01, 5.0
_INITIAL_DEVIATION = 0.1  # of the generator's weights, all from N(0, 0.1)


@dataclasses.dataclass(frozen=True)
class Rounds:
    """How long the phases after the likelihood are.

    Attributes:
        count: Rounds.
        policy_steps: Steps of the policy gradient in a round.
        sets: Sets of written sequences in a round; the discriminator is trained on each beside the real ones.
        sequences: Real ones, and written ones, of such a set.
        pretraining_sets: Sets before the first round.
        pretraining_sequences: Of such a set.
        epochs: Of the discriminator over a set.
    """

    count: int = 200
    policy_steps: int = 1
    sets: int = 5
    sequences: int = 10_000
    pretraining_sets: int = 50
    pretraining_sequences: int = 10_000
    epochs: int = 3


class SeqGANSchedule:
    """A SeqGAN over a vocabulary, to be trained phase by phase.

    Args:
        vocabulary: Number of items.
        seed: Of weights, order and draws.
        network: Values over those of the preset "paper" without a baseline.
    """

    def __init__(self, vocabulary: int, seed: int, **network: object) -> None:
        keras.utils.set_random_seed(seed)
        values = load_config("seqgan", {"network": {"baseline": False, **network}}, preset=PAPER).network
        self.model = SeqGAN(vocabulary, values)
        draws = np.random.default_rng(seed)
        for weight in self.model.generator.weights:
            weight.assign(draws.normal(scale=_INITIAL_DEVIATION, size=weight.shape))
        self.model.compile(keras.optimizers.Adam(RATE, global_clipnorm=CLIP))
        self.model.build_optimizers()
        self.language = Language(self.model.generator, self.model.config.continuation)
        self._seed, self._draws = seed, 0
        self._order = np.random.default_rng(seed)
        self._likelihood_step = tf.function(self._on_likelihood)
        self._judge_step = tf.function(self.model.judge_step)
        self.judged_by(self.model.discriminator.probability_of_real)

    def judged_by(self, judge: Judge | None) -> None:
        """Whose verdicts the generator is rewarded with: at first the discriminator's; None: every item is worth 1."""
        self._judge = judge
        self._verdict = tf.function(judge, reduce_retracing=True) if judge is not None else None
        self._policy_step = tf.function(self._on_policy)

    def likelihood_epoch(self, sequences: np.ndarray) -> None:
        """One pass over real sequences, int32 (n, length)."""
        for rows in self._batches(len(sequences)):
            self._likelihood_step(sequences[rows])

    def begin_rounds(self, other: SeqGANSchedule | None = None) -> None:
        """The roll-out policy becomes the generator.

        Args:
            other: A schedule whose generator and discriminator are taken over first.
        """
        if other is not None:
            for own, theirs in zip(self.model.weights, other.model.weights, strict=True):
                own.assign(theirs)
        self.model.rollout_policy.copy(self.model.generator)

    def discriminate(self, real: np.ndarray, sets: int, sequences: int, epochs: int) -> float:
        """Trains the discriminator on sets of written sequences beside real ones.

        Args:
            real: int32 (n, length).
            sets: How many; every one is written anew.
            sequences: Real ones, and written ones, of a set.
            epochs: Over a set.

        Returns:
            Its accuracy over the last epoch.
        """
        right: list[tf.Tensor] = []
        for _ in range(sets):
            count = min(sequences, len(real))
            written = self.language.write(count, self._next_seed())
            both = np.concatenate([real[self._order.permutation(len(real))[:count]], written])
            labels = np.repeat(np.array([1, 0], np.int32), count)
            for _ in range(epochs):
                right = [
                    self._judge_step(both[rows], labels[rows], tf.ones(len(rows))) for rows in self._batches(len(both))
                ]
        return float(np.mean(right)) if right else 0.0

    def verdicts(self, sequences: np.ndarray) -> np.ndarray:
        """Of the judge, on sequences, int32 (n, length): float32 (n,). A constant reward has none."""
        assert self._verdict is not None
        return np.concatenate([self._verdict(part) for part in np.array_split(sequences, -(-len(sequences) // BATCH))])

    def improve_policy(self, steps: int) -> float:
        """Steps of the policy gradient; the roll-out policy follows after each.

        Args:
            steps: How many.

        Returns:
            The mean reward of the last step.
        """
        reward = tf.zeros(())
        for _ in range(steps):
            reward = self._policy_step(tf.constant([self._seed, self._next_seed()]))
        return float(reward)

    def _on_likelihood(self, sequences: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            read = after_start(sequences)[:, :-1]
            loss = tf.reduce_mean(negative_log_likelihood(self.model.generator.logits(read), sequences))
        self.model.apply_gradients(self.model.optimizer, tape, loss, self.model.generator)

    def _on_policy(self, seed: tf.Tensor) -> tf.Tensor:
        # What the generator writes after the first item; nothing real is compared.
        history = tf.fill((BATCH, self.model.history_length), START)
        game = self.model.play(history, seed, judged=self._judge is not None, judge=self._judge)
        if self._judge is None:
            game = dataclasses.replace(game, rewards=tf.ones_like(game.rewards))
        with tf.GradientTape() as tape:
            loss = self.model.policy_loss(game)
        self.model.apply_gradients(self.model.optimizer, tape, loss, self.model.generator)
        self.model.rollout_policy.follow(self.model.generator)
        return tf.reduce_mean(game.rewards)

    def _batches(self, rows: int) -> list[np.ndarray]:
        order = self._order.permutation(rows)
        return [order[first : first + BATCH] for first in range(0, rows - BATCH + 1, BATCH)]

    def _next_seed(self) -> int:
        self._draws += 1
        return 1000 * self._seed + self._draws
