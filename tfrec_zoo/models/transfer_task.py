"""Fine-tuning of a pre-trained model to a task by patches, as PeterRec does it.

Yuan et al., "Parameter-Efficient Transfer from Sequential Behaviors for User Modeling and Recommendation", SIGIR 2020,
section 3.3.

    history, CLS  ->  the pre-trained network with the task's patches  ->  hidden state at CLS: the user vector
                  ->  next item of another domain: dot product with that domain's items; BPR or softmax
                      profile of the user:         dot product with the classes; softmax

Any model of sequences can be the base. With the modes "patches" and "head" it is frozen, so that one base in memory, or
in one SavedModel, serves all of its tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import keras
import pydantic
import tensorflow as tf

from tfrec_zoo.config import Config
from tfrec_zoo.dataset_spec import CLS, FIRST_ITEM_ID
from tfrec_zoo.layers.target_head import TargetHead
from tfrec_zoo.losses import catalogue
from tfrec_zoo.losses.bpr import bpr
from tfrec_zoo.models.recommender import ENCODES_HISTORIES, Recommender
from tfrec_zoo.models.sequence_recommender import SequenceRecommender
from tfrec_zoo.patches.injection import PatchConfig, PatchedBackbone, inject
from tfrec_zoo.preprocessing.history import append_token, latest
from tfrec_zoo.samplers import static_rank

NEXT_ITEM, PROFILE = "next_item", "profile"


class TaskConfig(Config):
    """What is learned, and what of the network may change for it.

    Attributes:
        kind: "next_item" of the target domain (view transfer) or "profile" of the user (view profiles).
        label: The profile's label.
        mode: "patches" trains patches and the head, "head" the head alone, "all" the whole network and the head.
        patch: The patches of mode "patches": "serial" or "parallel".
        bottleneck: Their width; None: an eighth of the network's.
        train_layer_norm: In mode "patches", also a scale and shift of the task's own after every LayerNorm.
        loss: Of next_item: "softmax" over the target domain, or "bpr" against one sampled negative.
        rho: Of the sampler of "bpr": p_j ~ exp(-(rank + 1) / (items rho)).
        pretraining_weight: lambda of L = L_task + lambda L_pretraining; the latter is the mean over a history.
    """

    kind: Literal["next_item", "profile"] = "next_item"
    label: str | None = None
    mode: Literal["patches", "all", "head"] = "patches"
    patch: Literal["serial", "parallel"] = "serial"
    bottleneck: int | None = pydantic.Field(None, ge=1)
    train_layer_norm: bool = False
    loss: Literal["softmax", "bpr"] = "softmax"
    rho: float = pydantic.Field(0.3, gt=0)
    pretraining_weight: float = pydantic.Field(0.0, ge=0)

    @pydantic.model_validator(mode="after")
    def _values_fit_together(self) -> TaskConfig:
        if (self.kind == PROFILE) != (self.label is not None):
            raise ValueError("the kind profile, and no other, needs a label")
        if self.kind == PROFILE and self.loss == "bpr":
            raise ValueError("bpr ranks items; classes are learned by softmax")
        if self.train_layer_norm and self.mode != "patches":
            raise ValueError(f"train_layer_norm belongs to the mode patches; {self.mode} has no patches")
        return self

    @property
    def patches(self) -> PatchConfig:
        """What is put into the network."""
        kind = self.patch if self.mode == "patches" else "none"
        return PatchConfig(kind=kind, bottleneck=self.bottleneck, train_layer_norm=self.train_layer_norm)


@keras.saving.register_keras_serializable("tfrec_zoo")
class TransferTask(Recommender):
    """A task on a pre-trained model.

    Args:
        base: The pre-trained model; shared, not copied. Mode "all" trains it, the others freeze it.
        targets: Items of the target domain, or classes.
        config: A `TaskConfig` or its values.

    Call args:
        inputs: int32 (batch, length): histories of the source domain with CLS after them.

    Returns:
        float32 (batch, targets).
    """

    capabilities = frozenset({ENCODES_HISTORIES})
    config_class = TaskConfig
    config: TaskConfig

    def __init__(
        self, base: SequenceRecommender, targets: int, config: TaskConfig | Mapping[str, Any], **kwargs: Any
    ) -> None:
        super().__init__(base.catalog_size, config, **kwargs)
        self.base, self.targets = base, targets
        self.network: PatchedBackbone = inject(base.backbone, self.config.patches)
        self.head = TargetHead(targets)
        self.head.build((None, base.config.dim))
        base.backbone.trainable = self.config.mode == "all"
        # Only the pre-training loss reads the layer over the source's items.
        base.projection.trainable = self.config.mode == "all" and self.config.pretraining_weight > 0
        self._negative_seeds = keras.random.SeedGenerator()
        self.built = True

    @property
    def name_in_zoo(self) -> str:  # type: ignore[override]
        """That of the pre-trained model."""
        return self.base.name_in_zoo

    @property
    def view(self) -> str:  # type: ignore[override]
        """The view of DATA that it trains on."""
        return "transfer" if self.config.kind == NEXT_ITEM else "profiles"

    @property
    def history_length(self) -> int:
        return self.base.history_length

    @property
    def own_weights(self) -> list[keras.Variable]:
        """What a task on a frozen base consists of: its patches and its head."""
        patches = [patch for patch in self.network.patches if patch is not None]
        return [weight for layer in (*patches, self.head) for weight in layer.weights]

    def training_inputs(self, batch: Mapping[str, tf.Tensor]) -> tuple[dict[str, Any], tf.Tensor, tf.Tensor]:
        history = batch["history"]
        inputs: dict[str, Any] = {"item_ids": self._with_cls(history)}
        if self.config.pretraining_weight:
            inputs["pretraining"] = self.base.training_inputs(
                {"history": history, "items": history, "seed": batch["seed"]}
            )
        columns = batch["class"] if self.config.kind == PROFILE else batch["target"] - FIRST_ITEM_ID
        # A user whose class is missing, or was never seen in train, teaches nothing.
        return inputs, tf.maximum(columns, 0), tf.cast(columns >= 0, tf.float32)

    def target_losses(self, inputs: Mapping[str, Any], targets: tf.Tensor, training: bool) -> tf.Tensor:
        users = self._users(inputs["item_ids"], training)
        vectors, bias = tf.convert_to_tensor(self.head.vectors), tf.convert_to_tensor(self.head.bias)
        if self.config.loss == "bpr":
            seed = tf.cast(self._negative_seeds.next(), tf.int32)
            negatives = static_rank.sample(tf.shape(targets), self.targets, self.config.rho, seed)
            losses = bpr(users, targets, negatives, vectors, bias)
        else:
            losses = catalogue.softmax(users[:, None], targets[:, None], vectors, bias)[:, 0]
        if self.config.pretraining_weight:
            own, own_targets, weights = inputs["pretraining"]
            each = self.base.target_losses(own, own_targets, training, patches=self.network.patches) * weights
            mean = tf.math.divide_no_nan(tf.reduce_sum(each, axis=1), tf.reduce_sum(weights, axis=1))
            losses += self.config.pretraining_weight * mean
        return losses

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        return self.head(self._users(inputs, training))

    def score(self, history: tf.Tensor) -> tf.Tensor:
        """Scores the targets for users of the source domain.

        Args:
            history: int32 (batch, n), right-aligned, any n; a user without any is scored by CLS alone.

        Returns:
            float32 (batch, targets); of a profile, the logits of the classes.
        """
        return self(self._with_cls(history), training=False)

    def encode(self, history: tf.Tensor) -> tf.Tensor:
        """The hidden state at CLS: float32 (batch, dim)."""
        return self._users(self._with_cls(history), training=False)

    def get_config(self) -> dict[str, Any]:
        base = keras.saving.serialize_keras_object(self.base)
        return {"base": base, "targets": self.targets, "config": self.config.to_dict()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TransferTask:
        return cls(keras.saving.deserialize_keras_object(config["base"]), config["targets"], config["config"])

    def _with_cls(self, history: tf.Tensor) -> tf.Tensor:
        return append_token(latest(history, self.base.config.max_length - 1), CLS)

    def _users(self, item_ids: tf.Tensor, training: bool | None) -> tf.Tensor:
        return self.network(item_ids, training=training)[:, -1]
