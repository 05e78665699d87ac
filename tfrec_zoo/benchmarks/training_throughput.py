"""`tfrec bench train`: training sequences a second, by the Trainer and by `model.fit`, and what length buckets save.

Three logs: histories of about 50 items, short ones (mean 9, longest 50) and long ones (200). Ways that are compared
take turns on the same log, so that whatever else the machine does hits all of them.
"""

from __future__ import annotations

import csv
import dataclasses
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfrec_zoo.data.synthetic import synthesize
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.runs.run_config import load_config
from tfrec_zoo.training.progress import TrainingProgress
from tfrec_zoo.training.train import compiled_model
from tfrec_zoo.training.trainer import Trainer

MODEL = "bert4rec"
LENGTHS = (50, 200)
_SHORT_MEAN, _SHORT_LONGEST, _HELD_OUT = 9, 50, 2


@dataclasses.dataclass
class Way:
    """One way to train, measured in turns with others.

    Attributes:
        name: In the table.
        measure: Trains some steps; returns (sequences a second, share of the time waiting for data or None).
        figures: What it returned.
    """

    name: str
    measure: Callable[[int], tuple[float, float | None]]
    figures: list[tuple[float, float | None]] = dataclasses.field(default_factory=list)


def run(
    data: str | os.PathLike[str] | None = None, lengths: Sequence[int] = LENGTHS, steps: int = 60, rounds: int = 3
) -> list[dict[str, Any]]:
    """Trains the preset for a few steps in every way.

    Args:
        data: A dataset directory; default: synthetic logs, `tfrec synth`'s defaults up to length 50, and 6,000 users
            with 150 to 250 of 3,400 items beyond; and the short histories.
        lengths: Values of network.max_length.
        steps: Steps a round at length 50, fewer at longer ones; the first of each, which compiles or fills the
            pipeline, does not count.
        rounds: Rounds, of which the median counts.

    Returns:
        One row a log and way: log, length, way, items, sequences_per_s, ratio (to the log's first way),
        seconds_per_epoch, data_wait_share.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for length in lengths:
            spec = DatasetSpec.read(data if data is not None else _synthetic(Path(folder) / str(length), length))
            rows += _rows("data" if data is not None else "synthetic", spec, length, [_trainer, _fit], steps, rounds)
        if data is None:
            spec = DatasetSpec.read(_short(Path(folder) / "short"))
            rows += _rows("short", spec, _SHORT_LONGEST, [_one_width, _trainer], steps, rounds)
    return rows


def _rows(
    log: str, spec: DatasetSpec, length: int, makers: Sequence[Callable[..., Way]], steps: int, rounds: int
) -> list[dict[str, Any]]:
    ways = [make(spec, length) for make in makers]
    steps = max(2, steps * LENGTHS[0] // max(length, LENGTHS[0]))
    for _ in range(rounds):
        for way in ways:
            way.figures.append(way.measure(steps))
    rates = [statistics.median(rate for rate, _ in way.figures) for way in ways]
    epoch = spec.records("sequences", "train")
    return [
        {
            "model": MODEL,
            "log": log,
            "length": length,
            "way": way.name,
            "items": spec.catalog_size,
            "sequences_per_s": round(rate, 1),
            "ratio": round(rate / rates[0], 3),
            "seconds_per_epoch": round(epoch / rate, 2),
            "data_wait_share": round(statistics.median(waits), 4) if (waits := _waits(way)) else None,
        }
        for way, rate in zip(ways, rates, strict=True)
    ]


def _waits(way: Way) -> list[float]:
    return [share for _, share in way.figures if share is not None]


def _trainer(spec: DatasetSpec, length: int, name: str = "Trainer", **settings: Any) -> Way:
    assignments = [f"network.max_length={length}", *(f"training.{key}={value}" for key, value in settings.items())]
    config = load_config(MODEL, assignments=assignments)
    model = compiled_model(config, spec)
    trainer = Trainer(model, spec, config.training, progress=TrainingProgress(MODEL, 1, quiet=True))

    def measure(steps: int) -> tuple[float, float]:
        result = trainer.fit_steps(steps)
        return result.sequences_per_s, result.data_wait_share

    return Way(name, measure)


def _one_width(spec: DatasetSpec, length: int) -> Way:
    return _trainer(spec, length, "Trainer, padded", length_buckets=1)


def _fit(spec: DatasetSpec, length: int) -> Way:
    """Keras' own loop on the Trainer's batches."""
    config = load_config(MODEL, assignments=[f"network.max_length={length}"])
    model = compiled_model(config, spec)
    batches = Trainer(model, spec, config.training, progress=TrainingProgress(MODEL, 1, quiet=True)).batches()

    def measure(steps: int) -> tuple[float, None]:
        clock = _Clock()
        model.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=[clock])
        return (len(clock.ends) - 1) * config.training.batch_size / (clock.ends[-1] - clock.ends[0]), None

    return Way("model.fit", measure)


class _Clock(keras.callbacks.Callback):
    """When each step ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.ends.append(time.perf_counter())


def _synthetic(folder: Path, length: int) -> Path:
    long = {"users": 6000, "items": 3400, "min_length": 150, "max_length": 250} if length > 50 else {}
    synthesize(folder / "log.csv", **long)
    return _prepared(folder, max_length=max(length, 200))


def _short(folder: Path) -> Path:
    """The default log, each user's history cut to a geometric length."""
    synthesize(folder / "whole.csv", min_length=_SHORT_LONGEST + _HELD_OUT, max_length=_SHORT_LONGEST + _HELD_OUT)
    rng, left = np.random.default_rng(0), dict[str, int]()
    with (folder / "whole.csv").open(newline="") as whole, (folder / "log.csv").open("w", newline="") as log:
        reader, writer = csv.reader(whole), csv.writer(log)
        header = next(reader)
        writer.writerow(header)
        user = header.index("user_id")
        for row in reader:
            length = min(int(rng.geometric(1 / _SHORT_MEAN)), _SHORT_LONGEST)
            if left.setdefault(row[user], length + _HELD_OUT):
                left[row[user]] -= 1
                writer.writerow(row)
    return _prepared(folder, max_length=_SHORT_LONGEST)


def _prepared(folder: Path, max_length: int) -> Path:
    import beam_jobs

    options = beam_jobs.PrepareOptions(
        input=(str(folder / "log.csv"),), output=str(folder / "DATA"), max_length=max_length, quiet=True
    )
    beam_jobs.prepare(options)
    return folder / "DATA"
