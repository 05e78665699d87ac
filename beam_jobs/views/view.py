"""What a view is, and how views are made of their names."""

from __future__ import annotations

import abc
import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa

from beam_jobs.histories import Histories
from beam_jobs.lookups import Lookups
from beam_jobs.options import PrepareOptions
from beam_jobs.splits.split import Split
from beam_jobs.views import VIEWS
from tfrec_zoo.dataset_spec import FeatureSpec


class RecordSet(NamedTuple):
    """The records of one shard, not yet encoded.

    Attributes:
        split: "train", "valid", "test", or another name that the view's readers know.
        size: Number of records; a shard of none is not written.
        encode: (first, last) -> serialised records [first, last), see encode.py; called batch by batch.
    """

    split: str
    size: int
    encode: Callable[[int, int], pa.LargeBinaryArray]


class View(abc.ABC):
    """A view of the log. Instances travel to the workers, so they hold options and names of files but no data.

    Args:
        options: The job's options.
        roles: Columns of the log that there are: "user", "item", "time", perhaps "rating", "action", "dwell".
        split: Marks the events of a partition.
    """

    name: ClassVar[str]

    def __init__(self, options: PrepareOptions, roles: Iterable[str], split: Split) -> None:
        self.options, self.roles, self.split = options, frozenset(roles), split

    @abc.abstractmethod
    def feature_specs(self, lookups: Lookups) -> dict[str, FeatureSpec]:
        """What dataset.json says of the records."""

    @abc.abstractmethod
    def record_sets(self, unit: Any, lookups: Lookups) -> Iterator[RecordSet]:
        """The records of one unit of work, at most one set a split; called on a worker.

        Args:
            unit: One of `units`; by default the path of a sorted partition, for `Histories.read`.
            lookups: Vocabularies and features.
        """

    def units(self, partitions: Mapping[int, str], lookups: Lookups) -> Sequence[Any]:
        """What can be encoded apart, in the order of the shards. Units are pickled: names, not data.

        Args:
            partitions: Number -> path of each sorted partition, ascending.
            lookups: Vocabularies and features.
        """
        return list(partitions.values())

    def check(self, lookups: Lookups) -> None:
        """Raises DataError for what is wrong with the vocabularies and features; called once, before any encoding."""
        return

    def item_sums(self, histories: Histories, marks: np.ndarray) -> Mapping[str, np.ndarray]:
        """Column -> int64 (len(histories.items.dictionary),), to be added up over all partitions.

        The sums stand in `Lookups.items` under that name, with the view's name and a dot before it. Integers only: a
        sum of floats would depend on the order of the partitions. Count train events only, or the future leaks.
        """
        return {}


def make_views(options: PrepareOptions, roles: Iterable[str], split: Split) -> list[View]:
    """The views that the options ask for."""
    views = []
    for name in options.views:
        module, _, attribute = VIEWS[name].partition(":")
        views.append(getattr(importlib.import_module(module), attribute)(options, roles, split))
    return views
