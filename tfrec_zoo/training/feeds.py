"""What a model trains on and how it is validated, by its view: all that the `Trainer` asks of DATA."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import tensorflow as tf

from tfrec_zoo.data import interactions, sequences
from tfrec_zoo.data.records import WHOLE, Part, is_small
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ConfigError, DataError
from tfrec_zoo.evaluation.catalogue_matching import CatalogueEvaluator
from tfrec_zoo.evaluation.evaluator import Evaluator
from tfrec_zoo.evaluation.pointwise import PointwiseEvaluator
from tfrec_zoo.models.feature_recommender import FeatureRecommender
from tfrec_zoo.models.recommender import Recommender
from tfrec_zoo.runs.run_config import TrainingConfig

Validation = Callable[[], Mapping[str, float]]

_K = 10


class Feed(abc.ABC):
    """The train records of a dataset for a model, and its validation.

    Args:
        model: What is trained.
        spec: The dataset.
    """

    view: ClassVar[str]

    def __init__(self, model: Recommender, spec: DatasetSpec) -> None:
        self.model, self.spec = model, spec

    @property
    def metric(self) -> str:
        """Name of the metric on valid that says which weights are best; more is better."""
        return "ndcg@10"

    @classmethod
    def records(cls, spec: DatasetSpec) -> int:
        """Records that an epoch sees; a refit on train + valid has epochs of as many."""
        return spec.records(cls.view, "train")

    @abc.abstractmethod
    def batches(
        self, config: TrainingConfig, batch_size: int, split: str, seed: int, first_step: int, part: Part
    ) -> tf.data.Dataset:
        """Endless batches of the view; see the view's `training_batches`."""

    @abc.abstractmethod
    def validation(self, model: Recommender, config: TrainingConfig) -> Validation:
        """Makes what computes the metrics of a model on valid."""

    def is_small(self) -> bool:
        """Whether every worker may read all of the view."""
        return is_small(self.spec, self.view)


class SequenceFeed(Feed):
    """Histories; validated by ranking the catalogue."""

    view = "sequences"

    def batches(
        self, config: TrainingConfig, batch_size: int, split: str, seed: int, first_step: int, part: Part
    ) -> tf.data.Dataset:
        return sequences.training_batches(
            self.spec,
            batch_size,
            self.model.history_length,
            split=split,
            windows=config.windows,
            length_buckets=config.length_buckets,
            seed=seed,
            first_step=first_step,
            part=part,
        )

    def validation(self, model: Recommender, config: TrainingConfig) -> Validation:
        evaluate = Evaluator(
            model, self.spec, split="valid", filter_seen=config.filter_seen, ks=(min(_K, self.spec.catalog_size),)
        )
        return lambda: evaluate().metrics


class InteractionFeed(Feed):
    """Rows of users and items with labels; validated by AUC, or by ranking where the model learns to retrieve."""

    view = interactions.VIEW
    model: FeatureRecommender

    @property
    def metric(self) -> str:
        return "ndcg@10" if self.model.retrieves else "auc"

    def batches(
        self, config: TrainingConfig, batch_size: int, split: str, seed: int, first_step: int, part: Part
    ) -> tf.data.Dataset:
        for name in ("windows", "length_buckets"):
            if getattr(config, name) != TrainingConfig.model_fields[name].default:
                raise ConfigError(
                    f"training.{name} is of sequences; {self.model.name_in_zoo} reads rows: leave it out."
                )
        if part != WHOLE:
            raise DataError(f"the view {self.view} is read by every worker whole: set training.sharding=batch.")
        return interactions.training_batches(
            self.spec,
            batch_size,
            self.model.history_length,
            features=[*self.model.features, interactions.LABEL],
            splits=split.split("+"),
            seed=seed,
            first_step=first_step,
        )

    def validation(self, model: Recommender, config: TrainingConfig) -> Validation:
        assert isinstance(model, FeatureRecommender)
        if not model.retrieves:
            pointwise = PointwiseEvaluator(model, self.spec, split="valid")
            return lambda: pointwise().metrics
        evaluate = CatalogueEvaluator(
            model, self.spec, split="valid", filter_seen=config.filter_seen, ks=(min(_K, self.spec.catalog_size),)
        )
        return lambda: evaluate().metrics


_FEEDS: dict[str, type[Feed]] = {feed.view: feed for feed in (SequenceFeed, InteractionFeed)}


def feed_class(model: type[Recommender] | Recommender) -> type[Feed]:
    """The feed of a model's view."""
    return _FEEDS[str(model.view)]


def shown(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics that a line of progress shows."""
    return {name: value for name, value in metrics.items() if name.startswith(("ndcg", "hr", "auc", "logloss"))}
