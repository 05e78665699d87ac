"""A trained model as a SavedModel for TensorFlow Serving: the signatures that its capabilities allow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from tfrec_zoo.errors import ExportError
from tfrec_zoo.export.feature_signatures import feature_signatures
from tfrec_zoo.export.item_catalogue import ItemCatalogue
from tfrec_zoo.export.sequence_signatures import sequence_signatures
from tfrec_zoo.export.signature import finish_saved_model
from tfrec_zoo.export.signatures.generate import GenerationLimits
from tfrec_zoo.models.recommender import GENERATES, SCORES_CANDIDATES, SCORES_CATALOGUE, Recommender
from tfrec_zoo.preprocessing.vocabulary import Vocabulary
from tfrec_zoo.runs.task_folder import TaskFolder

_KINDS = {SCORES_CATALOGUE: sequence_signatures, SCORES_CANDIDATES: feature_signatures}
"""Capability -> what makes the signatures of models that have it."""


class Servable:
    """Signatures of a model over raw values; every input has the batch as its first axis and is required.

    Args:
        model: The trained model.
        catalogue: Its items: vocabulary and popularity go into the graph.
        max_k: Width of the ranked answers.
        tasks: Fine-tuned tasks on the same model: each gets a signature of its name, and the model is stored once.
        limits: Of the continuations of a model that generates; default: those of `GenerationLimits`.

    Attributes:
        limits: As given; None for a model that generates nothing.
        signatures: Name -> `Signature`; `serving_default` is another one under a second name.

    Raises:
        ExportError: The model has no capability that a signature needs, or none that the limits are for, or two tasks
            have one name.
        ConfigError: A task fits another backbone.
        DataError: The dataset does not describe the items that the model encodes.
    """

    def __init__(
        self,
        model: Recommender,
        catalogue: ItemCatalogue,
        max_k: int,
        tasks: Sequence[TaskFolder] = (),
        limits: GenerationLimits | None = None,
    ) -> None:
        kind = next((each for each in _KINDS if each in model.capabilities), None)
        if kind is None:
            raise ExportError(
                f"{model.name_in_zoo} offers nothing to serve: no signature fits {set(model.capabilities)}."
            )
        self.limits: GenerationLimits | None = None
        if GENERATES in model.capabilities:
            self.limits = limits or GenerationLimits()
            parts, self.signatures = sequence_signatures(model, catalogue, max_k, tasks, self.limits)
        elif limits:
            raise ExportError(f"{model.name_in_zoo} generates nothing: leave --max-n and --max-length out.")
        else:
            parts, self.signatures = _KINDS[kind](model, catalogue, max_k, tasks)
        self._module = tf.Module()
        self._module.parts = parts

    @property
    def variables(self) -> Sequence[tf.Variable]:
        """The weights, and what else the graph keeps."""
        return self._module.variables

    @property
    def vocabularies(self) -> list[Path]:
        """The files that the graph looks values up in."""
        return [Path(module.path) for module in self._module.submodules if isinstance(module, Vocabulary)]

    def save(self, directory: str) -> None:
        """Writes the SavedModel; without optimizer slots, the vocabularies among its assets."""
        functions = {name: signature.function for name, signature in self.signatures.items()}
        tf.saved_model.save(self._module, directory, signatures=functions)
        finish_saved_model(Path(directory), self.signatures)
