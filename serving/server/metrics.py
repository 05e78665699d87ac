"""Counters and histograms by TensorFlow Serving's names, in Prometheus' text format."""

import bisect
import itertools
import math
from collections.abc import Sequence

_MAX_LABEL_SETS = 1000
_OTHER = "(other)"


def exponential(first: float, factor: float, count: int) -> list[float]:
    """Returns bucket bounds as TensorFlow's monitoring makes them."""
    return list(itertools.accumulate(itertools.repeat(factor, count - 1), lambda bound, by: bound * by, initial=first))


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    return f'"{escaped}"'


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    return ",".join(f"{name}={_quoted(value)}" for name, value in zip(names, values, strict=True))


class _Metric:
    kind = ""

    def __init__(self, name: str, help_text: str, labels: Sequence[str]) -> None:
        self.name, self._help, self._labels = name, help_text, tuple(labels)

    def _bounded(self, cells: dict[tuple[str, ...], object], values: tuple[str, ...]) -> tuple[str, ...]:
        # Clients choose model names: they must not be able to fill the memory with labels.
        if values in cells or len(cells) < _MAX_LABEL_SETS:
            return values
        return (_OTHER,) * len(values)

    def _head(self) -> list[str]:
        return [f"# HELP {self.name} {self._help}", f"# TYPE {self.name} {self.kind}"]


class Counter(_Metric):
    """A count that only grows.

    Args:
        name: Its name.
        help_text: What it counts.
        labels: Names of its labels.
    """

    kind = "counter"

    def __init__(self, name: str, help_text: str, labels: Sequence[str]) -> None:
        super().__init__(name, help_text, labels)
        self._cells: dict[tuple[str, ...], int] = {}

    def add(self, *values: str, by: int = 1) -> None:
        """Counts for one value of every label."""
        key = self._bounded(self._cells, values)  # type: ignore[arg-type]
        self._cells[key] = self._cells.get(key, 0) + by

    def lines(self) -> list[str]:
        """Its part of the exposition."""
        cells = [f"{self.name}{{{_labels(self._labels, key)}}} {count}" for key, count in sorted(self._cells.items())]
        return [*self._head(), *cells]


class Histogram(_Metric):
    """Observations counted in buckets.

    Args:
        name: Its name.
        help_text: What it observes.
        labels: Names of its labels.
        bounds: Upper bounds of the buckets, rising.
    """

    kind = "histogram"

    def __init__(self, name: str, help_text: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        super().__init__(name, help_text, labels)
        self._bounds = list(bounds)
        self._cells: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, value: float, *values: str) -> None:
        """Counts an observation for one value of every label."""
        key = self._bounded(self._cells, values)  # type: ignore[arg-type]
        counts = self._cells.setdefault(key, [0] * (len(self._bounds) + 1))
        counts[bisect.bisect_left(self._bounds, value)] += 1
        self._sums[key] = self._sums.get(key, 0.0) + value

    def lines(self) -> list[str]:
        """Its part of the exposition."""
        lines = self._head()
        for key, counts in sorted(self._cells.items()):
            labels = _labels(self._labels, key)
            bounds = [*self._bounds, math.inf]
            for bound, total in zip(bounds, itertools.accumulate(counts), strict=True):
                le = "+Inf" if math.isinf(bound) else f"{bound:.10g}"
                lines.append(f'{self.name}_bucket{{{labels},le="{le}"}} {total}')
            lines.append(f"{self.name}_sum{{{labels}}} {self._sums[key]:.10g}")
            lines.append(f"{self.name}_count{{{labels}}} {sum(counts)}")
        return lines


class ServerMetrics:
    """What the server tells of itself. Times are microseconds."""

    def __init__(self) -> None:
        micros = exponential(10, 1.8, 33)
        self.request_count = Counter(
            ":tensorflow:serving:request_count", "The total number of requests.", ("model_name", "status")
        )
        self.request_latency = Histogram(
            ":tensorflow:serving:request_latency",
            "Distribution of wall time (in microseconds).",
            ("model_name", "API", "entrypoint"),
            micros,
        )
        self.runtime_latency = Histogram(
            ":tensorflow:serving:runtime_latency",
            "Distribution of wall time (in microseconds) of running the model.",
            ("model_name", "API", "runtime"),
            micros,
        )
        self.queuing_latency = Histogram(
            ":tensorflow:serving:batching_session:queuing_latency",
            "Distribution of wall time (in microseconds) spent in the batching queue.",
            ("model_name",),
            micros,
        )

    def exposition(self) -> str:
        """Everything, in Prometheus' text format."""
        metrics = (self.request_count, self.request_latency, self.runtime_latency, self.queuing_latency)
        return "\n".join(line for metric in metrics for line in metric.lines()) + "\n"
