"""The job's Beam transforms, for the job itself and for anybody's own pipeline.

    options = PrepareOptions(input=("log/*.jsonl",), output="unused", actions=("buy",), action_col="action")
    with beam.Pipeline() as pipeline:
        batches = pipeline | ReadEvents(options)     # accepted rows as Arrow record batches

All are built of Create, ParDo, GroupByKey and CombineGlobally only, because that is what every runner gets right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.combiners import ToListCombineFn

from beam_jobs import memory
from beam_jobs.cleaning import clean
from beam_jobs.counting import CountTrain
from beam_jobs.csv_reader import Dialect
from beam_jobs.filters import HistoryRules, RowRules
from beam_jobs.histories import Histories
from beam_jobs.item_totals import CountItems
from beam_jobs.log_readers import Source, read
from beam_jobs.options import PrepareOptions
from beam_jobs.planning import Plan, plan
from beam_jobs.shards import EncodeShards, Work
from beam_jobs.shuffle import Partition, SortPartition, SpillByUser
from beam_jobs.thinning import needs_rounds


class ReadEvents(beam.PTransform):
    """PBegin -> record batches of accepted rows.

    Columns: `user`, `item` binary (UTF-8), `time` int64, and where the log has them `rating` float32, `action` binary,
    `dwell` float32 (see `cleaning.event_schema`). Rejected rows, and those that the filters on single rows drop, are
    left out and counted in the Beam counters `rejected` and `dropped` of the namespace `beam_jobs`.

    Args:
        options: `input` and what says how to read it; the output is not touched.

    Raises:
        DataError: While the pipeline is built: no such file, an unreadable file, a missing column.
    """

    def __init__(self, options: PrepareOptions) -> None:
        super().__init__()
        self.plan, self.rules = plan(options), RowRules.of(options)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        reader = _ReadBatches(self.plan.columns, self.plan.dialect, self.rules)
        return (
            begin
            | "Sources" >> beam.Create(self.plan.sources)
            | "Read" >> beam.ParDo(reader).with_output_types(pa.RecordBatch)
        )


class _ReadBatches(beam.DoFn):
    def __init__(self, columns: dict[str, str], dialect: Dialect, rules: RowRules) -> None:
        self.columns, self.dialect, self.rules = columns, dialect, rules
        self.rejected = beam.metrics.Metrics.counter("beam_jobs", "rejected")
        self.dropped = beam.metrics.Metrics.counter("beam_jobs", "dropped")

    def process(self, source: Source) -> Iterator[pa.RecordBatch]:
        for chunk in read(source, self.columns, self.dialect):
            cleaned = clean(chunk, self.rules.limits)
            events, dropped = self.rules.keep(cleaned.events)
            self.rejected.inc(int((cleaned.reasons > 0).sum()) + len(chunk.unparsed))
            self.dropped.inc(sum(dropped.values()))
            yield events


class SortLog(beam.PTransform):
    """Pass 1: PBegin -> one element, (sorted partitions, table of item, train rows and the views' sums).

    `Histories.read(partition.path)` gives the events of a partition, by user and time. Filters that need the whole log
    (thinning.py) are not applied; if there are any, neither are those on histories, and nothing is counted.

    Args:
        log: From `planning.plan`.
        options: The job's options.
        partitions: Number of user partitions.
        count: Counts the train part; None: nothing is counted.
        scratch: Existing folder that all workers share.
    """

    def __init__(
        self, log: Plan, options: PrepareOptions, partitions: int, count: CountTrain | None, scratch: Path
    ) -> None:
        super().__init__()
        self.sources = log.sources
        self.spill = SpillByUser(
            log.columns, log.dialect, RowRules.of(options), partitions, str(scratch), log.origins > 1
        )
        rules = HistoryRules(options.drop_duplicates, options.drop_repeats, options.min_user_items)
        rounds = needs_rounds(options)
        limit = memory.limit_of(options.runner_choice, options.memory_limit)
        self.sort = SortPartition(
            str(scratch), log.roles, None if rounds else rules, None if rounds else count, partitions, limit
        )

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        return (
            begin
            | "Sources" >> beam.Create(self.sources, reshuffle=False)
            | "Spill by user" >> beam.ParDo(self.spill)
            | "Gather partitions" >> beam.GroupByKey()
            | "Sort" >> beam.ParDo(self.sort)
            | "Count items" >> beam.CombineGlobally(CountItems())
        )


class CountLog(beam.PTransform):
    """Counts sorted partitions, where pass 1 could not: PBegin -> one element, like that of `SortLog`.

    Args:
        partitions: Sorted.
        count: Counts the train part.
    """

    def __init__(self, partitions: Sequence[Partition], count: CountTrain) -> None:
        super().__init__()
        self.partitions, self.count = list(partitions), count

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        return (
            begin
            | "Partitions" >> beam.Create(self.partitions, reshuffle=False)
            | "Count" >> beam.ParDo(_CountPartition(self.count))
            | "Count items" >> beam.CombineGlobally(CountItems())
        )


class _CountPartition(beam.DoFn):
    def __init__(self, count: CountTrain) -> None:
        self.count = count

    def process(self, partition: Partition) -> Iterator[Partition]:
        histories = Histories.read(partition.path)
        yield partition._replace(counts=self.count(partition.number, histories))


class EncodeViews(beam.PTransform):
    """Pass 2: PBegin -> one element, the list of written shards.

    Args:
        works: Units of all views.
        encode: Writes them.
    """

    def __init__(self, works: Sequence[Work], encode: EncodeShards) -> None:
        super().__init__()
        self.works, self.encode = list(works), encode

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        return (
            begin
            | "Units of work" >> beam.Create(self.works, reshuffle=False)
            | "Encode" >> beam.ParDo(self.encode)
            | "List shards" >> beam.CombineGlobally(ToListCombineFn())
        )
