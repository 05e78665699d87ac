"""Two small trained runs that the tests of reports and comparisons share."""

import shutil
from pathlib import Path

import pytest

from tfrec_zoo.training.train import train

SMALL = {
    "network": {"dim": 16, "max_length": 12},
    "training": {"batch_size": 16, "epochs": 2, "validate_every": 1, "learning_rate": 0.01},
}


@pytest.fixture(scope="session")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Runs of two seeds; tests that write to one copy it first."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        train("bert4rec", data, folder / f"RUN{seed}", config=SMALL, seed=seed, quiet=True)
    return folder / "RUN0", folder / "RUN1"


@pytest.fixture
def run(runs: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the first run, to write to."""
    return Path(shutil.copytree(runs[0], tmp_path / "RUN"))
