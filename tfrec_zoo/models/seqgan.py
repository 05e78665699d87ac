"""SeqGAN: a generator of item sequences, trained by likelihood and by what a discriminator makes of its writing.

Yu et al., "SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient", AAAI 2017.

    history  ->  item embedding  ->  LSTM  ->  softmax: the next item (3.2), trained by likelihood
    its last items are taken away  ->  the LSTM, its state after the rest, writes its own in their place
             ->  discriminator: real or written? (3.3)
             ->  reward of an item = mean verdict on 16 completions by the roll-out policy (3.1, equation 4)
             ->  policy gradient (equations 6 and 7); one step of the discriminator (equation 5)

As a recommender the generator is conditioned on the history: it is a model of the next item, and scores the catalogue
by its softmax. Encoder and decoder are one LSTM: it encodes what it is given and writes on from that state. A step of
training plays one round of the game on the batch:

    generator       likelihood + reconstruction_weight * L_rec + adversarial_weight * policy gradient
    discriminator   cross-entropy + L2
    roll-out policy theta' = rate * theta' + (1 - rate) * theta

L_rec draws the vector that the softmax expects to that of the real item. With adversarial_weight 0 there is no game and
no discriminator. The paper's own schedule of the same pieces, phase after phase: benchmarks/seqgan_schedule.py. How
histories are written on once it is trained: continuations.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import pydantic
import tensorflow as tf

from tfrec_zoo.backbones.lstm_generator import LSTMGenerator
from tfrec_zoo.backbones.sequence_discriminator import SequenceDiscriminator
from tfrec_zoo.config import Config
from tfrec_zoo.dataset_spec import PAD, DatasetSpec
from tfrec_zoo.layers.item_table import whole
from tfrec_zoo.losses.next_item import negative_log_likelihood, reconstruction
from tfrec_zoo.losses.policy_gradient import above_others, policy_gradient
from tfrec_zoo.metrics import generation
from tfrec_zoo.models.adversarial import AdversarialRecommender, GameConfig
from tfrec_zoo.models.continuations import Draws, write_on
from tfrec_zoo.models.recommender import ENCODES_HISTORIES, GENERATES, SCORES_CATALOGUE, Recommender
from tfrec_zoo.models.rollout_policy import RolloutPolicy
from tfrec_zoo.preprocessing.history import latest
from tfrec_zoo.preprocessing.next_item import next_items
from tfrec_zoo.replicas import sum_over_replicas, uniforms_of_rows


class SeqGANConfig(GameConfig):
    """The two players and their game.

    Attributes:
        dim: Width of the generator's embedding.
        units: Width of its LSTM.
        max_length: Columns that the generator reads and the discriminator sees.
        continuation: Newest items of a history that the generator has to write itself, in the game.
        adversarial_weight: Of the policy gradient, lambda; 0 trains by likelihood alone.
        reconstruction_weight: Of L_rec, beta, at every position.
        adversarial_after: Steps without policy gradient, for the discriminator to learn from.
        samples: Completions of every prefix.
        rollout_rate: Share of its weights that the roll-out policy keeps in a step.
        baseline: Rewards are taken above the mean of the batch's other rows.
        discriminator_dim: Width of the discriminator's embedding.
        widths: Of its filters, in items.
        filters: Number of filters of every width.
        dropout: Share of dropped features of the discriminator.
        l2: Of the squared weights of its last layer.
    """

    dim: int = pydantic.Field(32, ge=1)
    units: int = pydantic.Field(32, ge=1)
    max_length: int = pydantic.Field(20, ge=2)
    continuation: int = pydantic.Field(5, ge=2)
    reconstruction_weight: float = pydantic.Field(0.0, ge=0)
    adversarial_after: int = pydantic.Field(0, ge=0)
    samples: int = pydantic.Field(16, ge=1)
    rollout_rate: float = pydantic.Field(0.8, ge=0, le=1)
    baseline: bool = True
    discriminator_dim: int = pydantic.Field(64, ge=1)
    widths: tuple[pydantic.PositiveInt, ...] = pydantic.Field((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20), min_length=1)
    filters: tuple[pydantic.PositiveInt, ...] = (100, 200, 200, 200, 200, 100, 100, 100, 100, 100, 160, 160)
    dropout: float = pydantic.Field(0.25, ge=0, lt=1)
    l2: float = pydantic.Field(0.2, ge=0)

    @pydantic.model_validator(mode="after")
    def _fits_together(self) -> SeqGANConfig:
        if self.continuation > self.max_length:
            raise ValueError(f"continuation ({self.continuation}) is longer than max_length ({self.max_length})")
        if len(self.widths) != len(self.filters):
            raise ValueError(f"{len(self.widths)} widths need as many filters, not {len(self.filters)}")
        if max(self.widths) > self.max_length:
            raise ValueError(f"widths ({max(self.widths)}) go beyond max_length ({self.max_length})")
        return self


_HEALTH = ("discriminator_accuracy", "written_distinct_2", "real_distinct_2", "written_entropy", "real_entropy")
"""What is followed over an epoch of the game."""

_SATURATED = 0.98
"""Accuracy of a discriminator that has nothing left to say."""


@dataclasses.dataclass(frozen=True)
class Game:
    """One round: what the generator was given, what it wrote, and what that is worth.

    Attributes:
        context: int32 (batch, max_length + 1 - continuation), the histories without their last items.
        real: int32 (batch, continuation), these items.
        written: int32 (batch, continuation), the generator's.
        rewards: float32 (batch, continuation), of the written items.
        weights: float32 (batch,), 0 for histories that are too short to play with.
    """

    context: tf.Tensor
    real: tf.Tensor
    written: tf.Tensor
    rewards: tf.Tensor
    weights: tf.Tensor


@keras.saving.register_keras_serializable("tfrec_zoo")
class SeqGAN(AdversarialRecommender):
    """A generator of item sequences and, while it trains, the discriminator and the roll-out policy.

    Args:
        catalog_size: Number of items.
        config: Values of a `SeqGANConfig`.

    Call args:
        inputs: "item_ids" int32 (batch, length), right-aligned.

    Returns:
        float32 (batch, length, catalog_size): logits of what follows; column j belongs to the item with id j + 4.

    Raises:
        ConfigError: An unknown key or a value out of its range.
    """

    name_in_zoo = "seqgan"
    capabilities = frozenset({SCORES_CATALOGUE, ENCODES_HISTORIES, GENERATES})
    config_class = SeqGANConfig
    config: SeqGANConfig

    def __init__(self, catalog_size: int, config: SeqGANConfig | Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(catalog_size, config, **kwargs)
        c = self.config
        self.generator = LSTMGenerator(catalog_size, c.dim, c.units, dtype=self.dtype_policy)
        self.generator.build((None, c.max_length))
        if c.has_game:
            # In float32: the loss of the discriminator is not scaled.
            self.discriminator = SequenceDiscriminator(
                catalog_size, c.discriminator_dim, c.widths, c.filters, c.dropout, dtype="float32"
            )
            self.discriminator.build((None, c.max_length))
            self.rollout_policy = RolloutPolicy(catalog_size, c.dim, c.units, c.rollout_rate, dtype=self.dtype_policy)
            self.rollout_policy.build((None, c.max_length))
            self.rollout_policy.copy(self.generator)
            self._health = {name: keras.metrics.Mean(name=name) for name in _HEALTH}
        self.built = True

    @classmethod
    def from_spec(
        cls, spec: DatasetSpec, config: Config | Mapping[str, Any] | None = None, dtype: str | None = None
    ) -> Recommender:
        """As of every model; the bias of an item begins at the logarithm of its train interactions."""
        model = super().from_spec(spec, config, dtype)
        assert isinstance(model, SeqGAN)
        counts = np.asarray(spec.item_counts, np.float32) + 1.0
        model.generator.projection.bias.assign(np.log(counts / counts.mean()))
        if model.config.has_game:
            model.rollout_policy.copy(model.generator)
        return model

    @property
    def history_length(self) -> int:
        return self.config.max_length + 1

    def training_inputs(self, batch: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        inputs, targets, weights = next_items(batch["history"])
        seeds = tf.repeat(tf.cast(batch["seed"], tf.int32)[None], tf.shape(targets)[0], axis=0)
        return {"item_ids": inputs["item_ids"], "seeds": seeds}, targets, weights

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        return self.generator.logits(inputs["item_ids"])

    def target_losses(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, training: bool) -> tf.Tensor:
        logits = self.generator.logits(inputs["item_ids"])
        losses = negative_log_likelihood(logits, targets)
        if self.config.reconstruction_weight:
            vectors = whole(self.generator.embedding.item_embeddings)
            losses += self.config.reconstruction_weight * reconstruction(logits, targets, vectors)
        return losses

    def score(self, history: tf.Tensor) -> tf.Tensor:
        return self.generator.projection(self.encode(history))

    def encode(self, history: tf.Tensor) -> tf.Tensor:
        """The LSTM's output after the history: float32 (batch, units)."""
        return tf.cast(self.generator.state_after(latest(history, self.config.max_length))[0], tf.float32)

    def generate(
        self,
        history: tf.Tensor,
        n: int,
        length: int,
        seed: tf.Tensor | int,
        temperature: float = 1.0,
        top_p: float = 1.0,
        no_repeats: bool = False,
    ) -> tf.Tensor:
        """Writes histories on; what a row gets depends on its own history and seed alone.

        Args:
            history: int32 (batch, m), right-aligned; of more than `max_length` items the generator reads the latest.
            n: Continuations of each.
            length: Items of a continuation.
            seed: int64 (batch,), or one for all rows.
            temperature: Of the softmax; 0 takes the likeliest item.
            top_p: Draws from the likeliest items that have this share of the probability.
            no_repeats: Writes no item of the history, and none twice.

        Returns:
            int32 (batch, n, length), PAD where no item is left.

        Raises:
            ConfigError: A value out of its range.
        """
        return self.write_on(history, Draws.alike(history, n, length, seed, temperature, top_p, no_repeats))

    def write_on(self, history: tf.Tensor, draws: Draws, first: tf.Tensor | None = None) -> tf.Tensor:
        return write_on(self.generator, latest(history, self.config.max_length), history, draws, first)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One round of the game; without one, a step on what is given alone."""
        if not self.config.has_game:
            return super().train_step(data)
        self.refuse_parts_of_batches()
        inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        weight = sum_over_replicas(tf.reduce_sum(weights))
        started = self.optimizer.iterations >= self.config.adversarial_after
        game = self.play(tf.concat([inputs["item_ids"][:, :1], targets], axis=1), inputs["seeds"][0], started)
        with tf.GradientTape() as tape:
            given = self._loss_part((inputs, targets, weights), weight, training=True)
            loss = self.optimizer.scale_loss(given + self.config.adversarial_weight * self.policy_loss(game))
        self.apply_gradients(self.optimizer, tape, loss, self.generator)
        self.discriminator_step(game)
        self.rollout_policy.follow(self.generator)
        return self._track_loss(given, weight)

    def play(
        self,
        history: tf.Tensor,
        seed: tf.Tensor,
        judged: tf.Tensor | bool = True,
        judge: Callable[[tf.Tensor], tf.Tensor] | None = None,
    ) -> Game:
        """Lets the generator write and the roll-out policy and the discriminator judge; nothing is trained.

        Args:
            history: int32 (batch, n), right-aligned.
            seed: int32 (2,).
            judged: bool (); False leaves the rewards at 0 and saves the roll-outs.
            judge: From sequences, int32 (n, max_length), to what each is worth, float32 (n,); default: the
                discriminator's probability that they are real.
        """
        c = self.config
        history = latest(history, c.max_length + 1)
        context, real = history[:, : -c.continuation], history[:, -c.continuation :]
        before, last = context[:, :-1], context[:, -1]
        # Other numbers than those of the roll-outs, which follow seed[1].
        uniforms = uniforms_of_rows(tf.stack([seed[0], -1 - seed[1]]), c.continuation, tf.shape(history)[0])
        written = tf.ensure_shape(
            self.generator.generate(last, self.generator.state_after(before), uniforms), real.shape
        )

        def score(item_ids: tf.Tensor, copies: int) -> tf.Tensor:
            sequences = tf.concat([tf.repeat(context[:, 1:], copies, axis=0), item_ids], axis=1)
            return (judge or self.discriminator.probability_of_real)(sequences)

        def rewards() -> tf.Tensor:
            policy = self.rollout_policy
            state = policy.generator.state_after(before)
            seeds = tf.stack([seed[0], seed[1] * c.continuation])
            return tf.ensure_shape(policy.rewards(written, last, state, score, c.samples, seeds), real.shape)

        values = tf.cond(tf.convert_to_tensor(judged), rewards, lambda: tf.zeros_like(written, tf.float32))
        return Game(context, real, written, tf.stop_gradient(values), tf.cast(last != PAD, tf.float32))

    def policy_loss(self, game: Game) -> tf.Tensor:
        """This replica's part of the policy gradient's loss, the mean over rows and items."""
        rewards = above_others(game.rewards, game.weights) if self.config.baseline else game.rewards
        read = tf.concat([game.context, game.written[:, :-1]], axis=1)
        logits = self.generator.projection(self.generator(read)[:, -self.config.continuation :])
        losses = policy_gradient(negative_log_likelihood(logits, game.written), rewards)
        return self.mean_part(tf.reduce_mean(losses, axis=1), game.weights)

    def discriminator_step(self, game: Game) -> None:
        """One step of the discriminator on the real and the written items of a game, equally many."""
        seen = game.context[:, 1:]
        real, written = tf.concat([seen, game.real], axis=1), tf.concat([seen, game.written], axis=1)
        weights = tf.concat([game.weights, game.weights], axis=0)
        labels = tf.concat([tf.ones_like(game.real[:, 0]), tf.zeros_like(game.written[:, 0])], axis=0)
        figures = {"discriminator_accuracy": self.judge_step(tf.concat([real, written], axis=0), labels, weights)}
        played = tf.where(game.weights > 0)[:, 0]
        for whose, items in (("written", game.written), ("real", game.real)):
            sequences = tf.gather(items, played)
            figures[f"{whose}_distinct_2"] = generation.distinct(sequences)
            figures[f"{whose}_entropy"] = generation.entropy(sequences)
        for name, metric in self._health.items():
            metric.update_state(figures[name], sample_weight=tf.reduce_sum(game.weights))

    def judge_step(self, sequences: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Trains the discriminator on a batch.

        Args:
            sequences: int32 (batch, max_length).
            labels: int32 (batch,), 1 for real.
            weights: float32 (batch,).

        Returns:
            float32 (): the share that it told rightly before the step, on all replicas.
        """
        with tf.GradientTape() as tape:
            logits = self.discriminator(sequences, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
            replica = tf.distribute.get_replica_context()
            penalty = self.config.l2 * self.discriminator.penalty() / (replica.num_replicas_in_sync if replica else 1)
            loss = self.mean_part(losses, weights) + penalty
        self.apply_gradients(self.discriminator_optimizer, tape, loss, self.discriminator)
        right = tf.cast(tf.argmax(logits, axis=-1, output_type=tf.int32) == labels, tf.float32)
        return sum_over_replicas(self.mean_part(right, weights))

    def warnings(self) -> list[str]:
        if not self.config.has_game:
            return []
        found, figures = [], {name: float(metric.result()) for name, metric in self._health.items()}
        distinct, real_distinct = figures["written_distinct_2"], figures["real_distinct_2"]
        entropy, real_entropy = figures["written_entropy"], figures["real_entropy"]
        if generation.has_collapsed(distinct, real_distinct, entropy, real_entropy):
            found.append(
                f"mode collapse: {distinct:.1%} of the pairs that the generator writes differ, of the real ones "
                f"{real_distinct:.1%}; the entropy of its items is {real_entropy - entropy:.2f} nats below theirs. "
                "Lower network.adversarial_weight."
            )
        if figures["discriminator_accuracy"] > _SATURATED:
            found.append(
                f"the discriminator is right in {figures['discriminator_accuracy']:.1%} and its rewards hardly differ: "
                "lower network.discriminator_learning_rate, or raise network.dropout."
            )
        return found
