"""What the pages under docs/ show has to parse, and to be options that the job takes."""

import re
import shlex
from pathlib import Path

import pytest

from beam_jobs import PrepareOptions
from beam_jobs.rules import parse_rule
from beam_jobs.views import VIEWS
from tfrec_zoo.cli import build_parser

DOCS = Path(__file__).parents[2] / "docs"
VIEWS_PAGE = (DOCS / "views.md").read_text(encoding="utf-8")


def commands(text: str) -> list[str]:
    """Indented commands, their continued lines joined."""
    return re.findall(r"^    (tfrec .*)$", re.sub(r"\\\n\s+", "", text), re.MULTILINE)


@pytest.mark.parametrize("command", commands(VIEWS_PAGE))
def test_commands_are_options_that_the_job_takes(command: str) -> None:
    args = build_parser().parse_args(shlex.split(command)[1:])
    options = PrepareOptions.from_args(args)
    assert set(options.views) <= set(VIEWS)


def test_every_view_and_every_rule_is_one() -> None:
    assert len(commands(VIEWS_PAGE)) == 3
    assert set(re.findall(r"^\| `(\w+)` \|.*\.py` \|$", VIEWS_PAGE, re.MULTILINE)) == set(VIEWS)
    line = next(line for line in VIEWS_PAGE.splitlines() if line.startswith("    rating > 3"))
    rules = re.split(r"\s{3,}", line.strip())
    assert [len(parse_rule(rule).columns) for rule in rules] == [1, 1, 2, 1]
