"""What an installation holds: every file of the packages, Python or not."""

import subprocess
import sys
from pathlib import Path

import pytest
from setuptools import Distribution
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parents[1]
PACKAGES = ("tfrec_zoo", "beam_jobs", "serving")


@pytest.fixture
def distribution(monkeypatch: pytest.MonkeyPatch) -> Distribution:
    """The project as setup.py describes it; nothing is built."""
    from distutils.core import run_setup

    monkeypatch.chdir(ROOT)
    return run_setup("setup.py", stop_after="init")


def files_of_packages() -> set[str]:
    found = (path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in found if "__pycache__" not in path.parts}


def test_a_wheel_holds_every_file_of_the_packages(distribution: Distribution) -> None:
    command = build_py(distribution)
    command.ensure_finalized()
    modules = {str(Path(path)) for _, _, path in command.find_all_modules()}
    data = {str(Path(folder) / name) for _, folder, _, names in command.data_files for name in names}
    assert modules | data == files_of_packages()
    assert {"serving/server/ui/index.html", "serving/deploy/compose.yaml", "tfrec_zoo/configs/bert4rec.yaml"} <= data


def test_the_command_line_needs_nothing_that_only_extras_bring() -> None:
    extras = ("apache_beam", "google_crc32c", "h11", "matplotlib", "pyarrow", "tensorflow_serving")
    script = f"import sys; sys.modules |= dict.fromkeys({extras}); from tfrec_zoo import cli; cli.build_parser()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
