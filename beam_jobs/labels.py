"""Events -> labels, by the rules of the options."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from beam_jobs.histories import Histories
from beam_jobs.options import PrepareOptions
from beam_jobs.options.inputs import DEFAULT_RATING
from beam_jobs.rules import Rule, parse_rule
from tfrec_zoo.errors import DataError

DROPPED = -1
"""The label of an event that is no example."""


class Labels:
    """The rules of a job, over the columns of its log.

    Args:
        options: Of the job.
        roles: Columns that the log has.

    Raises:
        DataError: A rule reads a column that the job does not.
    """

    def __init__(self, options: PrepareOptions, roles: Iterable[str]) -> None:
        self._roles = _role_of_column(options, frozenset(roles))
        self._label = self._parse(options.label)
        self._drop = self._parse(options.drop)
        self._history = self._parse(options.history_rule)

    def of(self, histories: Histories) -> np.ndarray:
        """int8 (events,): 1, 0 or `DROPPED`. Without a label rule every event has label 1."""
        labels = self._matches(self._label, histories).astype(np.int8)
        if self._drop is not None:
            labels[self._matches(self._drop, histories)] = DROPPED
        return labels

    def in_history(self, histories: Histories) -> np.ndarray:
        """Which events enter histories: bool (events,)."""
        return self._matches(self._history, histories)

    def _parse(self, text: str | None) -> Rule | None:
        if text is None:
            return None
        rule = parse_rule(text)
        for column in rule.columns:
            if column not in self._roles:
                raise DataError(
                    f"rule {text!r} reads the column {column!r}, which this job does not: a rule may read "
                    f"{', '.join(map(repr, self._roles))}. Name the column with --rating-col, --action-col or "
                    "--dwell-col."
                )
        return rule

    def _matches(self, rule: Rule | None, histories: Histories) -> np.ndarray:
        if rule is None:
            return np.ones(histories.events, bool)
        return rule.matches({column: histories.columns[self._roles[column]] for column in rule.columns})


def _role_of_column(options: PrepareOptions, roles: frozenset[str]) -> dict[str, str]:
    names = {
        "item": options.item_col,
        "time": options.time_col,
        "rating": options.rating_col or DEFAULT_RATING,
        "action": options.action_col,
        "dwell": options.dwell_col,
    }
    return {str(names[role]): role for role in names if role in roles}
