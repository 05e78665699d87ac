"""docs/distributed.md: its commands parse, and every TF_CONFIG that it shows is one."""

import re
import shlex
from pathlib import Path

from tfrec_zoo.cli import build_parser
from tfrec_zoo.training.cluster import Cluster

PAGE = (Path(__file__).parents[2] / "docs" / "distributed.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_every_command_parses() -> None:
    commands = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("tfrec ")]
    assert len(commands) == 4
    for command in commands:
        build_parser().parse_args(shlex.split(command)[1:])


def test_the_shown_tf_configs_are_valid() -> None:
    of_workers, of_servers = (Cluster.parse(text) for text in re.findall(r"export TF_CONFIG='(.*?)'", PAGE, re.DOTALL))
    assert of_workers is not None
    assert of_workers.addresses == ("10.0.0.1:2222", "10.0.0.2:2222")
    assert of_servers is not None
    assert of_servers.tasks == ("chief", "worker 0", "worker 1", "ps 0")
    assert of_servers.is_chief
