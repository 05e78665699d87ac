"""The signatures of models that score the catalogue for a history, and of the tasks that stand on them."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfrec_zoo.errors import ExportError
from tfrec_zoo.export.item_catalogue import ItemCatalogue
from tfrec_zoo.export.signature import Signature, Tensors, texts
from tfrec_zoo.export.signatures.catalogue import CatalogueScorer
from tfrec_zoo.export.signatures.diverse import recommend_diverse
from tfrec_zoo.export.signatures.encode import encode
from tfrec_zoo.export.signatures.examples import recommend_examples
from tfrec_zoo.export.signatures.generate import FILTERED_INPUTS, INPUTS, GenerationLimits, generate
from tfrec_zoo.export.signatures.recommend import recommend, recommend_filtered
from tfrec_zoo.export.signatures.score import score
from tfrec_zoo.export.signatures.task import TaskScorer, recommend_targets, tell_class
from tfrec_zoo.models.recommender import DIVERSIFIES, ENCODES_HISTORIES, Recommender
from tfrec_zoo.models.sequence_recommender import SequenceRecommender
from tfrec_zoo.models.transfer_task import NEXT_ITEM
from tfrec_zoo.runs.task_folder import TaskFolder


def sequence_signatures(
    model: Recommender,
    catalogue: ItemCatalogue,
    max_k: int,
    tasks: Sequence[TaskFolder],
    limits: GenerationLimits | None = None,
) -> tuple[list[tf.Module], dict[str, Signature]]:
    """Signatures over histories of raw item ids.

    Args:
        model: It scores the catalogue.
        catalogue: The items.
        max_k: Width of the ranked answers.
        tasks: Each gets a signature of its name.
        limits: Of the continuations of a model that generates.

    Returns:
        What holds the weights and tables, and name -> signature; `serving_default` is `recommend`.

    Raises:
        ExportError: Two signatures have one name, or the model has no tasks.
        ConfigError: A task fits another backbone.
    """
    scorer, catalog_size = CatalogueScorer(model, catalogue), len(catalogue.items)
    signatures = _own_signatures(scorer, model.capabilities, catalog_size, max_k)
    if limits:
        signatures |= _generating_signatures(scorer, limits, max_k)
    parts: list[tf.Module] = [scorer]
    for folder in tasks:
        if folder.name in signatures:
            raise ExportError(f"two signatures are named {folder.name!r}; name a task with `tfrec finetune --name`.")
        if not isinstance(model, SequenceRecommender):
            raise ExportError(f"{model.name_in_zoo} has no tasks.")
        task = TaskScorer(scorer, folder.attach(model), folder)
        parts.append(task)
        signatures[folder.name] = _task_signature(task, max_k)
    return parts, signatures


def _own_signatures(
    scorer: CatalogueScorer, capabilities: frozenset[str], catalog_size: int, max_k: int
) -> dict[str, Signature]:
    history = {"history": texts()}

    def recommended(given: Tensors) -> dict[str, tf.Tensor]:
        item_ids = scorer.vocabulary.ids(given["history"])
        return recommend(scorer, item_ids, item_ids, max_k)

    default = Signature(history, recommended)
    signatures = {
        "serving_default": default,
        "recommend": default,
        "recommend_filtered": Signature(
            {**history, "exclude": texts(), "exclude_seen": tf.TensorSpec((None,), tf.bool), "allow": texts()},
            lambda given: recommend_filtered(scorer, **given, max_k=max_k),
        ),
        "score": Signature({**history, "candidates": texts()}, lambda given: score(scorer, **given)),
        "serving_examples": Signature(
            {"examples": texts(1)},
            lambda given: recommend_examples(scorer, given["examples"], catalog_size, max_k),
        ),
    }
    if ENCODES_HISTORIES in capabilities:
        signatures["encode"] = Signature(history, lambda given: encode(scorer, **given))
    if DIVERSIFIES in capabilities:
        signatures["recommend_diverse"] = Signature(
            {**history, "seed": tf.TensorSpec((None,), tf.int64)},
            lambda given: recommend_diverse(scorer, **given, max_k=max_k),
        )
    return signatures


def _generating_signatures(scorer: CatalogueScorer, limits: GenerationLimits, max_k: int) -> dict[str, Signature]:
    def answer(given: Tensors) -> dict[str, tf.Tensor]:
        return generate(scorer, given, limits, max_k)

    return {"generate": Signature(INPUTS, answer), "generate_filtered": Signature(FILTERED_INPUTS, answer)}


def _task_signature(task: TaskScorer, max_k: int) -> Signature:
    if task.kind == NEXT_ITEM:
        return Signature(
            {"history": texts(), "exclude": texts()}, lambda given: recommend_targets(task, **given, max_k=max_k)
        )
    return Signature({"history": texts()}, lambda given: tell_class(task, **given))
