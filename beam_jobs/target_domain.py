"""The log of the target domain, for the view `transfer`: sorted into partitions of the same users as the source log."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from beam_jobs import rejects, vocabulary
from beam_jobs.lookups import ITEMS
from beam_jobs.options import PrepareOptions
from beam_jobs.options.transferring import target_options
from beam_jobs.planning import Plan, plan_log
from beam_jobs.sorted_log import Run, SortedLog, sort_log
from beam_jobs.splits import make_split
from beam_jobs.splits.split import Split
from beam_jobs.tables import read_table, write_table
from tfrec_zoo.dataset_spec import SplitSpec, TargetSpec
from tfrec_zoo.errors import DataError

_FOLDER, _LOG = "target", "log"


class TargetDomain:
    """What workers look up in the target domain; travels as the name of a folder.

    Args:
        scratch: The job's scratch folder; the target's is in it.
    """

    def __init__(self, scratch: str) -> None:
        self.scratch = scratch

    def __reduce__(self) -> tuple[type[TargetDomain], tuple[str]]:
        return TargetDomain, (self.scratch,)

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return Path(self.scratch) / _FOLDER

    @cached_property
    def items(self) -> pa.Table:
        """`item` binary and `count` int64 (train events); row n has id n + FIRST_ITEM_ID."""
        return read_table(self.folder / ITEMS)

    @cached_property
    def item_ids(self) -> pa.BinaryArray:
        """Raw ids in the order of the ids, for `vocabulary.look_up`."""
        return self.items["item"].combine_chunks()

    @property
    def partitions(self) -> Mapping[int, str]:
        """Number -> file of `Histories`; equal numbers of both logs hold the same users."""
        return self._log[0]

    @property
    def split(self) -> Split:
        """Marks the events of the target log."""
        return self._log[1]

    @cached_property
    def _log(self) -> tuple[dict[int, str], Split]:
        return pickle.loads((self.folder / _LOG).read_bytes())


class TargetLog(NamedTuple):
    """The outcome of `sort_target`.

    Attributes:
        plan: What was read.
        log: What pass 1 made of it.
        spec: For dataset.json.
        vocabulary: File of the target's items, one a line.
    """

    plan: Plan
    log: SortedLog
    spec: TargetSpec
    vocabulary: Path

    def join_rejects(self, source: Path | None) -> Path | None:
        """Appends the target's refused rows to those of the source log, both as of `rejects.join`."""
        target = rejects.join(self.plan.sources, self.log.slices, (), self.vocabulary.with_suffix(".jsonl"))
        if source is None or target is None:
            return source or target
        with source.open("ab") as out:
            out.write(target.read_bytes())
        return source


def sort_target(
    log_plan: Plan, options: PrepareOptions, source: SortedLog, partitions: int, run: Run, scratch: Path
) -> TargetLog:
    """Runs pass 1 on the target log, and leaves what `TargetDomain` reads.

    Args:
        log_plan: From `plan_target`.
        options: The job's options.
        source: The sorted source log.
        partitions: Number of user partitions, the same as that of the source log.
        run: Runs transforms.
        scratch: The job's scratch folder.

    Raises:
        DataError: As `sort_log`; or the logs have no user in common.
    """
    options = target_options(options)
    domain = TargetDomain(str(scratch))
    domain.folder.mkdir()
    log = sort_log(log_plan, options, partitions, make_split(options), lambda _: [], run, domain.folder)
    common = _common_users(source, log)
    if not common:
        raise DataError(
            f"no user of the source log occurs in {', '.join(options.input)}: nothing can be transferred. "
            "Name the target's column with --target-user-col."
        )
    items = vocabulary.rank(log.counts, options.min_item_count)
    if not items.num_rows:
        raise DataError(f"no item of the target log has {options.min_item_count} train rows: lower --min-item-count.")
    write_table(items, domain.folder / ITEMS)
    (domain.folder / _LOG).write_bytes(pickle.dumps(({part.number: part.path for part in log.partitions}, log.split)))
    vocabulary.write(domain.item_ids, domain.folder / "items.txt")
    spec = TargetSpec(
        item_counts=items["count"].to_pylist(),
        users=log.users,
        items=log.counts.num_rows,
        interactions=log.events,
        common_users=common,
        split=SplitSpec(log.split.protocol, log.split_hash, dict(log.split.details)),
    )
    return TargetLog(log_plan, log, spec, domain.folder / "items.txt")


def plan_target(options: PrepareOptions) -> Plan | None:
    """Opens the headers of the target log, before any work is done; None if there is no target log."""
    if not options.target_input:
        return None
    return plan_log({"--target-input": options.target_input}, target_options(options))


def _common_users(source: SortedLog, target: SortedLog) -> int:
    users = {part.number: part.counts.users_path for part in source.partitions if part.counts}
    common = 0
    for part in target.partitions:
        if part.counts and part.number in users:
            known = read_table(users[part.number])["user"]
            common += pc.sum(pc.is_in(read_table(part.counts.users_path)["user"], value_set=known)).as_py()
    return common
