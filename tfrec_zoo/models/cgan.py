"""cgan: conditional generation of items: a generator draws the vectors of items that a user would take.

The game is the conditional GAN of Mirza and Osindero, "Conditional Generative Adversarial Nets", 2014 (equation 2), on
the vectors of two towers (DSSM):

    user's features -> tower -> user vector u --+--> generator G(u, z), z noise --> vector of an item
                                                |                                      |
    item's features -> tower -> item vector v --+--> discriminator D(u, v): probability that u took v

    towers          softmax of the user's item among those of the batch: the retrieval loss of DSSM
    generator       -log D(u, G(u, z)), which does not saturate where 1 - D would
    discriminator   -log D(u, v) - log(1 - D(u, G(u, z)))

A step trains all three on one batch. For the game the vectors are constants: the towers learn from their own loss
alone, as if they had been trained before. New users and items have vectors through their features.

Recommending draws `draws` vectors with noise that is the same for every user and at every time. Each draw has one vote,
which the items near it share, and the votes are merged:

    score(u, i) = log mean_z softmax_i(cos(G(u, z), v_i) / bandwidth)

Without the sharing, an item with many others beside it would have the votes of all. A bandwidth near 0 gives a draw's
vote to the nearest item alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import keras
import pydantic
import tensorflow as tf

from tfrec_zoo.backbones.tower import Tower
from tfrec_zoo.models.adversarial import AdversarialRecommender, GameConfig
from tfrec_zoo.models.dssm import DSSM, DSSMConfig
from tfrec_zoo.models.recommender import DRAWS_ITEMS
from tfrec_zoo.models.tower_config import Units
from tfrec_zoo.replicas import sum_over_replicas, uniforms_of_rows

_HEALTH = ("discriminator_accuracy", "spread_of_draws", "spread_of_items")
"""What is followed over an epoch of the game."""

_COLLAPSED = 0.1
"""A generator has collapsed whose draws for a user lie within this share of the distance between two users' items."""

_SATURATED = 0.98
"""Accuracy of a discriminator that has nothing left to say."""


class CGANConfig(GameConfig, DSSMConfig):
    """The towers of `DSSMConfig`, for retrieval, and the two players; `dropout` is of towers and discriminator.

    Attributes:
        noise_dim: Width of the noise.
        generator_units, discriminator_units: Widths of the players' hidden layers.
        draws: Vectors drawn for a user to recommend by.
        draw_seed: Of their noise.
        bandwidth: Of a draw's vote, in cosines: how near an item has to be.
    """

    objective: Literal["retrieval"] = "retrieval"
    adversarial_weight: float = pydantic.Field(1.0, gt=0)
    noise_dim: int = pydantic.Field(16, ge=1)
    generator_units: Units = (128,)
    discriminator_units: Units = (128,)
    draws: int = pydantic.Field(64, ge=1)
    draw_seed: int = pydantic.Field(0, ge=0)
    bandwidth: float = pydantic.Field(0.05, gt=0)


@keras.saving.register_keras_serializable("tfrec_zoo")
class CGAN(AdversarialRecommender, DSSM):
    """Two towers, a generator of item vectors and, while they train, its discriminator.

    See `FeatureRecommender` for arguments, call and errors; the configuration is a `CGANConfig`.
    """

    name_in_zoo = "cgan"
    capabilities = DSSM.capabilities | {DRAWS_ITEMS}
    config_class = CGANConfig
    config: CGANConfig

    def build_network(self) -> None:
        super().build_network()
        c = self.config
        width = c.units[-1]
        self.generator = Tower((*c.generator_units, width), batch_norm=False, linear=True, dtype="float32")
        self.generator.build((None, width + c.noise_dim))
        self.discriminator = Tower(
            (*c.discriminator_units, 1), c.dropout, batch_norm=False, linear=True, dtype="float32"
        )
        self.discriminator.build((None, 3 * width))
        self._health = {name: keras.metrics.Mean(name=name) for name in _HEALTH}

    def training_inputs(self, batch: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        inputs, labels, weights = super().training_inputs(batch)
        seeds = tf.repeat(tf.cast(batch["seed"], tf.int32)[None], tf.shape(labels)[0], axis=0)
        return {**inputs, "seeds": seeds}, labels, weights

    def user_vectors(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """What the generator is conditioned on: the user's columns -> float32 (batch, units[-1]), of length 1."""
        return tf.nn.l2_normalize(super().encode_users(inputs, training), axis=-1)

    def generate(self, users: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Draws vectors of items.

        Args:
            users: float32 (batch, dim), of `user_vectors`.
            noise: float32 (batch, noise_dim), uniform in [-1, 1).

        Returns:
            float32 (batch, dim), of length 1.
        """
        hidden = self.generator(tf.concat([users, noise], axis=-1))[-1]
        return tf.nn.l2_normalize(users + hidden, axis=-1)

    def judge(self, users: tf.Tensor, items: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Logits of D(u, v): how probable it is that these users took these items.

        Args:
            users: float32 (batch, dim), of length 1.
            items: float32 (batch, dim), of length 1.
            training: Whether activations are dropped.

        Returns:
            float32 (batch,).
        """
        return self.discriminator(tf.concat([users, items, users * items], axis=-1), training=training)[-1][:, 0]

    def encode_users(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Vectors of items drawn for users: float32 (batch, draws, units[-1]), of length 1."""
        c, users = self.config, self.user_vectors(inputs, training)
        noise = 2.0 * tf.random.stateless_uniform((c.draws, c.noise_dim), (c.draw_seed, 0)) - 1.0
        rows = tf.shape(users)[0]
        drawn = self.generate(tf.repeat(users, c.draws, axis=0), tf.tile(noise, (rows, 1)))
        return tf.reshape(drawn, (rows, c.draws, users.shape[-1]))

    def encode_items(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Item vectors: float32 (batch, units[-1]), of length 1."""
        return tf.nn.l2_normalize(super().encode_items(inputs, training), axis=-1)

    def match(self, users: tf.Tensor, items: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """As of every model of features. Of the whole catalogue nothing is known here, so that votes are not shared."""
        votes = tf.matmul(users, items, transpose_b=True) / self.config.bandwidth
        return tf.reduce_logsumexp(votes, axis=1) - math.log(self.config.draws)

    def match_all(self, users: tf.Tensor, items: tf.Tensor) -> tf.Tensor:
        def add_votes(total: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
            shares = tf.nn.log_softmax(tf.matmul(drawn, items, transpose_b=True) / self.config.bandwidth)
            return keras.ops.logaddexp(total, shares)

        # One draw after the other: the votes of all at once would take `draws` times the memory of the scores.
        none = tf.fill((tf.shape(users)[0], tf.shape(items)[0]), -math.inf)
        votes = tf.foldl(add_votes, tf.transpose(users, (1, 0, 2)), none, parallel_iterations=1)
        return votes - math.log(self.config.draws)

    def target_losses(self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, training: bool) -> tf.Tensor:
        users = super().encode_users(inputs, training)
        losses = self.retrieval_losses(users, super().encode_items(inputs, training), inputs["item"])
        users = tf.stop_gradient(tf.nn.l2_normalize(users, axis=-1))
        written = self.generate(users, self._noise(inputs["seeds"][0], users))
        return losses + self.config.adversarial_weight * tf.nn.softplus(-self.judge(users, written))

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """A step of the towers and the generator, then one of the discriminator, on the same batch."""
        self.refuse_parts_of_batches()
        logs = super().train_step(data)
        inputs, _, weights = keras.utils.unpack_x_y_sample_weight(data)
        self.discriminator_step(inputs, weights)
        return logs

    def discriminator_step(self, inputs: Mapping[str, tf.Tensor], weights: tf.Tensor) -> None:
        """One step of the discriminator on the items that users took and as many generated ones.

        Args:
            inputs: As of `call`.
            weights: float32 (batch,), 0 for rows that say nothing of what users take.
        """
        users, items = self.user_vectors(inputs), self.encode_items(inputs)
        seed, other = inputs["seeds"][0], tf.constant([0, 1])
        # Other numbers than those of the generator's step, which follow seed[1].
        written = self.generate(users, self._noise(-1 - seed, users))
        with tf.GradientTape() as tape:
            real, fake = self.judge(users, items, True), self.judge(users, written, True)
            loss = self.mean_part(tf.nn.softplus(-real) + tf.nn.softplus(fake), weights)
        self.apply_gradients(self.discriminator_optimizer, tape, loss, self.discriminator)
        right = 0.5 * (tf.cast(real > 0, tf.float32) + tf.cast(fake < 0, tf.float32))
        again = self.generate(users, self._noise(-1 - seed - other, users))
        figures = {
            "discriminator_accuracy": right,
            "spread_of_draws": 1.0 - tf.reduce_sum(written * again, axis=-1),
            "spread_of_items": 1.0 - tf.reduce_sum(items * tf.roll(items, 1, axis=0), axis=-1),
        }
        for name, metric in self._health.items():
            metric.update_state(sum_over_replicas(self.mean_part(figures[name], weights)))

    def warnings(self) -> list[str]:
        found, figures = [], {name: float(metric.result()) for name, metric in self._health.items()}
        draws, items = figures["spread_of_draws"], figures["spread_of_items"]
        if draws < _COLLAPSED * items:
            found.append(
                f"mode collapse: two draws for a user are {draws:.3f} apart (1 - cosine), the items of two users "
                f"{items:.3f}; all draws recommend the same. Lower network.discriminator_learning_rate, or raise "
                "network.noise_dim."
            )
        if figures["discriminator_accuracy"] > _SATURATED:
            found.append(
                f"the discriminator is right in {figures['discriminator_accuracy']:.1%} and teaches the generator "
                "little: lower network.discriminator_learning_rate, or raise network.dropout."
            )
        return found

    def _noise(self, seed: tf.Tensor, users: tf.Tensor) -> tf.Tensor:
        """Noise for the users of this replica, the same on however many: float32 (batch, noise_dim) in [-1, 1)."""
        return 2.0 * tf.transpose(uniforms_of_rows(seed, self.config.noise_dim, tf.shape(users)[0])) - 1.0
