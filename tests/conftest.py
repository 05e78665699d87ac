"""What many tests share: TensorFlow on two logical CPU devices, seeds, small logs and their datasets."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.quiet import import_tensorflow_quietly

import_tensorflow_quietly()

import tensorflow as tf  # noqa: E402

# Before TensorFlow starts its runtime: MirroredStrategy then has two replicas to be tested on.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

# The same examples in every run, however long a busy machine takes to draw them.
settings.register_profile("seeded", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("seeded")

USERS, ITEMS = 60, 40


def write_log(path: Path, users: int = USERS, items: int = ITEMS, seed: int = 0) -> Path:
    """Every user walks the circle of items by steps of 1 or 2; two users are too short to be held out."""
    rng = np.random.default_rng(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "item_id", "timestamp", "rating"])
        for user in range(users):
            length = 2 if user in (3, 17) else int(rng.integers(8, 20))
            start = int(rng.integers(items))
            for place, step in enumerate(np.cumsum(rng.integers(1, 3, length))):
                writer.writerow(
                    [f"u{user}", f"i{(start + step) % items:02d}", 1000 + 10 * place, int(rng.integers(1, 6))]
                )
    return path


@pytest.fixture(scope="session")
def log_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(tmp_path_factory.mktemp("log") / "log.csv")


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, log_file: Path) -> Path:
    """The small log as a dataset directory; read-only, tests that damage it copy it first."""
    import beam_jobs

    output = tmp_path_factory.mktemp("data") / "DATA"
    beam_jobs.prepare(beam_jobs.PrepareOptions(input=(str(log_file),), output=str(output), partitions=2, quiet=True))
    return output


@pytest.fixture(scope="session")
def spec(data: Path) -> DatasetSpec:
    return DatasetSpec.read(data)


@pytest.fixture(scope="session")
def rated_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """log.csv with labels, users.csv and items.csv with features, and the dataset DATA of them; read-only too."""
    from tests.rated_log import prepare_rated

    folder = tmp_path_factory.mktemp("rated")
    prepare_rated(folder)
    return folder


@pytest.fixture(scope="session")
def rated(rated_folder: Path) -> DatasetSpec:
    return DatasetSpec.read(rated_folder / "DATA")


@pytest.fixture(scope="session")
def positives(tmp_path_factory: pytest.TempPathFactory) -> DatasetSpec:
    """Every row is a positive, and the last two of every user are held out."""
    from tests.rated_log import prepare_rated

    options = {"label": None, "negatives": 0, "split": "leave-one-out", "history_length": 100}
    return prepare_rated(tmp_path_factory.mktemp("positives"), **options)
