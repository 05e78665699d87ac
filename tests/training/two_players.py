"""A small model with two optimizers, as a GAN has: a recommender, and a critic of what it recommends."""

from typing import Any

import keras
import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID
from tfrec_zoo.models.bert4rec import Bert4Rec
from tfrec_zoo.replicas import sum_over_replicas


class TwoPlayers(Bert4Rec):
    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.critic = keras.Sequential([keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
        self.critic.build((None, None, self.config.dim))

    def compile(self, optimizer: Any, critic_optimizer: Any) -> None:
        super().compile(optimizer=optimizer)
        self.critic_optimizer = critic_optimizer
        # Both at once: variables cannot be made in the middle of a step that replicas run.
        critic = self.critic.trainable_variables
        self.optimizer.build([variable for variable in self.trainable_variables if not _is_one_of(variable, critic)])
        self.critic_optimizer.build(critic)

    @property
    def optimizers(self) -> list[Any]:
        return [self.optimizer, self.critic_optimizer]

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        total = sum_over_replicas(tf.reduce_sum(weights))

        def mean(losses: tf.Tensor) -> tf.Tensor:
            return tf.reduce_sum(losses * weights) / total

        with tf.GradientTape(persistent=True) as tape:
            logits = self(inputs, training=True)
            columns = tf.maximum(targets - FIRST_ITEM_ID, 0)
            items = tf.convert_to_tensor(self.backbone.embedding.item_embeddings)[FIRST_ITEM_ID:]
            real = self.critic(tf.gather(items, columns))[..., 0]
            fake = self.critic(tf.matmul(tf.nn.softmax(logits), items))[..., 0]
            named = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=columns, logits=logits)
            loss = mean(named + tf.nn.softplus(-fake))
            critic_loss = mean(tf.nn.softplus(-real) + tf.nn.softplus(fake))
        critic = self.critic.trainable_variables
        own = [variable for variable in self.trainable_variables if not _is_one_of(variable, critic)]
        gradients, critic_gradients = tape.gradient(loss, own), tape.gradient(critic_loss, critic)
        self.optimizer.apply(gradients, own)
        self.critic_optimizer.apply(critic_gradients, critic)
        return self._track_loss(loss + critic_loss, total)


def _is_one_of(variable: Any, variables: list[Any]) -> bool:
    return any(variable is other for other in variables)
