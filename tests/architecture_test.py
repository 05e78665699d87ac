"""The rules of the house: which package may import which."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_imports_follow_the_architecture() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_python_file_says_what_it_is_for() -> None:
    for package in ("tfrec_zoo", "beam_jobs", "serving"):
        for path in (ROOT / package).rglob("*.py"):
            first = path.read_text(encoding="utf-8").lstrip().splitlines()[0]
            assert first.startswith(('"""', 'r"""')), path
