"""What training has done so far, as far as it is not in the model's and the optimizer's variables."""

from __future__ import annotations

import csv
import dataclasses
import math
import os
from pathlib import Path
from typing import Any

from tfrec_zoo.errors import TrainingError

FIT, REFIT = "fit", "refit"
"""The phases of a run, in their order; the names of checkpoint files sort the same way."""


@dataclasses.dataclass
class TrainingResult:
    """What a run did.

    Attributes:
        steps: Steps trained.
        best_step: Step of the best validation; `steps` where nothing was validated.
        best_value: The followed metric on valid at that step; NaN where nothing was validated.
        seconds: Wall time of training and validation.
        training_seconds: Wall time of the steps alone; the first one of a process, which compiles, is left out.
        records: Records trained in `training_seconds`.
        data_wait_seconds: Part of `training_seconds` spent waiting for the next batch.
        history: One row a validated epoch.
    """

    steps: int = 0
    best_step: int = 0
    best_value: float = math.nan
    seconds: float = 0.0
    training_seconds: float = 0.0
    records: int = 0
    data_wait_seconds: float = 0.0
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)

    @property
    def sequences_per_s(self) -> float:
        """Trained records a second, validation and compilation left out."""
        return self.records / self.training_seconds if self.training_seconds else 0.0

    @property
    def data_wait_share(self) -> float:
        """Share of the training time in which the step waited for its batch."""
        return self.data_wait_seconds / self.training_seconds if self.training_seconds else 0.0


@dataclasses.dataclass
class TrainingState:
    """Where a run is: everything that a checkpoint holds beside variables.

    Attributes:
        phase: "fit" or "refit".
        result: Of this phase, so far.
        waited: Validations since the best one.
        done: Whether the phase has ended.
        chosen: Result of the fit, in a refit.
    """

    phase: str = FIT
    result: TrainingResult = dataclasses.field(default_factory=TrainingResult)
    waited: int = 0
    done: bool = False
    chosen: TrainingResult | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values that `from_json` turns into an equal state; floats keep every bit."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TrainingState:
        """The state that `to_json` wrote."""
        chosen = TrainingResult(**values["chosen"]) if values["chosen"] else None
        return cls(**{**values, "result": TrainingResult(**values["result"]), "chosen": chosen})


def write_history(rows: list[dict[str, float]], path: str | os.PathLike[str]) -> None:
    """Writes one CSV row a validated epoch.

    Raises:
        TrainingError: The file cannot be written.
    """
    if not rows:
        return
    try:
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[-1]))
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise TrainingError(f"{path} cannot be written: {error.strerror}. Free some space and run again.") from error
