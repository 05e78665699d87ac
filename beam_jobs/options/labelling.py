"""Options of the view `interactions`: labels, negatives, and the history that a row carries."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from beam_jobs.options.values import check_choice
from beam_jobs.rules import parse_rule
from tfrec_zoo.errors import ConfigError

DISTRIBUTIONS = ("uniform", "popularity")
RULES = ("label", "drop", "history_rule")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """What a row of `interactions` is; see docs/views.md.

    Attributes:
        label: Rule of the rows with label 1, the others have label 0: "rating > 3" (see beam_jobs/rules.py).
        negatives: Instead of a label rule: every row is a positive, with this many sampled negatives; 0 for
            a model that takes the other rows of a batch as negatives.
        negative_sampling: "uniform" over the vocabulary, or "popularity" by train count.
        drop: Rule of the rows that are no examples: "rating == 3".
        history_length: Most recent earlier items of the user that a row carries; 0 for none.
        history_rule: Rule of the rows that enter histories; None for all.
    """

    label: str | None = None
    negatives: int | None = None
    negative_sampling: str = "uniform"
    drop: str | None = None
    history_length: int = 50
    history_rule: str | None = None


def check(options: Any) -> None:
    """Raises ConfigError for values that the job cannot keep."""
    for name in RULES:
        if getattr(options, name) is not None:
            parse_rule(getattr(options, name))
    check_choice(options, "negative_sampling", DISTRIBUTIONS)
    for name in ("negatives", "history_length"):
        if (getattr(options, name) or 0) < 0:
            raise ConfigError(f"{name} must be at least 0, not {getattr(options, name)}")
    given = [name for name in ("label", "negatives") if getattr(options, name) is not None]
    if "interactions" not in options.views:
        given += [name for name in ("drop", "history_rule") if getattr(options, name) is not None]
        if given:
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise ConfigError(f"{flags}: only the view interactions has labels; add it to --views")
    elif len(given) != 1:
        raise ConfigError(
            "the view interactions takes either --label RULE (such as 'rating > 3') or --negatives N, "
            + ("not both" if given else "and has neither")
        )


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of this topic."""
    add = parser.add_argument_group("rows of the view interactions").add_argument
    add("--label", metavar="RULE", help="rows with label 1, the others have 0, such as 'rating > 3' or 'action == buy'")
    add("--negatives", type=_length, metavar="N", help="instead of --label: every row is positive, with N negatives")
    add(
        "--negative-sampling",
        choices=DISTRIBUTIONS,
        default=DISTRIBUTIONS[0],
        help="how negatives are drawn (default: %(default)s)",
    )
    add("--drop", metavar="RULE", help="rows that are no examples, such as 'rating == 3'; histories keep them")
    add(
        "--history-length",
        type=_length,
        default=50,
        metavar="N",
        help="most recent earlier items that a row carries (default: %(default)s)",
    )
    add("--history-rule", metavar="RULE", help="rows that enter histories, such as 'action == click' (default: all)")


def _length(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0, not {value}")
    return value
