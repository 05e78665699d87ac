"""The script that README.md shows has to run."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_keras_script_runs_and_is_about_15_lines(data: Path, tmp_path: Path) -> None:
    script = next(block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "model.fit(" in block)
    assert len([line for line in script.splitlines() if line.strip()]) <= 18
    shutil.copytree(data, tmp_path / "DATA")
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "'ndcg@10'" in done.stdout
    assert (tmp_path / "best.keras").is_file()
