"""What models of sequences share: the output layer over the catalogue, tied to the item embeddings, and its losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import keras
import numpy as np
import pydantic
import tensorflow as tf

from tfrec_zoo.config import Config
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec
from tfrec_zoo.layers.catalog_projection import CatalogProjection
from tfrec_zoo.layers.item_table import LookUp, look_ups_and_whole, variables_of, whole
from tfrec_zoo.layers.patching import Patches
from tfrec_zoo.losses import catalogue
from tfrec_zoo.losses.chunked_softmax import chunked_softmax
from tfrec_zoo.models.recommender import ENCODES_HISTORIES, SCORES_CATALOGUE, Recommender


class SequenceConfig(Config):
    """Width of the network and its loss.

    Attributes:
        dim: Width of the network.
        max_length: Columns of the network's input.
        dropout: Share of dropped activations.
        loss: "softmax" over the whole catalogue; "chunked_softmax", the same computed in parts, for catalogues whose
            logits don't fit into memory; "sampled_softmax" (log-uniform negatives, logQ-corrected) or "gbce".
        negatives: Negatives of the sampled losses, shared by a batch; None: a fifth of the catalogue, at most 8192.
        calibration: t of gBCE.
        exclude_known: Leave the user's other items out of a target's negatives, as a ranking that filters seen items
            does. For logs whose rankings are filtered; where items repeat, leave it off.
    """

    dim: int = pydantic.Field(64, ge=1)
    max_length: int = pydantic.Field(50, ge=2)
    dropout: float = pydantic.Field(0.2, ge=0, lt=1)
    loss: Literal["softmax", "chunked_softmax", "sampled_softmax", "gbce"] = "softmax"
    negatives: int | None = pydantic.Field(256, ge=1)
    calibration: float = pydantic.Field(0.75, ge=0, le=1)
    exclude_known: bool = False

    def negatives_of(self, catalog_size: int) -> int:
        """Negatives for a catalogue."""
        return self.negatives or max(1, min(catalog_size // 5, 8192))


class SequenceRecommender(Recommender):
    """A network over histories that scores chosen positions on the catalogue.

    Subclasses say what the network is (`make_backbone`), and what it reads in training (`training_task`) and to predict
    (`prediction_input`).

    Args:
        catalog_size: Number of items.
        config: Values of the subclass's configuration, a `SequenceConfig`.

    Call args:
        inputs: "item_ids" int32 (batch, length), right-aligned; "positions" int32 (batch, places), the columns to
            score.

    Returns:
        float32 (batch, places, catalog_size): logits; column j belongs to the item with id j + 4.

    Raises:
        ConfigError: An unknown key or a value out of its range.
    """

    capabilities = frozenset({SCORES_CATALOGUE, ENCODES_HISTORIES})
    config: SequenceConfig

    def __init__(self, catalog_size: int, config: SequenceConfig | Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(catalog_size, config, **kwargs)
        c = self.config
        self.backbone = self.make_backbone()
        self.projection = CatalogProjection(catalog_size, dtype=self.dtype_policy)
        self._negative_seeds = keras.random.SeedGenerator()
        self.backbone.build((None, c.max_length))
        self.projection.build((None, c.dim))
        self.built = True

    @classmethod
    def from_spec(
        cls, spec: DatasetSpec, config: Config | Mapping[str, Any] | None = None, dtype: str | None = None
    ) -> Recommender:
        """As of every model; the bias of an item begins where the loss is smallest as long as nothing else is known.

        For the softmax that is the logarithm of its train interactions, at any level; gBCE adds the odds of a positive
        beside the negatives. The bias is as slow as the learning rate, and the vectors would have to say what is
        popular, and how rare a hit is, for hundreds of steps.
        """
        model = super().from_spec(spec, config, dtype)
        assert isinstance(model, SequenceRecommender)
        c, counts = model.config, np.asarray(spec.item_counts, np.float32) + 1.0
        bias = np.log(counts / counts.mean())
        if c.loss == "gbce":
            negatives = c.negatives_of(spec.catalog_size)
            bias += np.log(catalogue.gbce_power(negatives, spec.catalog_size, c.calibration) / negatives)
        model.projection.bias.assign(bias)
        return model

    def training_inputs(self, batch: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        inputs, targets, weights = self.training_task(batch)
        if self.config.exclude_known:
            inputs["known"] = batch["items"]
        return inputs, targets, weights

    def make_backbone(self) -> Any:
        """The network, not built: a layer from item ids (batch, length) to hidden states (batch, length, dim)."""
        raise NotImplementedError

    def training_task(self, batch: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        """What the network reads in training: (inputs of `call`, targets, weights of the targets)."""
        raise NotImplementedError

    def prediction_input(self, history: tf.Tensor) -> tf.Tensor:
        """What the network reads to predict the item after a history: int32 (batch, at most max_length)."""
        raise NotImplementedError

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        return self.projection(self._hidden(inputs, training), whole(self.backbone.embedding.item_embeddings))

    def target_losses(
        self, inputs: Mapping[str, tf.Tensor], targets: tf.Tensor, training: bool, patches: Patches | None = None
    ) -> tf.Tensor:
        c = self.config
        columns = targets - FIRST_ITEM_ID  # negative at places without a target, which hold PAD
        known = inputs["known"] - FIRST_ITEM_ID if c.exclude_known else None
        table, bias = self.backbone.embedding.item_embeddings, self.projection.bias.value
        shared: dict[str, Any] = {"known": known, "first_row": FIRST_ITEM_ID}
        if c.loss == "chunked_softmax":
            look_up, items = look_ups_and_whole(table)
            queries = self.projection.queries(self._hidden(inputs, training, patches, look_up))
            stored = None if isinstance(table, list) else table.value
            return chunked_softmax(queries, columns, items, bias, stored=stored, **shared)
        queries = self.projection.queries(self._hidden(inputs, training, patches))
        if c.loss == "softmax":
            return catalogue.softmax(queries, columns, whole(table), bias, **shared)
        # The variables themselves: the sampled losses read a few of their rows, and their gradient is sparse.
        items = variables_of(table)
        seed, negatives = tf.cast(self._negative_seeds.next(), tf.int32), c.negatives_of(self.catalog_size)
        if c.loss == "sampled_softmax":
            return catalogue.sampled_softmax(queries, columns, items, bias, negatives, seed, **shared)
        return catalogue.gbce(queries, columns, items, bias, negatives, c.calibration, seed, **shared)

    def score(self, history: tf.Tensor) -> tf.Tensor:
        return self(self._prediction(history), training=False)[:, 0]

    def encode(self, history: tf.Tensor) -> tf.Tensor:
        """What the item embeddings are multiplied with, before the bias: float32 (batch, dim)."""
        return self.projection.queries(self._hidden(self._prediction(history), training=False))[:, 0]

    def _prediction(self, history: tf.Tensor) -> dict[str, tf.Tensor]:
        item_ids = self.prediction_input(history)
        return {"item_ids": item_ids, "positions": tf.fill((tf.shape(item_ids)[0], 1), item_ids.shape[1] - 1)}

    def _hidden(
        self,
        inputs: Mapping[str, tf.Tensor],
        training: bool | None,
        patches: Patches | None = None,
        look_up: LookUp | None = None,
    ) -> tf.Tensor:
        hidden = self.backbone(inputs["item_ids"], patches=patches, look_up=look_up, training=training)
        # Gathering before the projection keeps its cost at places x catalogue instead of length x catalogue.
        return tf.gather(hidden, inputs["positions"], batch_dims=1)
