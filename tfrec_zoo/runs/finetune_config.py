"""The resolved configuration of a fine-tuning run: the task, how it is trained, and where it started."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import pydantic
import yaml

from tfrec_zoo.config import Config, merge, parse_assignments, read_yaml
from tfrec_zoo.models.transfer_task import TaskConfig

_RESERVED = (
    "serving_default",
    "recommend",
    "recommend_filtered",
    "score",
    "serving_examples",
    "encode",
    "recommend_diverse",
)


class FinetuneTraining(Config):
    """How a task is trained; equal names mean the same as in `TrainingConfig`.

    Attributes:
        batch_size: Records a step.
        epochs: Passes over the training records, at most.
        learning_rate: Peak of the schedule.
        schedule: "cosine" and "linear" decay to 0 at the last epoch, "constant" stays.
        warmup_share: Share of the steps with a linear rise from 0.
        weight_decay: Decoupled weight decay (AdamW).
        clip_norm: Largest global norm of the gradient; none without it.
        ema_momentum: Of the moving average of the weights that is validated and kept; None: the weights as they are.
        validate_every: Epochs between two validations; the best on valid is kept.
        patience: Validations without a better one before training stops.
    """

    batch_size: int = pydantic.Field(128, ge=1)
    epochs: int = pydantic.Field(50, ge=1)
    learning_rate: float = pydantic.Field(2e-3, gt=0)
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    warmup_share: float = pydantic.Field(0.0, ge=0, lt=1)
    weight_decay: float = pydantic.Field(0.0, ge=0)
    clip_norm: float | None = pydantic.Field(None, gt=0)
    ema_momentum: float | None = pydantic.Field(None, gt=0, lt=1)
    validate_every: int = pydantic.Field(1, ge=1)
    patience: int = pydantic.Field(5, ge=1)


class FinetuneConfig(Config):
    """Everything that decides what a fine-tuning run computes.

    Attributes:
        model: Name of the pre-trained model in the registry.
        source: Run directory that it comes from.
        name: Of the task: the name of its signature in an export.
        seed: Of every random choice.
        task: What is learned.
        training: How.
    """

    model: str
    source: str
    name: str
    seed: int = pydantic.Field(0, ge=0)
    task: TaskConfig = TaskConfig()
    training: FinetuneTraining = FinetuneTraining()

    @pydantic.field_validator("name")
    @classmethod
    def _is_a_signature(cls, name: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in _RESERVED:
            raise ValueError(
                f"a task is named by lower-case letters, digits and _, and not as one of {', '.join(_RESERVED)}"
            )
        return name

    def to_yaml(self) -> str:
        """The configuration as the text of RUN/config.yaml."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False)


def load_finetune_config(
    given: Mapping[str, Any],
    config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    assignments: Iterable[str] = (),
) -> FinetuneConfig:
    """Resolves a configuration: `config`, then the assignments, then what the caller gives.

    Args:
        given: Nested values, such as the model's name and the task's kind.
        config: A YAML file or nested values.
        assignments: "KEY=VALUE" strings such as "training.batch_size=64".

    Raises:
        ConfigError: An unreadable file, an unknown key, or a value out of range.
    """
    values: dict[str, Any] = {}
    if config is not None:
        values = dict(config) if isinstance(config, Mapping) else read_yaml(config)
    return FinetuneConfig.parse(merge(merge(values, parse_assignments(assignments)), given))
