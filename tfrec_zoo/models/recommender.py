"""Base of every model of the zoo: what training, evaluation and export may ask of it.

A model joins preprocessing, a backbone and an objective. It says which view of DATA it reads, what it can do, how a
batch of that view becomes a training example, and how it scores; everything else is shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfrec_zoo.config import Config
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.models import gradients
from tfrec_zoo.models.continuations import Draws
from tfrec_zoo.replicas import sum_over_replicas, update_mean

SCORES_CATALOGUE = "scores_catalogue"
"""Capability: `score(history)` gives a score for every item."""

SCORES_CANDIDATES = "scores_candidates"
"""Capability: a user with features is matched with given items, of which what depends on the item alone can be kept."""

ENCODES_ITEMS = "encodes_items"
"""Capability: items have vectors, and users what ranks them (`match_all`): an index finds a user's best items."""

DRAWS_ITEMS = "draws_items"
"""Capability: a user has several vectors, drawn, whose votes `match_all` merges; not one whose product ranks."""

ENCODES_HISTORIES = "encodes_histories"
"""Capability: `encode(history)` gives a vector for every user."""

DIVERSIFIES = "diversifies"
"""Capability: it is served with a ranking by parts of a history too."""

GENERATES = "generates"
"""Capability: `write_on(history, draws)` draws how histories may go on."""


class Recommender(keras.Model):
    """A Keras model that trains on batches of DATA and scores items.

    `compile(optimizer)` is enough to `fit`: the objective belongs to the model (`target_losses`). The loss of a step
    is the weighted mean over the targets of the global batch, on one device and on many: sums are taken on every
    replica and divided by the weights of all replicas.

    Attributes:
        name_in_zoo: Name on the command line.
        view: The view of DATA that it trains on.
        capabilities: What it can do; export and evaluation ask these and not the class.
        config_class: Its configuration.
        config: Its configuration's values.
        catalog_size: Number of items.
        accumulate_steps: Parts into which `train_step` cuts its batch.
    """

    name_in_zoo: ClassVar[str]
    view: ClassVar[str] = "sequences"
    capabilities: ClassVar[frozenset[str]] = frozenset()
    config_class: ClassVar[type[Config]]
    accumulate_steps: int = 1

    def __init__(self, catalog_size: int, config: Config | Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.catalog_size = catalog_size
        self.config = config if isinstance(config, Config) else self.config_class.parse(config)

    @classmethod
    def from_spec(
        cls, spec: DatasetSpec, config: Config | Mapping[str, Any] | None = None, dtype: str | None = None
    ) -> Recommender:
        """Makes an untrained model for a dataset.

        Args:
            spec: The dataset: its catalogue fixes the model's size.
            config: Values of `config_class`, or an instance; default: the class's defaults.
            dtype: Precision of the training, such as "mixed_bfloat16"; default: Keras' global policy. A saved model
                holds none: it computes in float32.

        Raises:
            ConfigError: An unknown key or a value out of its range.
        """
        return cls(spec.catalog_size, {} if config is None else config, dtype=dtype)

    @classmethod
    def of_size(cls, catalog_size: int) -> Recommender:
        """An untrained model for so many items with the defaults of its configuration."""
        return cls(catalog_size, {})

    @property
    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        """What trains it; a model with networks that play against each other has more than one."""
        return [self.optimizer]

    @property
    def optimized_variables(self) -> list[keras.Variable]:
        """What `optimizer` trains."""
        return self.trainable_variables

    def build_optimizers(self) -> None:
        """Makes the variables of its optimizers; a step that replicas run cannot make any."""
        self.optimizer.build(self.optimized_variables)

    @property
    def fills_gaps(self) -> bool:
        """Whether `call` names the items behind MASK, wherever in a history, by what stands on both sides."""
        return False

    def warnings(self) -> list[str]:
        """What went wrong in the epoch's training though its loss is finite, a line each."""
        return []

    @property
    def history_length(self) -> int:
        """Columns of the histories that it trains on."""
        raise NotImplementedError

    def training_inputs(self, batch: Mapping[str, tf.Tensor]) -> tuple[Any, tf.Tensor, tf.Tensor]:
        """Turns a batch of the model's view into (inputs of `call`, targets, weights of the targets).

        Pure and seeded by the batch: it runs in the tf.data pipeline, beside the training step.
        """
        raise NotImplementedError

    def target_losses(self, inputs: Any, targets: tf.Tensor, training: bool) -> tf.Tensor:
        """Loss of every target, in the shape of the targets' weights; not averaged."""
        raise NotImplementedError

    def score(self, history: tf.Tensor) -> tf.Tensor:
        """Scores the whole catalogue as the next item.

        Args:
            history: int32 (batch, n), right-aligned, any n.

        Returns:
            float32 (batch, catalog_size); column j belongs to the item with id j + 4.
        """
        raise NotImplementedError

    def encode(self, history: tf.Tensor) -> tf.Tensor:
        """Encodes users by their histories.

        Args:
            history: int32 (batch, n), right-aligned, any n.

        Returns:
            float32 (batch, dim).
        """
        raise NotImplementedError

    def write_on(self, history: tf.Tensor, draws: Draws, first: tf.Tensor | None = None) -> tf.Tensor:
        """Draws how histories may go on.

        Args:
            history: int32 (batch, n), right-aligned, any n.
            draws: What to draw.
            first: float32 (batch, catalog_size), logits of the first items; default: the model's own.

        Returns:
            int32 (batch, largest n, largest length), PAD beyond a row's own, and where no item is left.
        """
        raise NotImplementedError

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One step on a batch, in `accumulate_steps` parts one after the other.

        Every part's loss is divided by the weight of the whole global batch, so that the parts' gradients add up to
        those of one large batch whatever the parts weigh, and nothing is kept between steps.
        """
        inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        weight = sum_over_replicas(tf.reduce_sum(weights))
        variables = self.optimized_variables
        loss, total = tf.zeros(()), [None] * len(variables)
        for batch in gradients.parts_of_batch((inputs, targets, weights), self.accumulate_steps):
            # A graph would compute the parts at once, and keep the activations of all.
            with tf.control_dependencies([part for part in tf.nest.flatten(total, True) if part is not None]):
                batch = tf.nest.map_structure(tf.identity, batch)
            with tf.GradientTape() as tape:
                part = self._loss_part(batch, weight, training=True)
                scaled = self.optimizer.scale_loss(part)
            total = gradients.add(total, tape.gradient(scaled, variables))
            loss += part
        if not getattr(self.optimizer, "takes_repeated_rows", False):
            # Keras' own square the parts of a repeated row before they add them up.
            total = gradients.dense(total)
        # The optimizer sums the gradients of all replicas, so the parts add up to the global loss.
        self.optimizer.apply(total, variables)
        return self._track_loss(loss, weight)

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        inputs, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        weight = sum_over_replicas(tf.reduce_sum(weights))
        return self._track_loss(self._loss_part((inputs, targets, weights), weight, training=False), weight)

    def get_config(self) -> dict[str, Any]:
        return {"catalog_size": self.catalog_size, "config": self.config.to_dict()}

    def _loss_part(self, batch: tuple[Any, tf.Tensor, tf.Tensor], weight: tf.Tensor, training: bool) -> tf.Tensor:
        """The part of the mean loss of a global batch of weight `weight` that these rows of it bring."""
        inputs, targets, weights = batch
        return tf.math.divide_no_nan(tf.reduce_sum(self.target_losses(inputs, targets, training) * weights), weight)

    def _track_loss(self, part: tf.Tensor, weight: tf.Tensor) -> dict[str, tf.Tensor]:
        # Every replica tracks the global loss: Keras averages what the replicas report without regard to their weights.
        update_mean(self._loss_tracker, sum_over_replicas(tf.stop_gradient(part)), weight)
        return self.get_metrics_result()
