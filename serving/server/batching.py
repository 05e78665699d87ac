"""Batching: requests that wait at the same time run as one, in the terms of TensorFlow Serving's batching parameters.

Only requests of one signature, one set of outputs and equal shapes (but for the batch axis) share a run, unless the
parameters allow padding. With a timeout of 0 a free thread takes what is there: an idle server answers at once, and the
batches grow with the load by themselves.
"""

import collections
import contextlib
import dataclasses
import functools
import math
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from serving.server.call import Call
from serving.server.errors import Code, StatusError, invalid_argument
from serving.server.predict import as_array
from serving.server.servable import Servable


@dataclasses.dataclass(frozen=True)
class BatchingOptions:
    """BatchingParameters, with TensorFlow Serving's defaults.

    Args:
        max_batch_size: Rows of a batch.
        timeout: Seconds that a request may wait for company.
        max_enqueued_batches: Batches of a signature that may wait; more requests are answered with UNAVAILABLE.
        threads: Batches that run at the same time.
        allowed_sizes: Sizes that a batch is padded to; any size if empty.
        pad: Whether requests of different shapes share a batch, the smaller ones padded with their first element.
        split: Whether a request of more than `max_batch_size` rows is split; otherwise it is refused.
    """

    max_batch_size: int = 1000
    timeout: float = 0.0
    max_enqueued_batches: int = 10
    threads: int = 1
    allowed_sizes: tuple[int, ...] = ()
    pad: bool = False
    split: bool = False


@dataclasses.dataclass
class Outcome:
    """How a task ended.

    Args:
        outputs: Alias -> array, or the error.
        runtime: Seconds in the session.
        queued: Seconds in the queue; NaN without one.
    """

    outputs: dict[str, Any] | StatusError
    runtime: float = 0.0
    queued: float = math.nan


@dataclasses.dataclass
class Task:
    """A call on its way through the session.

    Args:
        call: What to run.
        deadline: On the monotonic clock.
        done: Gets the outcome, once.
        enqueued: When it came, on the monotonic clock.
    """

    call: Call
    deadline: float
    done: Callable[[Outcome], None]
    enqueued: float = 0.0

    @property
    def rows(self) -> int:
        """Its part of a batch."""
        return len(self.call.inputs[0])


def run_alone(servable: Servable, task: Task, queued: float = math.nan) -> None:
    """Runs a task by itself, in this thread."""
    began = time.monotonic()
    outcome: dict[str, Any] | StatusError
    try:
        if task.deadline <= began:
            raise StatusError(Code.DEADLINE_EXCEEDED, "the deadline passed before the request was worked on")
        outcome = servable.run(task.call.signature, task.call.inputs, task.call.outputs)
    except StatusError as error:
        outcome = error
    task.done(Outcome(outcome, time.monotonic() - began, queued))


class Batcher:
    """Runs tasks in batches, in threads of its own.

    Args:
        servable: The version whose signatures run.
        options: The parameters.
        delivering: Makes a context in which the outcomes of one batch are told.
    """

    def __init__(
        self,
        servable: Servable,
        options: BatchingOptions,
        delivering: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext,
    ) -> None:
        self._servable = servable
        self._options = options
        self._delivering = delivering
        self._changed = threading.Condition()
        self._queues: dict[Hashable, collections.deque[Task]] = {}
        self._waiting: collections.Counter[str] = collections.Counter()  # rows by signature
        for number in range(options.threads):
            threading.Thread(target=self._work, name=f"batch-{number}", daemon=True).start()

    def submit(self, task: Task) -> None:
        """Takes a task; its `done` is called from another thread, or from this one when it is refused.

        A batch of no rows needs no company and runs alone.
        """
        try:
            rows = self._rows(task)
            if rows > self._options.max_batch_size and not self._options.split:
                raise invalid_argument(
                    f"Task size {rows} is larger than maximum input batch size {self._options.max_batch_size}"
                )
        except StatusError as error:
            task.done(Outcome(error))
            return
        if rows == 0:
            run_alone(self._servable, task)
            return
        task.enqueued = time.monotonic()
        parts = [task] if rows <= self._options.max_batch_size else _split(task, self._options.max_batch_size)
        name = task.call.signature.name
        with self._changed:
            batches = math.ceil(self._waiting[name] / self._options.max_batch_size)
            if batches >= self._options.max_enqueued_batches:
                full = "The batch scheduling queue to which this task was submitted is full"
            else:
                full = ""
                self._waiting[name] += rows
                for part in parts:
                    self._queues.setdefault(self._key(part), collections.deque()).append(part)
                self._changed.notify(len(parts))
        if full:
            task.done(Outcome(StatusError(Code.UNAVAILABLE, full)))

    @staticmethod
    def _rows(task: Task) -> int:
        inputs = task.call.inputs
        if any(array.ndim == 0 for array in inputs):
            raise invalid_argument("Batching session Run() input tensors must have at least one dimension.")
        sizes = {len(array) for array in inputs}
        if len(sizes) != 1:
            raise invalid_argument(
                "Batching session Run() input tensors must have equal 0th-dimension size."
                if sizes
                else "Batching session Run() must have at least one input tensor."
            )
        return sizes.pop()

    def _key(self, task: Task) -> Hashable:
        call = task.call
        shapes = tuple(array.ndim if self._options.pad else array.shape[1:] for array in call.inputs)
        return call.signature.name, call.outputs, shapes

    def _work(self) -> None:
        while True:
            self._run(self._next())

    def _next(self) -> list[Task]:
        """Waits for a batch whose time has come, that of the task that waited longest first."""
        with self._changed:
            while True:
                wait = None
                for key, queue in sorted(self._queues.items(), key=lambda item: item[1][0].enqueued):
                    left = queue[0].enqueued + self._options.timeout - time.monotonic()
                    if left <= 0 or sum(task.rows for task in queue) >= self._options.max_batch_size:
                        return self._take(key, queue)
                    wait = left if wait is None else min(wait, left)
                self._changed.wait(wait)

    def _take(self, key: Hashable, queue: collections.deque[Task]) -> list[Task]:
        batch, rows = [], 0
        while queue and rows + queue[0].rows <= self._options.max_batch_size:
            batch.append(queue.popleft())
            rows += batch[-1].rows
        self._waiting[batch[0].call.signature.name] -= rows
        if not queue:
            del self._queues[key]
        return batch

    def _run(self, batch: list[Task]) -> None:
        began = time.monotonic()
        alive = []
        for task in batch:
            if task.deadline <= began:
                late = StatusError(Code.DEADLINE_EXCEEDED, "the deadline passed while the request waited in the queue")
                task.done(Outcome(late, queued=began - task.enqueued))
            else:
                alive.append(task)
        if len(alive) == 1 and not self._options.allowed_sizes:
            run_alone(self._servable, alive[0], began - alive[0].enqueued)
            return
        if not alive:
            return
        try:
            outputs = self._run_joined(alive)
        except StatusError:
            # One of them may be at fault: each is answered for itself.
            for task in alive:
                run_alone(self._servable, task, began - task.enqueued)
            return
        runtime, at = time.monotonic() - began, 0
        with self._delivering():
            for task in alive:
                part = {alias: array[at : at + task.rows] for alias, array in outputs.items()}
                at += task.rows
                task.done(Outcome(part, runtime, began - task.enqueued))

    def _run_joined(self, batch: list[Task]) -> dict[str, np.ndarray]:
        call = batch[0].call
        rows = sum(task.rows for task in batch)
        padding = next((size for size in self._options.allowed_sizes if size >= rows), rows) - rows
        inputs = []
        for column in range(len(call.inputs)):
            arrays = [task.call.inputs[column] for task in batch]
            if self._options.pad:
                arrays = _padded(arrays)
            if padding:
                # A row that is there already is known to be valid.
                arrays.append(np.repeat(arrays[0][:1], padding, axis=0))
            inputs.append(arrays[0] if len(arrays) == 1 else np.concatenate(arrays))
        outputs = {
            alias: as_array(value) for alias, value in self._servable.run(call.signature, inputs, call.outputs).items()
        }
        for array in outputs.values():
            if array.ndim == 0 or len(array) != rows + padding:
                raise StatusError(
                    Code.FAILED_PRECONDITION,
                    "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the "
                    "input tensors",
                )
        return outputs


def _padded(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Pads arrays at the end of every axis but the first to their largest size, with each one's first element."""
    sizes = [max(sizes) for sizes in zip(*(array.shape[1:] for array in arrays), strict=True)]
    padded = []
    for array in arrays:
        if list(array.shape[1:]) == sizes:
            padded.append(array)
            continue
        empty = b"" if array.dtype == object else array.dtype.type(0)
        larger = np.full((len(array), *sizes), array.flat[0] if array.size else empty, dtype=array.dtype)
        larger[tuple(slice(size) for size in array.shape)] = array
        padded.append(larger)
    return padded


def _split(task: Task, size: int) -> list[Task]:
    """Splits a task into parts of at most `size` rows; its `done` gets their outcomes joined."""
    starts = range(0, task.rows, size)
    outcomes: list[Outcome | None] = [None] * len(starts)
    lock = threading.Lock()

    def part_done(index: int, outcome: Outcome) -> None:
        with lock:
            outcomes[index] = outcome
            complete = [each for each in outcomes if each is not None]
            if len(complete) < len(outcomes):
                return
        task.done(_joined(complete))

    parts = []
    for index, start in enumerate(starts):
        inputs = [array[start : start + size] for array in task.call.inputs]
        call = dataclasses.replace(task.call, inputs=inputs)
        parts.append(Task(call, task.deadline, functools.partial(part_done, index), task.enqueued))
    return parts


def _joined(outcomes: Sequence[Outcome]) -> Outcome:
    runtime, queued = sum(each.runtime for each in outcomes), max(each.queued for each in outcomes)
    values = []
    for each in outcomes:
        if isinstance(each.outputs, StatusError):
            return Outcome(each.outputs, runtime, queued)
        values.append({alias: as_array(value) for alias, value in each.outputs.items()})
    try:
        outputs = {alias: np.concatenate([part[alias] for part in values]) for alias in values[0]}
    except ValueError:
        error = StatusError(Code.FAILED_PRECONDITION, "the outputs of the parts of a large batch can't be joined")
        return Outcome(error, runtime, queued)
    return Outcome(outputs, runtime, queued)
