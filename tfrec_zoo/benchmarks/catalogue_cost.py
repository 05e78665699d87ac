"""`tfrec bench catalogue`: milliseconds a training step and peak memory by the size of the catalogue.

Every row is measured in processes of its own, so that its peak memory is its own: one as a user's, and one without
oneDNN for the memory that a step adds. Where a processor lets TensorFlow turn oneDNN on, TensorFlow keeps what was
freed for later use, and what a step needs can't be told from what the one before it left.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec_zoo.benchmarks.measured_process import measured
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.models.recommender import Recommender
from tfrec_zoo.models.registry import get_model
from tfrec_zoo.runs.run_config import TrainingConfig
from tfrec_zoo.training.optimizers import make_optimizer

SIZES = (10_000, 100_000, 1_000_000)
LENGTH = 50
_BATCHES = 4


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of the benchmark.

    Attributes:
        model: Name in the zoo.
        loss: Of the network.
        optimizer: Of the training.
        items: Size of the catalogue.
        batch_size: Histories of 50 items a step.
        masks: Scored positions a history, where the model hides items.
        negatives: Of the sampled losses.
        training: Other values of the training configuration.
    """

    model: str = "bert4rec"
    loss: str = "sampled_softmax"
    optimizer: str = "lazy_adam"
    items: int = SIZES[0]
    batch_size: int = 128
    masks: int = 10
    negatives: int = 4096
    training: dict[str, Any] = dataclasses.field(default_factory=dict)


def run(
    data: str | os.PathLike[str] | None = None, sizes: Sequence[int] = SIZES, steps: int = 20
) -> list[dict[str, Any]]:
    """Trains on histories drawn by popularity for a few steps, with every optimizer and loss at every size.

    Args:
        data: Must be None: the catalogues are of given sizes.
        sizes: Numbers of items.
        steps: Steps a row that count.

    Returns:
        One row a case: median milliseconds a step, peak memory of the process in MiB, and what of it is beyond the
        model, its optimizer and TensorFlow itself.

    Raises:
        ConfigError: A dataset was given.
    """
    if data is not None:
        raise ConfigError("the benchmark 'catalogue' makes up its own histories; leave --data out.")
    return [_in_a_process(case, steps) for case in cases(sizes)]


def cases(sizes: Sequence[int]) -> list[Case]:
    """Sampled losses at every size, the full softmax up to 100,000 items, and both exact ones at 512 positions.

    PeterRec learns at all 50 positions: fewer histories keep the logits of its full softmax small.
    """
    found = []
    for model in ("bert4rec", "sasrec"):
        found += [Case(model, items=size) for size in sizes]
    found += [Case(loss="gbce", items=size) for size in sizes]
    found += [Case(optimizer="row_wise_adagrad", items=size) for size in sizes]
    averaged = {"ema_momentum": 0.99, "clip_norm": 1.0, "weight_decay": 0.01}
    found += [Case(items=size, training=averaged) for size in sizes]
    found += [Case(optimizer="adam", items=size) for size in sizes]
    found += [Case(loss="softmax", optimizer="adam", items=size) for size in sizes if size <= 100_000]
    for loss, optimizer in (("softmax", "adam"), ("sampled_softmax", "lazy_adam")):
        found += [Case("peterrec", loss, optimizer, size, batch_size=16) for size in sizes if size <= 100_000]
    for loss in ("softmax", "chunked_softmax"):
        found += [Case(loss=loss, items=size, batch_size=64, masks=8) for size in sizes if size >= 100_000]
    return found


def measure(case: Case, steps: int) -> dict[str, Any]:
    """Measures one case in this process, a Linux one; its whole peak memory is read by who started it."""
    network: dict[str, Any] = {"loss": case.loss, "negatives": case.negatives, "max_length": LENGTH, "dim": 64}
    if case.model == "bert4rec":
        network |= {"mask_rate": case.masks / LENGTH, "masks_per_sequence": case.masks}
    model = get_model(case.model)(case.items, network)
    optimizer = make_optimizer(TrainingConfig(optimizer=case.optimizer, **case.training), 1000)
    model.compile(optimizer=optimizer)
    optimizer.build(model.trainable_variables)
    batches = [_batch(model, case, seed) for seed in range(_BATCHES)]
    step = tf.function(model.train_step).get_concrete_function(batches[0])
    step(batches[0])  # the memory of the optimizer's slots is there once they were written to
    before = _forget_peak()
    took = []
    for number in range(steps):
        start = time.perf_counter()
        float(step(batches[number % _BATCHES])["loss"])
        took.append(time.perf_counter() - start)
    return {"ms_per_step": 1000 * statistics.median(took), "added_mib": _status_mib("VmHWM") - before}


def _batch(model: Recommender, case: Case, seed: int) -> Any:
    """What `train_step` takes, of full histories whose items are drawn log-uniformly."""
    rng = np.random.default_rng(seed)
    shape = (case.batch_size, model.history_length)
    columns = np.minimum(np.exp(rng.random(shape) * np.log(case.items + 1.0)) - 1, case.items - 1).astype(np.int32)
    history = tf.constant(FIRST_ITEM_ID + columns, tf.int32)
    return model.training_inputs({"history": history, "seed": tf.constant([0, seed], tf.int64)})


def _in_a_process(case: Case, steps: int) -> dict[str, Any]:
    arguments = json.dumps({"case": dataclasses.asdict(case), "steps": steps})
    command = [sys.executable, "-m", "tfrec_zoo.benchmarks.catalogue_cost", arguments]
    cost = measured(command)
    memory = measured(["env", "TF_ENABLE_ONEDNN_OPTS=0", *command])["said"]
    positions = case.masks if case.model == "bert4rec" else LENGTH
    return {
        "model": case.model,
        "loss": case.loss,
        "optimizer": case.optimizer + (", clipping, decay, average" if case.training else ""),
        "positions": case.batch_size * positions,
        "items": case.items,
        "ms_per_step": round(cost["said"]["ms_per_step"], 1),
        "peak_rss_mib": cost["peak_rss_mib"],
        "added_mib": round(memory["added_mib"]),
    }


def _forget_peak() -> float:
    """Lets the peak begin anew, after initial values that were drawn and copied; returns what is in memory, in MiB."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _status_mib("VmRSS")


def _status_mib(name: str) -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(rf"{name}:\s+(\d+)", status)[1]) / 2**10  # type: ignore[index]


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    print(json.dumps(measure(Case(**given["case"]), given["steps"])))
