"""Every example runs on a small dataset and leaves a model that loads."""

import subprocess
import sys
from pathlib import Path

import keras
import pytest

from tfrec_zoo.models.registry import MODELS, get_model

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("fit_*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example: Path, data: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(example), "--data", str(data), "--output", str(tmp_path / "best.keras")]
    command += ["--epochs", "2", "--batch-size", "16"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "'ndcg@10'" in done.stdout
    classes = tuple(get_model(name) for name in MODELS)  # importing a class registers it with Keras
    assert isinstance(keras.saving.load_model(tmp_path / "best.keras"), classes)
