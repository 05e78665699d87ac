"""Callbacks for Keras users who train with `model.fit`."""

from __future__ import annotations

from typing import Any

import keras

from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.evaluation.catalogue_matching import CatalogueEvaluator
from tfrec_zoo.evaluation.evaluator import Evaluator
from tfrec_zoo.evaluation.pointwise import PointwiseEvaluator
from tfrec_zoo.models.feature_recommender import FeatureRecommender


class _Validation(keras.callbacks.Callback):
    """Adds an evaluator's metrics on valid, as "val_" and their name, to the logs of an epoch."""

    def __init__(self, spec: DatasetSpec, every: int = 1) -> None:
        super().__init__()
        self.spec, self.every = spec, every
        self._evaluator: Evaluator | CatalogueEvaluator | PointwiseEvaluator | None = None
        self._metrics: dict[str, float] = {}

    def make_evaluator(self) -> Evaluator | CatalogueEvaluator | PointwiseEvaluator:
        """What evaluates `self.model`."""
        raise NotImplementedError

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._evaluator = self.make_evaluator()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._evaluator and (not self._metrics or (epoch + 1) % self.every == 0):
            self._metrics = {f"val_{name}": value for name, value in self._evaluator().metrics.items()}
        if logs is not None:
            logs.update(self._metrics)


class RankingValidation(_Validation):
    """Adds "val_ndcg@10" and "val_hr@10" over the whole catalogue to the logs of an epoch.

    Put it before EarlyStopping or ModelCheckpoint, which can then monitor them with mode="max".

    Args:
        spec: The dataset; its valid part is ranked. For two towers it has the views `interactions` and `items`.
        every: Epochs between two validations; between them the last figures are repeated.
        filter_seen: Leave seen items out of the ranking.
    """

    def __init__(self, spec: DatasetSpec, every: int = 1, filter_seen: bool = True) -> None:
        super().__init__(spec, every)
        self.filter_seen = filter_seen

    def make_evaluator(self) -> Evaluator | CatalogueEvaluator:
        ks = (min(10, self.spec.catalog_size),)
        if isinstance(self.model, FeatureRecommender):
            return CatalogueEvaluator(self.model, self.spec, split="valid", filter_seen=self.filter_seen, ks=ks)
        return Evaluator(self.model, self.spec, split="valid", filter_seen=self.filter_seen, ks=ks)


class LabelValidation(_Validation):
    """Adds "val_auc", "val_gauc", "val_logloss", "val_calibration" and "val_ece" to the logs of an epoch.

    Put it before EarlyStopping or ModelCheckpoint, which can then monitor them: "val_auc" with mode="max".

    Args:
        spec: The dataset, with the view `interactions`; the labels of its valid part are foretold.
        every: Epochs between two validations; between them the last figures are repeated.
    """

    def make_evaluator(self) -> PointwiseEvaluator:
        return PointwiseEvaluator(self.model, self.spec, split="valid")
