"""What docs/peterrec.md shows has to parse, and to be configuration that fine-tuning takes."""

import re
import shlex
from pathlib import Path

import pytest

from tfrec_zoo.cli import build_parser
from tfrec_zoo.runs.finetune_config import load_finetune_config
from tfrec_zoo.runs.run_config import load_config

PAGE = (Path(__file__).parents[1] / "docs" / "peterrec.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (tfrec .*)$", re.sub(r"\\\n\s+", "", PAGE), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_parse(command: str) -> None:
    args = build_parser().parse_args(shlex.split(command)[1:])
    if command.startswith("tfrec train"):
        load_config(args.model, assignments=args.set)


def test_settings_are_keys_of_the_configuration() -> None:
    settings = set(re.findall(r"`(?:--set )?(task\.\w+=\w[\w.]*)`", PAGE))
    assert {"task.patch=parallel", "task.loss=bpr", "task.train_layer_norm=true"} <= settings
    for setting in settings:
        load_finetune_config({"model": "peterrec", "source": "RUN", "name": "x"}, assignments=[setting])
    assert len(COMMANDS) >= 8
