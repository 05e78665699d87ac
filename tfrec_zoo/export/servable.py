"""A trained model as a SavedModel for TensorFlow Serving: the signatures that its capabilities allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfrec_zoo.errors import ExportError
from tfrec_zoo.export.item_catalogue import ItemCatalogue
from tfrec_zoo.export.signatures.catalogue import CatalogueScorer
from tfrec_zoo.export.signatures.diverse import recommend_diverse
from tfrec_zoo.export.signatures.encode import encode
from tfrec_zoo.export.signatures.examples import recommend_examples
from tfrec_zoo.export.signatures.recommend import recommend, recommend_filtered
from tfrec_zoo.export.signatures.score import score
from tfrec_zoo.export.signatures.task import TaskScorer, recommend_targets, tell_class
from tfrec_zoo.models.recommender import DIVERSIFIES, ENCODES_HISTORIES, SCORES_CATALOGUE, Recommender
from tfrec_zoo.models.sequence_recommender import SequenceRecommender
from tfrec_zoo.models.transfer_task import NEXT_ITEM
from tfrec_zoo.runs.task_folder import TaskFolder

DEFAULT_SIGNATURE = "serving_default"


class Servable(tf.Module):
    """Signatures of a model over raw string ids; every input has the batch as its first axis and is required.

    Args:
        model: The trained model.
        catalogue: Its items: vocabulary and popularity go into the graph.
        max_k: Width of the ranked answers.
        tasks: Fine-tuned tasks on the same model: each gets a signature of its name, and the model is stored once.

    Attributes:
        functions: Signature name -> tf.function with named inputs; `serving_default` is `recommend`.

    Raises:
        ExportError: The model has no capability that a signature needs, or two tasks have one name.
        ConfigError: A task fits another backbone.
    """

    def __init__(
        self, model: Recommender, catalogue: ItemCatalogue, max_k: int, tasks: Sequence[TaskFolder] = ()
    ) -> None:
        super().__init__()
        if SCORES_CATALOGUE not in model.capabilities:
            raise ExportError(
                f"{model.name_in_zoo} offers nothing to serve: no signature fits {set(model.capabilities)}."
            )
        self._scorer = scorer = CatalogueScorer(model, catalogue)
        catalog_size = len(catalogue.items)

        def texts(name: str) -> tf.TensorSpec:
            return tf.TensorSpec((None, None), tf.string, name=name)

        @tf.function(input_signature=[texts("history")])
        def recommend_signature(history: tf.Tensor) -> dict[str, tf.Tensor]:
            item_ids = scorer.vocabulary.ids(history)
            return recommend(scorer, item_ids, item_ids, max_k)

        @tf.function(
            input_signature=[
                texts("history"),
                texts("exclude"),
                tf.TensorSpec((None,), tf.bool, name="exclude_seen"),
                texts("allow"),
            ]
        )
        def filtered_signature(
            history: tf.Tensor, exclude: tf.Tensor, exclude_seen: tf.Tensor, allow: tf.Tensor
        ) -> dict[str, tf.Tensor]:
            return recommend_filtered(scorer, history, exclude, exclude_seen, allow, max_k)

        @tf.function(input_signature=[texts("history"), texts("candidates")])
        def score_signature(history: tf.Tensor, candidates: tf.Tensor) -> dict[str, tf.Tensor]:
            return score(scorer, history, candidates)

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="examples")])
        def examples_signature(examples: tf.Tensor) -> dict[str, tf.Tensor]:
            return recommend_examples(scorer, examples, catalog_size, max_k)

        @tf.function(input_signature=[texts("history")])
        def encode_signature(history: tf.Tensor) -> dict[str, tf.Tensor]:
            return encode(scorer, history)

        self.functions: dict[str, Any] = {
            DEFAULT_SIGNATURE: recommend_signature,
            "recommend": recommend_signature,
            "recommend_filtered": filtered_signature,
            "score": score_signature,
            "serving_examples": examples_signature,
        }
        if ENCODES_HISTORIES in model.capabilities:
            self.functions["encode"] = encode_signature
        if DIVERSIFIES in model.capabilities:

            @tf.function(input_signature=[texts("history"), tf.TensorSpec((None,), tf.int64, name="seed")])
            def diverse_signature(history: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
                return recommend_diverse(scorer, history, seed, max_k)

            self.functions["recommend_diverse"] = diverse_signature
        self._tasks = []
        for folder in tasks:
            if folder.name in self.functions:
                raise ExportError(
                    f"two signatures are named {folder.name!r}; name a task with `tfrec finetune --name`."
                )
            if not isinstance(model, SequenceRecommender):
                raise ExportError(f"{model.name_in_zoo} has no tasks.")
            task = TaskScorer(scorer, folder.attach(model), folder)
            self._tasks.append(task)
            self.functions[folder.name] = _task_signature(task, max_k)

    def save(self, directory: str) -> None:
        """Writes the SavedModel; without optimizer slots, the vocabulary among its assets."""
        tf.saved_model.save(self, directory, signatures=dict(self.functions))


def _task_signature(task: TaskScorer, max_k: int) -> Any:
    if task.kind == NEXT_ITEM:

        @tf.function(input_signature=task.inputs)
        def targets_signature(history: tf.Tensor, exclude: tf.Tensor) -> dict[str, tf.Tensor]:
            return recommend_targets(task, history, exclude, max_k)

        return targets_signature

    @tf.function(input_signature=task.inputs)
    def class_signature(history: tf.Tensor) -> dict[str, tf.Tensor]:
        return tell_class(task, history)

    return class_signature
