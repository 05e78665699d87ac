"""Slow: versions that are swapped under an open-loop load, and a soak of good and bad requests.

    pytest -s -m slow tests/serving/endurance_test.py      prints the figures

TFREC_SOAK_SECONDS sets the length of the soak (default: 300).
"""

import concurrent.futures
import http.client
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from serving import histories, launcher, tensors, wire
from serving.client import Client, ServingError
from tests.models.bert4rec_test import CONFIG
from tests.models.model_contract import new_model
from tests.serving.server_versions_test import processes_below, wait_for
from tfrec_zoo.benchmarks.load import write_requests
from tfrec_zoo.export.item_catalogue import ItemCatalogue
from tfrec_zoo.export.servable import Servable
from tfrec_zoo.models.bert4rec import Bert4Rec

pytestmark = pytest.mark.slow
SWAPS, PAUSE = 20, 5.0  # PAUSE in seconds
NAME = "m"


@pytest.fixture(scope="module")
def saved(spec, tmp_path_factory):
    """An untrained BERT4Rec of the preset's size: what it costs doesn't depend on what it has learned."""
    model = new_model(Bert4Rec, {**CONFIG, "dim": 64, "blocks": 2, "heads": 2, "max_length": 50}, spec)
    path = tmp_path_factory.mktemp("saved") / "1"
    Servable(model, ItemCatalogue.of_dataset(spec), max_k=100).save(str(path))
    return path


@pytest.fixture(scope="module")
def requests(spec, tmp_path_factory):
    rng, items = random.Random(0), spec.vocabulary("item")
    messages = []
    for _ in range(100):
        request = wire.PredictRequest()
        request.model_spec.name = NAME
        history = rng.choices(items, k=rng.randint(5, 50))
        tensors.encode(histories.pad_left([history]), request.inputs["history"])
        messages.append(request.SerializeToString())
    path = tmp_path_factory.mktemp("requests") / "requests.bin"
    write_requests(path, messages)
    return path


def load(address, requests, *arguments):
    command = [sys.executable, "-m", "tfrec_zoo.benchmarks.load", address, str(requests), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def publish(saved, base, version):
    shutil.copytree(saved, base / f".{version}")
    os.rename(base / f".{version}", base / str(version))


def memory(server):
    """MiB of the server and its processes, shared pages counted once."""
    total = 0
    for pid in [server.process.pid, *processes_below(server.process.pid)]:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def only(client, version):
    states = client.status(NAME)
    return (
        states.get(version) == "AVAILABLE"
        and set(states.values()) <= {"AVAILABLE", "END"}
        and (sum(state == "AVAILABLE" for state in states.values()) == 1)
    )


def test_swaps_under_load(saved, requests, tmp_path):
    base = tmp_path / "models"
    base.mkdir()
    publish(saved, base, 1)
    flags = ["--model-name", NAME, "--model-base-path", str(base), "--port", "0", "--no-rest", "--poll-seconds", "0.2"]
    with launcher.running(flags, timeout=600) as server, Client(server.address, 600) as client:
        capacity_run = json.loads(load(server.address, requests, "--seconds", 4, "--concurrency", 8).communicate()[0])
        rate = len(capacity_run["latency"]) / capacity_run["seconds"] / 2
        before = memory(server)
        running = load(server.address, requests, "--seconds", SWAPS * 600, "--rate", rate)
        swaps, pauses = [], []
        try:
            time.sleep(2)
            for version in range(2, SWAPS + 2):
                began = time.monotonic()
                publish(saved, base, version)
                wait_for(lambda version=version: only(client, version), seconds=600)
                swaps.append((began, time.monotonic()))
                shutil.rmtree(base / str(version - 1))
                time.sleep(PAUSE)  # without a swap, to compare with
                pauses.append((swaps[-1][1], time.monotonic()))
        finally:
            running.terminate()
        result = json.loads(running.communicate(timeout=600)[0])
        wait_for(lambda: len(processes_below(server.process.pid)) == 2)  # the last old version's process has ended
        after = memory(server)
    p50_during, p99_during = milliseconds(result, swaps)
    p50_between, p99_between = milliseconds(result, pauses)
    swap = float(np.median([last - first for first, last in swaps]))
    print(
        f"\n{SWAPS} swaps of {swap:.1f} s at {rate:.0f} requests/s: {len(result['latency'])} answered, errors "
        f"{result['errors']}, p50 {p50_during:.1f} / {p50_between:.1f} ms, p99 {p99_during:.1f} / {p99_between:.1f} ms "
        f"(during / between), memory {before:.0f} -> {after:.0f} MiB"
    )
    assert result["errors"] == {}
    assert p99_during <= 2 * p99_between
    assert after <= before * 1.1


def milliseconds(load, windows):
    """p50 and p99 of the requests that were under way in a window: the median over the windows.

    Other work on the machine slows down some of them; pooled, these alone would make the p99.
    """
    began, latency = np.array(load["began"]), np.array(load["latency"])
    parts = [latency[(began + latency >= first) & (began <= last)] for first, last in windows]
    assert min(len(part) for part in parts) > 20
    return [float(np.median([np.percentile(part, share) for part in parts]) * 1e3) for share in (50, 99)]


BAD = {
    "unknown model": lambda client: client.recommend("nobody", ["i01"]),
    "unknown signature": lambda client: client.predict(NAME, {}, signature="x"),
    "missing input": lambda client: client.predict(NAME, {}),
    "wrong dtype": lambda client: client.predict(NAME, {"history": np.ones((1, 3), np.int64)}),
    "wrong rank": lambda client: client.predict(NAME, {"history": ["i01"]}),
    "unknown label": lambda client: client.recommend(NAME, ["i01"], label="x"),
}


def counted(server):
    connection = http.client.HTTPConnection(server.rest_address, timeout=300)
    connection.request("GET", "/monitoring/prometheus/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    found = Counter()
    for line in lines:
        if line.startswith(":tensorflow:serving:request_count{"):
            found[line.partition('status="')[2].partition('"')[0]] += int(line.rpartition(" ")[2])
    return found


def test_soak(saved, spec, tmp_path):
    seconds = float(os.environ.get("TFREC_SOAK_SECONDS", "300"))
    publish(saved, tmp_path, 1)
    flags = ["--model-name", NAME, "--model-base-path", str(tmp_path), "--port", "0", "--enable-batching"]
    flags += ["--rest-timeout-seconds", "600"]
    items = spec.vocabulary("item")
    stop, samples, answers, lock = threading.Event(), [], Counter(), threading.Lock()

    def ask(server, number):
        rng = random.Random(number)
        with Client(server.address, 600) as client:
            rest = http.client.HTTPConnection(server.rest_address, timeout=600)
            while not stop.is_set():
                kind = rng.random()
                if kind < 0.6:
                    history = rng.choices([*items, "nobody"], k=rng.randint(0, 60))
                    code = status(lambda history=history: client.recommend(NAME, history, k=rng.randint(1, 100)))
                elif kind < 0.8:
                    body = json.dumps({"instances": [["", rng.choice(items)]]} if kind < 0.7 else {"instances": [[1]]})
                    rest.request("POST", f"/v1/models/{NAME}:predict", body)
                    response = rest.getresponse()
                    response.read()
                    code = {200: "OK", 400: "INVALID_ARGUMENT"}[response.status]
                else:
                    code = status(lambda: BAD[rng.choice(list(BAD))](client))
                with lock:
                    answers[code] += 1
            rest.close()

    def status(call):
        try:
            call()
        except ServingError as error:
            return error.code
        return "OK"

    with launcher.running(flags, timeout=600) as server, concurrent.futures.ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(ask, server, number) for number in range(4)]
        end = time.monotonic() + seconds
        time.sleep(min(20.0, seconds / 3))  # pools and caches fill
        while time.monotonic() < end:
            samples.append((time.monotonic(), memory(server)))
            time.sleep(min(2.0, seconds / 30))
        stop.set()
        for worker in workers:
            worker.result()
        metrics = counted(server)
        assert server.process.poll() is None
    times, sizes = np.array(samples).T
    slope = float(np.polyfit(times, sizes, 1)[0]) * 60
    total = sum(answers.values())
    print(
        f"\n{total} requests in {seconds:.0f} s {dict(answers)}: "
        f"memory {sizes[0]:.0f} -> {sizes[-1]:.0f} MiB, {slope:+.2f} MiB/min"
    )
    assert metrics == answers
    assert {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION"} == set(answers)
    # A leak of 100 bytes a request would show; noise of a short run doesn't count.
    assert slope * (times[-1] - times[0]) / 60 < max(10.0, 0.03 * sizes[0])
