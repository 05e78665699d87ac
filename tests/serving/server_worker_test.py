"""How a version's process loads it beside others that serve."""

import os
import threading
import time
from concurrent import futures

import pytest

from serving.server import pace, servable, worker
from serving.server.errors import StartupError


def settings(path, background=True):
    return worker.WorkerSettings("kinds", 7, str(path), threads=1, background=background)


@pytest.fixture
def policies(monkeypatch):
    """The scheduling policy of every load that began; those in idle time that are to come late wait for the test's end.

    The loading itself is done by a thread of the ordinary policy: a machine that is full leaves no idle time.
    """
    seen, over, load = [], threading.Event(), servable.load
    monkeypatch.setattr(worker, "_PATIENCE", 600.0)
    with futures.ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()  # a thread has the policy of the one that makes it

        def watched(*arguments, **options):
            seen.append((os.sched_getscheduler(0), options["gently"]))
            if seen[-1][0] == os.SCHED_IDLE and worker._PATIENCE < 1:
                over.wait(600)
            return pool.submit(load, *arguments, **options).result()

        monkeypatch.setattr(servable, "load", watched)
        yield seen
        over.set()


def test_it_loads_in_idle_time(models, policies):
    assert worker._load(settings(models / "kinds" / "7")).version == 7
    assert policies == [(os.SCHED_IDLE, True)]


def test_alone_it_loads_like_anybody(models, policies):
    assert worker._load(settings(models / "kinds" / "7", background=False)).version == 7
    assert policies == [(os.SCHED_OTHER, False)]


def test_a_load_that_gets_no_idle_time_is_begun_again(models, policies, monkeypatch):
    monkeypatch.setattr(worker, "_PATIENCE", 0.2)
    assert worker._load(settings(models / "kinds" / "7")).version == 7
    assert [policy for policy, _ in policies] == [os.SCHED_IDLE, os.SCHED_OTHER]


def test_a_sandbox_that_forbids_idle_time(models, policies, monkeypatch):
    def forbidden(*_):
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", forbidden)
    assert worker._load(settings(models / "kinds" / "7")).version == 7
    assert policies == [(os.SCHED_OTHER, True)]


def test_what_goes_wrong_is_told(tmp_path):
    with pytest.raises(StartupError, match="model kinds version 7"):
        worker._load(settings(tmp_path))


def test_the_pause_is_as_long_as_the_step(monkeypatch):
    clock, slept = iter([10.0, 13.0]), []
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(time, "sleep", slept.append)
    with pace.pace(True):
        pass
    assert slept == [3.0]
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: 0.0)
        with pace.pace(False):
            pass
    assert slept == [3.0]
