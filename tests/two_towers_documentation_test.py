"""What docs/two-towers.md shows has to parse, and to be configuration that training takes."""

import re
import shlex
from pathlib import Path

import pytest

from tfrec_zoo.cli import build_parser
from tfrec_zoo.runs.run_config import load_config

PAGE = (Path(__file__).parents[1] / "docs" / "two-towers.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (tfrec .*)$", re.sub(r"\\\n\s+", "", PAGE), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_parse(command: str) -> None:
    args = build_parser().parse_args(shlex.split(command)[1:])
    if command.startswith("tfrec train"):
        load_config(args.model, assignments=args.set)


def test_settings_are_keys_of_the_configuration() -> None:
    settings = set(re.findall(r"(network\.\w+=[\w.\[\],]+)", PAGE))
    assert {"network.unknown_rate=0.1", "network.light_se=false", "network.log_q=false"} <= settings
    for setting in settings - {"network.hard_negatives=N"}:
        model = "inttower" if re.search("light_se|fe_block|cir", setting) else "dssm"
        load_config(model, assignments=[setting])
    assert len(COMMANDS) >= 6
