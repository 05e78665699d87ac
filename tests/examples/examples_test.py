"""Every example runs on a small dataset and leaves a model that loads."""

import subprocess
import sys
from pathlib import Path

import keras
import pytest

from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.models.registry import MODELS, get_model

EXAMPLES = Path(__file__).parents[2] / "examples"
OF_FEATURES = ("fit_cgan", "fit_label_model")
OF_SEQUENCES = [path.stem for path in sorted(EXAMPLES.glob("fit_*.py")) if path.stem not in OF_FEATURES]


def run(example: str, data: Path, output: Path, *options: str) -> str:
    """Runs an example for two epochs and returns what it printed; the model that it left loads."""
    command = [sys.executable, str(EXAMPLES / f"{example}.py"), "--data", str(data), "--output", str(output)]
    command += ["--epochs", "2", "--batch-size", "16", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    classes = tuple(get_model(name) for name in MODELS)  # importing a class registers it with Keras
    assert isinstance(keras.saving.load_model(output), classes)
    return done.stdout


@pytest.mark.parametrize("example", OF_SEQUENCES)
def test_example(example: str, data: Path, tmp_path: Path) -> None:
    assert "'ndcg@10'" in run(example, data, tmp_path / "best.keras")


@pytest.mark.parametrize(
    "model", ["inttower", "ncf", *(pytest.param(name, marks=pytest.mark.slow) for name in ("dssm", "din", "deepfm"))]
)
def test_example_of_labels(model: str, rated: DatasetSpec, tmp_path: Path) -> None:
    assert "'auc'" in run("fit_label_model", rated.directory, tmp_path / "best.keras", "--model", model)


def test_example_of_draws(positives: DatasetSpec, tmp_path: Path) -> None:
    printed = run("fit_cgan", positives.directory, tmp_path / "best.keras")
    assert "'ndcg@10'" in printed
    assert len(set(printed.splitlines()[-3:])) == 3, "three draws for one user, each another vector"
