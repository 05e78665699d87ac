"""The resolved configuration of a training run: one of the model's presets, a user's file, then `--set`.

RUN/config.yaml holds it in full and is enough to run again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any, Literal

import pydantic
import yaml

from tfrec_zoo.config import Config, merge, parse_assignments, read_yaml
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.models.registry import get_model

FAST, PAPER = PRESETS = ("fast", "paper")


class TrainingConfig(Config):
    """How a model is trained.

    Attributes:
        optimizer: "adam"; "lazy_adam" or "row_wise_adagrad" for large catalogues, whose steps cost the rows that they
            touch; "sgd".
        precision: "float32"; "mixed_bfloat16" or "mixed_float16" compute the network in 16 bits, with weights and
            losses in float32. The saved model computes in float32.
        batch_size: Records a step, over all replicas.
        accumulate_steps: Parts into which a step cuts its batch, one computed after the other, so that only one part's
            activations are in memory at a time.
        epochs: Passes over the training records, at most.
        learning_rate: Peak of the schedule.
        schedule: "cosine" and "linear" decay to 0 at the last epoch, "constant" stays.
        warmup_share: Share of the steps with a linear rise from 0.
        weight_decay: Decoupled weight decay (AdamW); biases and LayerNorm are excluded. The optimizers for large
            catalogues decay the rows that a step touches.
        clip_norm: Largest global norm of the gradient; none without it.
        ema_momentum: Keep an exponential moving average of the weights with this momentum; it is what is validated and
            saved. None uses the weights as they are.
        windows: "random" or "latest": which part of a longer history a step sees.
        length_buckets: Widths of the batches; histories of similar length share a batch, so that little of it is
            padding. 1 makes every batch as wide as the network's input.
        sharding: What each of several workers reads: "batch" makes all read everything and train on their rows of the
            same batches, so that their number changes nothing; "file" gives each its own shards, or records where there
            are fewer shards than workers. "auto" is "batch" up to 256 MiB of shards, then "file".
        validate_every: Epochs between two validations.
        keep: Whose validated weights the run keeps, and whose step a refit takes: "best" on valid, or "last". After a
            schedule that decays to 0 the last are as good, and not chosen by the noise of one validation.
        patience: Validations without a better NDCG@10 before training stops; with keep "last" it does not.
        filter_seen: Whether validation leaves seen items out of the ranking.
        save_every: Steps between two checkpoints, beside one at every validation; a crash loses no more than these.
    """

    optimizer: Literal["adam", "lazy_adam", "row_wise_adagrad", "sgd"] = "adam"
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    batch_size: int = pydantic.Field(128, ge=1)
    accumulate_steps: int = pydantic.Field(1, ge=1)
    epochs: int = pydantic.Field(100, ge=1)
    learning_rate: float = pydantic.Field(1e-3, gt=0)
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    warmup_share: float = pydantic.Field(0.0, ge=0, lt=1)
    weight_decay: float = pydantic.Field(0.0, ge=0)
    clip_norm: float | None = pydantic.Field(None, gt=0)
    ema_momentum: float | None = pydantic.Field(None, gt=0, lt=1)
    windows: Literal["random", "latest"] = "random"
    length_buckets: int = pydantic.Field(1, ge=1)
    sharding: Literal["auto", "batch", "file"] = "auto"
    validate_every: int = pydantic.Field(1, ge=1)
    keep: Literal["best", "last"] = "best"
    patience: int = pydantic.Field(10, ge=1)
    filter_seen: bool = True
    save_every: int = pydantic.Field(1000, ge=1)

    @pydantic.model_validator(mode="after")
    def _every_part_has_records(self) -> TrainingConfig:
        if self.accumulate_steps > self.batch_size:
            raise ValueError(
                f"accumulate_steps ({self.accumulate_steps}) must not be larger than batch_size ({self.batch_size})"
            )
        return self


class RunConfig(Config):
    """Everything that decides what a run computes.

    Attributes:
        model: Name in the registry.
        seed: Of every random choice: initial weights, order, windows, masks, dropout.
        network: Values of the model's own configuration class.
        training: How it is trained.
    """

    model: str
    seed: int = pydantic.Field(0, ge=0)
    network: dict[str, Any] = pydantic.Field(default_factory=dict)
    training: TrainingConfig = TrainingConfig()

    def to_yaml(self) -> str:
        """The configuration as the text of a file that `--config` reads."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False)


def load_config(
    model: str,
    config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    assignments: Iterable[str] = (),
    seed: int | None = None,
    preset: str = FAST,
) -> RunConfig:
    """Resolves a run's configuration: the model's preset, then `config`, then the assignments, then the seed.

    Args:
        model: Name in the registry.
        config: A YAML file or nested values.
        assignments: "KEY=VALUE" strings such as "training.batch_size=64".
        seed: Overrides the configuration's.
        preset: "fast", made to converge quickly, or "paper", the values of the model's paper.

    Raises:
        ConfigError: No such model or preset, an unreadable file, an unknown key, or a value out of range.
    """
    model_class = get_model(model)
    values = merge({"model": model}, read_preset(model, preset))
    if config is not None:
        values = merge(values, config if isinstance(config, Mapping) else read_yaml(config))
    values = merge(values, parse_assignments(assignments))
    if seed is not None:
        values["seed"] = seed
    resolved = RunConfig.parse(values)
    if resolved.model != model:
        raise ConfigError(f"the configuration is one of {resolved.model!r}, the model to train is {model!r}.")
    network = model_class.config_class.parse(resolved.network)
    return resolved.model_copy(update={"network": network.to_dict()})


def read_preset(model: str, name: str = FAST) -> dict[str, Any]:
    """Values of a preset that the package ships for a model.

    Raises:
        ConfigError: The model has no such preset.
    """
    if name not in PRESETS:
        raise ConfigError(f"no preset {name!r}: choose one of {', '.join(PRESETS)}.")
    file = f"{model}.yaml" if name == FAST else f"{model}.{name}.yaml"
    with resources.as_file(resources.files("tfrec_zoo") / "configs" / file) as path:
        return read_yaml(path)
