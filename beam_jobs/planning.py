"""What there is to read: the files of a log, their columns, and where each role is found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from beam_jobs.csv_reader import Dialect
from beam_jobs.log_readers import PARQUET, Source, column_names, expand, plan_file
from beam_jobs.options import PrepareOptions
from beam_jobs.options.inputs import DEFAULT_RATING
from tfrec_zoo.errors import DataError


class Plan(NamedTuple):
    """A log, ready to be read.

    Attributes:
        sources: In the log's order.
        columns: Role ("user", "item", "time", perhaps "rating", "action", "dwell") -> column name.
        dialect: Of its CSV files.
        origins: Groups of files; where there are several, rows carry the number of theirs as the role "origin".
    """

    sources: list[Source]
    columns: dict[str, str]
    dialect: Dialect
    origins: int = 1

    @property
    def roles(self) -> list[str]:
        """Columns of the accepted rows."""
        return [*self.columns, "origin"] if self.origins > 1 else list(self.columns)

    @property
    def rows(self) -> int:
        """Rows, for text files estimated."""
        return sum(source.rows for source in self.sources)


def plan(options: PrepareOptions) -> Plan:
    """Opens every file's header and lists what there is to read.

    Raises:
        DataError: No such file, an unreadable file, a file in two groups, a missing or a duplicate column.
    """
    groups = {"--input": options.input}
    if options.split == "files":
        groups |= {"--valid-input": options.valid_input, "--test-input": options.test_input}
    return plan_log(groups, options)


def plan_log(groups: Mapping[str, Sequence[str]], options: PrepareOptions) -> Plan:
    """The same for any files with the columns of the options.

    Args:
        groups: Flag -> globs; the log is all files of the first group, then those of the next.
        options: Columns and dialect.
    """
    wanted = {"user": options.user_col, "item": options.item_col, "time": options.time_col}
    wanted |= {role: name for role, name in (("action", options.action_col), ("dwell", options.dwell_col)) if name}
    rating = options.rating_col or DEFAULT_RATING
    dialect = Dialect(options.delimiter, options.columns, options.quoted_newlines)
    sources: list[Source] = []
    headers: dict[str, list[str]] = {}
    for origin, (flag, patterns) in enumerate(groups.items()):
        for path in expand(patterns, flag):
            if path in headers:
                raise DataError(f"{path} is named by {flag} and by another flag: its rows cannot be in two splits.")
            headers[path] = column_names(path, dialect)
            for source in plan_file(path, dialect, {*wanted.values(), rating}):
                sources.append(source._replace(number=len(sources), origin=origin))
    if options.rating_col or any(rating in names for names in headers.values()):
        wanted["rating"] = rating
    for path, names in headers.items():
        for role, name in wanted.items():
            check_column(path, names, name, f"Name the {role} column with --{role}-col.")
    return Plan(sources, wanted, dialect, len(groups))


def check_column(path: str, names: Sequence[str], name: str, advice: str) -> None:
    """Raises DataError unless a file has a column once."""
    count = names.count(name)
    if count > 1:
        raise DataError(f"{path} has {count} columns named {name!r}: rename all but one.")
    if not count:
        hint = " (is --delimiter right?)" if len(names) == 1 and not path.lower().endswith(PARQUET) else ""
        raise DataError(f"{path} has no column {name!r}; it has {', '.join(map(repr, names))}{hint}. {advice}")
