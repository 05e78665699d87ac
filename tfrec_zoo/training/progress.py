"""Progress of a run on stderr: a live bar on a terminal, a line a validation elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class TrainingProgress:
    """Shows epochs, loss, records a second, time left, and every validation.

    Args:
        label: What is being trained.
        epochs: Epochs at most.
        quiet: Show nothing.
    """

    def __init__(self, label: str, epochs: int, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs  loss {task.fields[loss]:.4f}  {task.fields[rate]:,.0f} sequences/s  left"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=quiet or not self._console.is_terminal,
        )
        self._task = self._bar.add_task(label, total=epochs, loss=float("nan"), rate=0.0)
        self._label, self._epochs, self._start = label, epochs, time.perf_counter()

    def __enter__(self) -> TrainingProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def epoch(self, epoch: int, loss: float, rate: float) -> None:
        """Advances to an epoch with its mean loss and its records a second."""
        self._bar.update(self._task, completed=epoch, loss=loss, rate=rate)

    def validation(self, epoch: int, loss: float, rate: float, metrics: dict[str, float], best: bool) -> None:
        """Prints the figures of one validation."""
        figures = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        self._console.print(
            f"{self._label}  epoch {epoch}/{self._epochs}  loss {loss:.4f}  {figures}  {rate:,.0f} sequences/s  "
            f"{time.perf_counter() - self._start:.0f} s{'  best' if best else ''}"
        )

    def note(self, text: str) -> None:
        """Prints one line."""
        self._console.print(text)
