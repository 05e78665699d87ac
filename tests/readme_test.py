"""What README.md shows has to run."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tfrec_zoo.cli import build_parser

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_every_command_of_the_readme_parses() -> None:
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
    inline = re.findall(r"`(tfrec [a-z]+ --[^`]+|tfrec query [^`]+)`", README)
    commands = [line for line in [*blocks.splitlines(), *inline] if line.startswith("tfrec ")]
    assert len(commands) >= 6
    for command in commands:
        build_parser().parse_args(shlex.split(command)[1:])


def test_the_keras_script_runs_and_is_about_15_lines(data: Path, tmp_path: Path) -> None:
    script = next(block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "model.fit(" in block)
    assert len([line for line in script.splitlines() if line.strip()]) <= 18
    shutil.copytree(data, tmp_path / "DATA")
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "'ndcg@10'" in done.stdout
    assert (tmp_path / "best.keras").is_file()
