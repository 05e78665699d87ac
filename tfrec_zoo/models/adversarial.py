"""What models with a discriminator share: two players, each with an optimizer of its own, in a step of training."""

from __future__ import annotations

from typing import Any

import keras
import pydantic
import tensorflow as tf

from tfrec_zoo.config import Config
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.fused_adam import FusedAdam
from tfrec_zoo.models import gradients
from tfrec_zoo.models.recommender import Recommender
from tfrec_zoo.replicas import sum_over_replicas


class GameConfig(Config):
    """How much the game counts, and how fast its judge learns.

    Attributes:
        adversarial_weight: Of what the discriminator makes of the model's output, in the model's own loss.
        discriminator_learning_rate: Of the discriminator's Adam.
    """

    adversarial_weight: float = pydantic.Field(1.0, ge=0)
    discriminator_learning_rate: float = pydantic.Field(1e-4, gt=0)

    @property
    def has_game(self) -> bool:
        """Whether there is a discriminator."""
        return self.adversarial_weight > 0


class AdversarialRecommender(Recommender):
    """A model that a discriminator judges while it trains.

    `optimizer` trains everything but the discriminator, which has an optimizer of its own.

    Attributes:
        discriminator: Where the configuration has a game.
    """

    config: GameConfig
    discriminator: keras.layers.Layer

    def compile(self, optimizer: Any, discriminator_optimizer: Any = None, **options: Any) -> None:
        """As of Keras.

        Args:
            optimizer: Of everything but the discriminator.
            discriminator_optimizer: Default: Adam with the configuration's learning rate.
            options: Of `keras.Model.compile`.
        """
        super().compile(optimizer=optimizer, **options)
        if self.config.has_game:
            self.discriminator_optimizer = discriminator_optimizer or FusedAdam(self.config.discriminator_learning_rate)

    def get_compile_config(self) -> dict[str, Any]:
        """Empty: a model that was loaded is compiled anew before it trains on."""
        return {}

    @property
    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        return [self.optimizer, self.discriminator_optimizer] if self.config.has_game else [self.optimizer]

    @property
    def optimized_variables(self) -> list[keras.Variable]:
        judge = {id(variable) for variable in self.discriminator.trainable_variables} if self.config.has_game else ()
        return [variable for variable in self.trainable_variables if id(variable) not in judge]

    def build_optimizers(self) -> None:
        super().build_optimizers()
        if self.config.has_game:
            self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    def refuse_parts_of_batches(self) -> None:
        """Called by a step of the game, in which both players see the same batch.

        Raises:
            ConfigError: Gradients of several batches are to be added up.
        """
        if self.accumulate_steps > 1:
            name = type(self).__name__.lower()
            raise ConfigError(f"{name} plays with whole batches: leave training.accumulate_steps at 1.")

    def apply_gradients(
        self, optimizer: Any, tape: tf.GradientTape, loss: tf.Tensor, player: keras.layers.Layer
    ) -> None:
        """One step of an optimizer on one of the players."""
        variables = player.trainable_variables
        found = tape.gradient(loss, variables)
        if not getattr(optimizer, "takes_repeated_rows", False):
            found = gradients.dense(found)
        optimizer.apply(found, variables)

    def mean_part(self, values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """This replica's part of the weighted mean over the rows of all; both float32 (batch,)."""
        total = sum_over_replicas(tf.reduce_sum(weights))
        return tf.math.divide_no_nan(tf.reduce_sum(values * weights), total)
