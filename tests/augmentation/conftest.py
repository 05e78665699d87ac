"""A dataset with features and sampled negatives, one with ratings, and small runs trained on them."""

from pathlib import Path

import pytest

from tests.models.seqgan_test import SMALL as SMALL_SEQGAN
from tests.rated_log import prepare_rated
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.training.train import train

TRAINING = {"batch_size": 16, "epochs": 4, "validate_every": 4, "learning_rate": 0.01, "keep": "last"}
SEQGAN = {"network": {**SMALL_SEQGAN, "adversarial_weight": 0.0}, "training": TRAINING}
PETERREC = {"network": {"dim": 16, "dilations": [1, 2], "max_length": 8, "causal": False}, "training": TRAINING}


@pytest.fixture(scope="session")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> DatasetSpec:
    """Every event a click, each with two negatives; the last two of every user are held out."""
    options = {"label": None, "negatives": 2, "split": "leave-one-out", "history_length": 5}
    return prepare_rated(tmp_path_factory.mktemp("clicks"), **options)


@pytest.fixture(scope="session")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> DatasetSpec:
    """Labels by a rule, split at random, in packed shards."""
    return prepare_rated(tmp_path_factory.mktemp("ratings"), compression="gzip")


@pytest.fixture(scope="session")
def generator(clicks: DatasetSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small seqgan of `clicks`."""
    return trained("seqgan", clicks, tmp_path_factory, SEQGAN)


@pytest.fixture(scope="session")
def filler(clicks: DatasetSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small peterrec of `clicks` that sees both sides."""
    return trained("peterrec", clicks, tmp_path_factory, PETERREC)


def trained(model: str, spec: DatasetSpec, tmp_path_factory: pytest.TempPathFactory, config: dict) -> Path:
    workdir = tmp_path_factory.mktemp(model) / "RUN"
    train(model, spec.directory, workdir, config=config, quiet=True)
    return workdir
