"""Options of the view `profiles`."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from beam_jobs.options.values import names
from tfrec_zoo.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProfileOptions:
    """What is asked of users.

    Attributes:
        profile_labels: Categories of `users` (or bands of its numbers) that are the labels.
    """

    profile_labels: tuple[str, ...] = ()


def check(options: Any) -> None:
    """Raises ConfigError for values that the job cannot keep."""
    if isinstance(options.profile_labels, str):
        raise ConfigError(f"profile_labels must be a sequence of names, not the string {options.profile_labels!r}")
    object.__setattr__(options, "profile_labels", tuple(dict.fromkeys(options.profile_labels)))
    if "profiles" in options.views and not (options.profile_labels and options.users):
        raise ConfigError("the view profiles needs --users, and --profile-labels that name categories of it")
    if options.profile_labels and "profiles" not in options.views:
        raise ConfigError("--profile-labels: only the view profiles has them; add it to --views")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of this topic."""
    add = parser.add_argument_group("labels of the view profiles").add_argument
    add(
        "--profile-labels",
        type=names,
        default=(),
        metavar="NAME,...",
        help="categories of --users to predict, such as gender,age_band",
    )
