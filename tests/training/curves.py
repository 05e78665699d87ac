"""Loss curves and final weights of 20 steps under any strategy; as a script, one worker of several.

TF_CONFIG=... python -m tests.training.curves DATA OUTPUT.npz
"""

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tests.training.two_players import TwoPlayers
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.models.bert4rec import Bert4Rec
from tfrec_zoo.models.recommender import Recommender
from tfrec_zoo.runs.run_config import TrainingConfig
from tfrec_zoo.training.cluster import Cluster
from tfrec_zoo.training.progress import TrainingProgress
from tfrec_zoo.training.rendezvous import meet
from tfrec_zoo.training.strategy import MULTIWORKER, Distribution
from tfrec_zoo.training.trainer import Trainer

STEPS = 20
NETWORK = {"dim": 8, "blocks": 1, "max_length": 12, "dropout": 0.0}
CASES = ("sgd", "adam", "two optimizers")
OWN_SHARDS = "sgd, each worker from its own shards"


def new_model(case: str, spec: DatasetSpec) -> Recommender:
    keras.utils.set_random_seed(0)
    if case == "two optimizers":
        model = TwoPlayers.from_spec(spec, NETWORK)
        # With steps three times as large, one device that adds up the gradients of two halves of a batch ends as far
        # from itself (2e-6 in a weight) as two replicas do: the game of the two amplifies rounding.
        model.compile(keras.optimizers.SGD(0.03), keras.optimizers.SGD(0.015, momentum=0.9))
        return model
    model = Bert4Rec.from_spec(spec, NETWORK)
    model.compile(keras.optimizers.Adam(1e-2) if case == "adam" else keras.optimizers.SGD(0.03))
    model.optimizer.build(model.trainable_variables)
    return model


def trainer(case: str, spec: DatasetSpec, distribution: Distribution, **config: Any) -> Trainer:
    """With as many rows a batch as there are records, so that an epoch is a step and has its loss."""
    rows = spec.records("sequences", "train")
    with distribution.strategy.scope():
        model = new_model(case, spec)
    settings = TrainingConfig(**{"batch_size": rows - rows % 2, "epochs": STEPS, "length_buckets": 2, **config})
    progress = TrainingProgress("", 1, quiet=True)
    return Trainer(model, spec, settings, progress=progress, distribution=distribution)


def curve(
    case: str, spec: DatasetSpec, distribution: Distribution, **config: Any
) -> tuple[np.ndarray, list[np.ndarray]]:
    """(losses of the steps, final weights) of the Trainer."""
    training = trainer(case, spec, distribution, **config)
    losses = [row["loss"] for row in training.fit_steps(STEPS).history]
    return np.array(losses), [weight.numpy() for weight in training.model.trainable_variables]


def main(data: Path, output: Path) -> None:
    cluster = Cluster.from_environment()
    assert cluster is not None
    meet(cluster, {}, 600)
    distribution = Distribution.start(MULTIWORKER, cluster, 600)
    spec, arrays = DatasetSpec.read(data), dict[str, np.ndarray]()
    with distribution.guard():
        for name in (*CASES, OWN_SHARDS):
            case, config = ("sgd", {"sharding": "file"}) if name == OWN_SHARDS else (name, {})
            arrays[f"{name}/losses"], weights = curve(case, spec, distribution, **config)
            arrays |= {f"{name}/{place}": weight for place, weight in enumerate(weights)}
        np.savez(output, **arrays)
        distribution.share(None)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
