"""The batcher by itself: which requests run together, how they are padded and split, and when they are refused."""

import threading
import time

import numpy as np
import pytest

from serving.server.batching import Batcher, BatchingOptions, Task, run_alone
from serving.server.call import Call
from serving.server.errors import Code, StatusError
from serving.server.servable import Signature, TensorSpec

SIGNATURE = Signature("f", "", {"x": TensorSpec("x", "x:0", 1, None)}, {"y": TensorSpec("y", "y:0", 1, None)}, {})


class Model:
    """Sums the rows of x; can be held up, and refuses negative numbers. Remembers the shapes that it saw."""

    def __init__(self):
        self.shapes = []
        self.go = threading.Event()
        self.go.set()

    def run(self, _signature, inputs, _outputs):
        self.shapes.append(inputs[0].shape)
        assert self.go.wait(120)
        if (inputs[0] < 0).any():
            raise StatusError(Code.INVALID_ARGUMENT, "negative")
        return {"y": inputs[0].sum(axis=1)}


class Asked:
    """A task that can be waited for."""

    def __init__(self, batcher, array, deadline=float("inf"), signature=SIGNATURE):
        self._done = threading.Event()
        call = Call(signature, [np.array(array, np.float32)], ("y",), lambda outputs: b"")
        batcher.submit(Task(call, deadline, self._tell))

    def _tell(self, outcome):
        assert not self._done.is_set(), "told twice"
        self.outcome = outcome
        self._done.set()

    def result(self):
        assert self._done.wait(120)
        outputs = self.outcome.outputs
        return (outputs.code.name, outputs.message) if isinstance(outputs, StatusError) else outputs["y"].tolist()


def held_up(options):
    """A batcher whose only thread is busy until `model.go`."""
    model = Model()
    batcher = Batcher(model, options)
    model.go.clear()
    first = Asked(batcher, [[0.0]])
    while not model.shapes:
        time.sleep(0.001)
    return model, batcher, first


def test_what_waits_runs_together():
    model, batcher, first = held_up(BatchingOptions(max_batch_size=4))
    asked = [Asked(batcher, [[number, 1.0]]) for number in range(3)] + [Asked(batcher, [[7.0, 1], [8.0, 1]])]
    other = Asked(batcher, [[5.0, 5.0, 5.0]])
    model.go.set()
    assert [each.result() for each in asked] == [[1.0], [2.0], [3.0], [8.0, 9.0]]
    assert (first.result(), other.result()) == ([0.0], [15.0])
    # Three rows, since the next task has two; another shape runs for itself.
    assert model.shapes == [(1, 1), (3, 2), (2, 2), (1, 3)]
    assert all(each.outcome.queued >= 0 for each in asked)


def test_batches_are_padded_to_allowed_sizes():
    model, batcher, _ = held_up(BatchingOptions(max_batch_size=8, allowed_sizes=(1, 4, 8)))
    asked = [Asked(batcher, [[number]]) for number in range(5)]
    model.go.set()
    assert [each.result() for each in asked] == [[0.0], [1.0], [2.0], [3.0], [4.0]]
    assert model.shapes[1] == (8, 1)


def test_variable_lengths_are_padded_with_the_first_element():
    model, batcher, _ = held_up(BatchingOptions(max_batch_size=8, pad=True))
    asked = [Asked(batcher, [[1.0, 2.0]]), Asked(batcher, [[5.0]]), Asked(batcher, np.zeros((1, 0)))]
    model.go.set()
    assert [each.result() for each in asked] == [[3.0], [10.0], [0.0]]
    assert model.shapes[1] == (3, 2)


def test_a_large_request_is_refused_or_split():
    batcher = Batcher(Model(), BatchingOptions(max_batch_size=2))
    message = "Task size 3 is larger than maximum input batch size 2"
    assert Asked(batcher, [[1.0]] * 3).result() == ("INVALID_ARGUMENT", message)
    model, batcher, _ = held_up(BatchingOptions(max_batch_size=2, split=True))
    asked = [Asked(batcher, [[number] for number in range(5)]), Asked(batcher, [[9.0]])]
    model.go.set()
    assert [each.result() for each in asked] == [[0.0, 1.0, 2.0, 3.0, 4.0], [9.0]]
    assert model.shapes[1:] == [(2, 1), (2, 1), (2, 1)]
    assert Asked(batcher, [[1.0], [1.0], [-1.0]]).result() == ("INVALID_ARGUMENT", "negative")


def test_a_full_queue_is_unavailable():
    model, batcher, _ = held_up(BatchingOptions(max_batch_size=1, max_enqueued_batches=2))
    waiting = [Asked(batcher, [[1.0]]) for _ in range(2)]
    full = "The batch scheduling queue to which this task was submitted is full"
    assert Asked(batcher, [[1.0]]).result() == ("UNAVAILABLE", full)
    model.go.set()
    assert [each.result() for each in waiting] == [[1.0], [1.0]]
    assert Asked(batcher, [[1.0]]).result() == [1.0]


def test_a_bad_request_spoils_no_other():
    model, batcher, _ = held_up(BatchingOptions(max_batch_size=8))
    asked = [Asked(batcher, [[number]]) for number in (1.0, -1.0, 2.0)]
    model.go.set()
    assert [each.result() for each in asked] == [[1.0], ("INVALID_ARGUMENT", "negative"), [2.0]]


def test_the_timeout_gathers_and_a_full_batch_does_not_wait():
    model = Model()
    batcher = Batcher(model, BatchingOptions(max_batch_size=2, timeout=600.0))
    asked = [Asked(batcher, [[1.0]]), Asked(batcher, [[2.0]])]
    assert [each.result() for each in asked] == [[1.0], [2.0]]
    batcher = Batcher(model, BatchingOptions(max_batch_size=9, timeout=0.05))
    began = time.monotonic()
    assert Asked(batcher, [[3.0]]).result() == [3.0]
    assert time.monotonic() - began >= 0.05


def test_late_requests_are_not_run():
    model, batcher, _ = held_up(BatchingOptions(max_batch_size=8))
    late, other = Asked(batcher, [[1.0]], deadline=time.monotonic() - 1), Asked(batcher, [[2.0]])
    model.go.set()
    assert late.result()[0] == "DEADLINE_EXCEEDED"
    assert other.result() == [2.0]
    assert model.shapes[1] == (1, 1)
    told = []
    run_alone(model, Task(Call(SIGNATURE, [np.ones((1, 1))], ("y",), lambda _: b""), 0.0, told.append))
    assert told[0].outputs.code == Code.DEADLINE_EXCEEDED


def test_what_cannot_be_batched():
    batcher = Batcher(Model(), BatchingOptions())
    assert (
        Asked(batcher, np.float32(1)).result()[1].startswith("Batching session Run() input tensors must have at least")
    )
    assert Asked(batcher, np.zeros((0, 2))).result() == []
    told = []
    call = Call(SIGNATURE, [np.ones((1, 1)), np.ones((2, 1))], ("y",), lambda _: b"")
    batcher.submit(Task(call, float("inf"), told.append))
    assert "equal 0th-dimension size" in told[0].outputs.message


@pytest.mark.parametrize("seed", range(3))
def test_a_crowd_gets_what_each_asked_for(seed):
    rng = np.random.default_rng(seed)
    options = BatchingOptions(
        max_batch_size=8, threads=2, max_enqueued_batches=10_000, allowed_sizes=(2, 8), split=True
    )
    batcher = Batcher(Model(), options)
    arrays = [rng.integers(0, 9, (rng.integers(0, 12), rng.integers(1, 3))) for _ in range(300)]
    asked = [Asked(batcher, array) for array in arrays]
    for array, each in zip(arrays, asked, strict=True):
        assert each.result() == array.sum(axis=1).tolist()
