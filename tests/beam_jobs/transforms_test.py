"""The transforms inside somebody else's pipeline."""

from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from beam_jobs import PrepareOptions
from beam_jobs.counting import CountTrain
from beam_jobs.histories import Histories
from beam_jobs.planning import plan
from beam_jobs.splits.leave_one_out import LeaveOneOut
from beam_jobs.transforms import ReadEvents, SortLog
from tests.beam_jobs.conftest import history_rows
from tfrec_zoo.errors import DataError

ROWS = "u,b,2,buy\nv,a,1,view\nu,a,1,buy\nu,,1,buy\nu,c,x,buy\n"


@pytest.fixture
def options(write, tmp_path) -> PrepareOptions:
    path = write(ROWS, header="user_id,item_id,timestamp,what")
    return PrepareOptions(
        input=(str(path),), output=str(tmp_path / "unused"), action_col="what", actions=("buy",), max_reject_share=1
    )


def pipeline() -> beam.Pipeline:
    return beam.Pipeline(runner="apache_beam.runners.portability.fn_api_runner.FnApiRunner")


def test_read_events_gives_accepted_rows(options, tmp_path):
    with pipeline() as own:
        rows = own | ReadEvents(options) | "Rows" >> beam.FlatMap(lambda batch: batch.to_pylist())
        assert_that(
            rows,
            equal_to(
                [
                    {"user": b"u", "item": b"b", "time": 2, "action": b"buy"},
                    {"user": b"u", "item": b"a", "time": 1, "action": b"buy"},
                ]
            ),
        )
    result = own.result.metrics().query(beam.metrics.MetricsFilter().with_namespace("beam_jobs"))
    counters = {entry.key.metric.name: entry.committed for entry in result["counters"]}
    assert counters == {"rejected": 2, "dropped": 1}
    assert not (tmp_path / "unused").exists()


def test_sort_log_gives_sorted_partitions(options, tmp_path):
    count = CountTrain(LeaveOneOut(), [], str(tmp_path))

    def rows(outcome):
        partitions, counts = outcome
        yield [row for part in partitions if part.events for row in history_rows(Histories.read(part.path))]
        yield sorted(counts.to_pylist(), key=str)

    with pipeline() as own:
        found = own | SortLog(plan(options), options, 2, count, Path(tmp_path)) | beam.FlatMap(rows)
        counted = [{"item": b"a", "count": 1}, {"item": b"b", "count": 1}]
        assert_that(found, equal_to([[("u", "a", 1), ("u", "b", 2)], counted]))


def test_faults_of_the_log_are_found_while_the_pipeline_is_built(options, tmp_path):
    (tmp_path / "log.csv").unlink()
    with pytest.raises(DataError, match="matches no file"):
        ReadEvents(options)
