"""docs/views.md names every view, and its rules are rules."""

import re
from pathlib import Path

from beam_jobs.rules import parse_rule
from beam_jobs.views import VIEWS

PAGE = (Path(__file__).parents[2] / "docs" / "views.md").read_text(encoding="utf-8")


def test_every_view_and_every_rule_is_one() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|.*\.py` \|$", PAGE, re.MULTILINE)) == set(VIEWS)
    line = next(line for line in PAGE.splitlines() if line.startswith("    rating > 3"))
    rules = re.split(r"\s{3,}", line.strip())
    assert [len(parse_rule(rule).columns) for rule in rules] == [1, 1, 2, 1]
