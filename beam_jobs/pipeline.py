"""The prepare job from end to end: plan, pass 1 (sort and count), vocabularies, pass 2 (encode), publish.

Every pass is a Beam pipeline with one leaf; counts, rejects and errors travel in the elements, not in metrics or tagged
outputs, which not every runner gets right.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa

from beam_jobs import memory, rejects, vocabulary
from beam_jobs.bands import add_bands
from beam_jobs.feature_reader import RawFeatures, check_names, read_features
from beam_jobs.features import encode_features
from beam_jobs.lookups import ITEMS, USERS, Lookups, features_path
from beam_jobs.manifest import publish, scratch_folder
from beam_jobs.meter import Meter
from beam_jobs.options import PrepareOptions
from beam_jobs.planning import plan
from beam_jobs.progress import progress
from beam_jobs.runners import run_pipeline
from beam_jobs.shards import EncodeShards, Shard, Work
from beam_jobs.sorted_log import Run, SortedLog, sort_log
from beam_jobs.splits import make_split
from beam_jobs.tables import write_table
from beam_jobs.target_domain import plan_target, sort_target
from beam_jobs.transforms import EncodeViews
from beam_jobs.views.view import View, make_views
from tfrec_zoo.dataset_spec import DatasetSpec, SplitSpec
from tfrec_zoo.errors import DataError

PARTITION_ROWS = 250_000
MIN_PARTITIONS = 8
"""Enough shards for a reader to interleave and for workers to share, whatever the size of the log."""


def run(options: PrepareOptions, meter: Meter) -> dict[str, Any]:
    """Runs the job; see `beam_jobs.prepare`."""
    log_plan = plan(options)
    target_plan = plan_target(options)
    features = _read_features(options)
    limit = memory.limit_of(options.runner_choice, options.memory_limit)
    least = max(MIN_PARTITIONS, -(-log_plan.rows // PARTITION_ROWS), memory.partitions_for(log_plan.rows, limit))
    count = min(options.partitions or least, 1 << 16)
    output = Path(options.output)
    if options.runner == "DirectRunner":
        print("prepare: DirectRunner runs as FnApiRunner, in memory (by itself it downloads a binary)", file=sys.stderr)

    def on_runner(transform: beam.PTransform, outcome: Path) -> Any:
        return run_pipeline(transform, outcome, options.runner_choice)

    with scratch_folder(output) as scratch:
        with progress(scratch, count, len(options.views), options.quiet):
            log = sort_log(
                log_plan,
                options,
                count,
                make_split(options),
                lambda split: make_views(options, log_plan.roles, split),
                on_runner,
                scratch,
            )
            views = make_views(options, log_plan.roles, log.split)
            lookups, vocabularies = _look_ups(log, features, options, scratch)
            for view in views:
                view.check(lookups)
            target = sort_target(target_plan, options, log, count, on_runner, scratch) if target_plan else None
            shards = _encode(views, log, lookups, options, on_runner, scratch)
        refused = Counter(log.rejected)
        for table in features.values():
            refused.update(rejects.count(table.rejects))
        if target:
            refused.update(target.log.rejected)
        rows = log.rows + (target.log.rows if target else 0)
        rejected = sum(log.rejected.values()) + (sum(target.log.rejected.values()) if target else 0)
        spec = DatasetSpec(
            features={view.name: view.feature_specs(lookups) for view in views},
            item_counts=lookups.items["count"].to_pylist(),
            users=log.users,
            items=log.counts.num_rows,
            interactions=log.events,
            split=SplitSpec(log.split.protocol, log.split_hash, dict(log.split.details)),
            files=(),
            rejects=dict(sorted(refused.items())),
            dropped=log.dropped,
            options=options.recorded(count),
            target=target.spec if target else None,
        )
        others = [reject for table in features.values() for reject in table.rejects]
        refused_rows = rejects.join(log_plan.sources, log.slices, others, scratch / "rejects.jsonl")
        if target:
            refused_rows = target.join_rejects(refused_rows)
            vocabularies["target_item"] = target.vocabulary
        publish(spec, output, shards, vocabularies, refused_rows)
    if refused:
        print(f"prepare: {rejects.summary(refused)}; see {output / 'rejects'}", file=sys.stderr)
    return {
        "rows": rows,
        "rows_rejected": rejected,
        "users": log.users,
        "items": log.counts.num_rows,
        "sequences": sum(shard.records for shard in shards if shard.view == "sequences"),
        **meter.figures(rows),
        "shards": len(shards),
        "split_hash": spec.split.hash,
    }


def _read_features(options: PrepareOptions) -> dict[str, RawFeatures]:
    """The tables of features by "user" and "item"; raises what is wrong with them before the log is read."""
    tables = {entity: table for entity in ("user", "item") if (table := read_features(entity, options))}
    check_names(tables, options)
    tables = {entity: add_bands(table, dict(options.bands)) for entity, table in tables.items()}
    for entity, table in tables.items():
        if table.rejects:
            first = table.rejects[0]
            where = f"{first['reason']} in {first['file']}" + (f", row {first['row']}" if first["row"] else "")
            rejects.check_share(rejects.count(table.rejects), table.rows, options.max_reject_share, where)
        if not len(table.ids):
            raise DataError(f"--{entity}s has no usable row: leave it out.")
    return tables


def _look_ups(
    log: SortedLog, features: dict[str, RawFeatures], options: PrepareOptions, scratch: Path
) -> tuple[Lookups, dict[str, Path]]:
    """Ranks items, users and categories by the train part, and leaves tables where the workers find them.

    Returns:
        The tables, and feature -> vocabulary file.
    """
    items = vocabulary.rank(log.counts, options.min_item_count)
    if not items.num_rows:
        raise DataError(
            f"no item has {options.min_item_count} train rows: the vocabulary is empty. Lower --min-item-count."
        )
    counts = {"user": log.user_counts(), "item": log.counts}
    write_table(items, scratch / ITEMS)
    write_table(vocabulary.rank(counts["user"], 1), scratch / USERS)
    lookups = Lookups(str(scratch))
    words: dict[str, pa.Array] = {"item": lookups.item_ids, "user": lookups.user_ids}
    for entity, table in features.items():
        path = features_path(scratch, entity)
        words |= encode_features(entity, table, counts[entity], dict(options.multi), path)
    vocabularies = {}
    for name, values in words.items():
        vocabularies[name] = scratch / f"{name}.txt"
        vocabulary.write(values, vocabularies[name])
    return lookups, vocabularies


def _encode(
    views: Sequence[View], log: SortedLog, lookups: Lookups, options: PrepareOptions, on_runner: Run, scratch: Path
) -> list[Shard]:
    """Pass 2."""
    paths = {partition.number: partition.path for partition in log.partitions}
    works = [Work(view.name, number, unit) for view in views for number, unit in enumerate(view.units(paths, lookups))]
    encode = EncodeShards(views, lookups, str(scratch), options.compression)
    return on_runner(EncodeViews(works, encode), scratch / "encoded")
