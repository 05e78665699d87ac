"""`tfrec bench train`: training sequences a second, seconds an epoch, and the share of time spent waiting for data."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfrec_zoo.data.synthetic import synthesize
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.runs.run_config import load_config
from tfrec_zoo.training.progress import TrainingProgress
from tfrec_zoo.training.train import compiled_model
from tfrec_zoo.training.trainer import Trainer, steps_per_epoch

MODEL = "bert4rec"
LENGTHS = (50, 200)


def run(
    data: str | os.PathLike[str] | None = None, lengths: Sequence[int] = LENGTHS, steps: int = 60
) -> list[dict[str, Any]]:
    """Trains the preset for a few steps at every history length.

    Args:
        data: A dataset directory; default: 6,000 synthetic users with 150 to 250 of 3,400 items for every length over
            50, the defaults of `tfrec synth` otherwise.
        lengths: Values of network.max_length.
        steps: Steps a row; the first one, which compiles, does not count.

    Returns:
        One row a length.
    """
    rows = []
    for length in lengths:
        with tempfile.TemporaryDirectory() as folder:
            spec = DatasetSpec.read(data if data is not None else _synthetic(Path(folder), length))
            config = load_config(MODEL, assignments=[f"network.max_length={length}"])
            trainer = Trainer(
                compiled_model(config, spec), spec, config.training, progress=TrainingProgress(MODEL, 1, quiet=True)
            )
            result = trainer.fit_steps(steps)
        epoch = steps_per_epoch(spec, config.training) * config.training.batch_size
        rows.append(
            {
                "model": MODEL,
                "length": length,
                "items": spec.catalog_size,
                "sequences_per_s": round(result.sequences_per_s, 1),
                "seconds_per_epoch": round(epoch / result.sequences_per_s, 2),
                "data_wait_share": round(result.data_wait_share, 4),
            }
        )
    return rows


def _synthetic(folder: Path, length: int) -> Path:
    import beam_jobs

    long = {"users": 6000, "items": 3400, "min_length": 150, "max_length": 250} if length > 50 else {}
    synthesize(folder / "log.csv", **long)
    options = beam_jobs.PrepareOptions(
        input=(str(folder / "log.csv"),), output=str(folder / "DATA"), max_length=max(length, 200), quiet=True
    )
    beam_jobs.prepare(options)
    return folder / "DATA"
