import dataclasses
import socket
import threading
import time
from typing import Any

import pytest

from tfrec_zoo.errors import TrainingError
from tfrec_zoo.training.cluster import Cluster
from tfrec_zoo.training.launch import free_addresses
from tfrec_zoo.training.rendezvous import meet

FACTS = {"training.batch_size": 16, "the split's hash": "abc"}


@pytest.fixture
def cluster() -> Cluster:
    tasks = ("worker 0", "worker 1", "worker 2")
    return Cluster(tasks, tuple(free_addresses(3)), 0, {"worker": 3})


def outcomes(cluster: Cluster, arguments: dict[int, dict[str, Any]], timeout: float = 120.0) -> list[str]:
    """What `meet` ends with for each of some workers; "" is well."""
    ends = ["did not end"] * len(cluster.tasks)

    def come(index: int) -> None:
        try:
            meet(dataclasses.replace(cluster, index=index), **{"facts": FACTS, "timeout": timeout, **arguments[index]})
            ends[index] = ""
        except TrainingError as error:
            ends[index] = str(error)

    threads = [threading.Thread(target=come, args=(index,)) for index in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=300)
    return [ends[index] for index in arguments]


def test_all_begin_when_all_are_there_and_agree(cluster: Cluster) -> None:
    assert outcomes(cluster, {0: {}, 1: {}, 2: {}}) == ["", "", ""]
    port = int(cluster.addresses[0].rpartition(":")[2])
    socket.create_server(("127.0.0.1", port)).close()  # free again, for TensorFlow


def test_another_configuration_is_the_same_error_everywhere(cluster: Cluster) -> None:
    other = {**FACTS, "training.batch_size": 8}
    said = outcomes(cluster, {0: {}, 1: {"facts": other}, 2: {}})
    assert len(set(said)) == 1
    worker = f"worker 1 ({cluster.addresses[1]})"
    assert said[0].startswith(
        f"{worker} would train something else than the chief: training.batch_size is 8 there and 16"
    )


def test_a_worker_that_cannot_train_is_the_same_error_everywhere(cluster: Cluster) -> None:
    for broken in (0, 2):
        said = outcomes(cluster, {0: {}, 1: {}, 2: {}, broken: {"failure": "DATA has gone."}})
        assert set(said) == {f"{cluster.describe(broken)} cannot train: DATA has gone."}


def test_a_worker_that_never_comes_is_an_error_in_time(cluster: Cluster) -> None:
    # Long enough for the one that does come; both threads have ended long before `outcomes` gives up.
    said = outcomes(cluster, {0: {}, 2: {}}, timeout=5.0)
    assert set(said) == {said[0]}
    assert said[0].startswith(f"{cluster.describe(1)} did not come within 5 s. Start the same command")


def test_a_chief_that_never_comes_is_an_error_in_time(cluster: Cluster) -> None:
    said = outcomes(cluster, {1: {}}, timeout=1.0)
    assert said[0].startswith(f"{cluster.describe(0)}, the chief, did not answer within 1 s")


def test_strangers_at_the_port_disturb_no_one(cluster: Cluster) -> None:
    said: list[str] = []
    chief = threading.Thread(target=lambda: said.extend(outcomes(cluster, {0: {}})))
    chief.start()
    host, _, port = cluster.addresses[0].rpartition(":")
    for greeting in (b"", b"GET / HTTP/1.1\r\n\r\n\n", b'{"task": "worker"}\n', b'{"task": 7}\n', b"[1]\n"):
        deadline = time.monotonic() + 100  # until the chief is there
        while True:
            try:
                with socket.create_connection((host, int(port)), timeout=10) as connection:
                    connection.sendall(greeting)
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
    assert outcomes(cluster, {1: {}, 2: {}}) == ["", ""]
    chief.join(timeout=300)
    assert said == [""]


def test_a_port_in_use_is_an_error_everywhere(cluster: Cluster) -> None:
    host, _, port = cluster.addresses[0].rpartition(":")
    with socket.create_server((host, int(port))):
        said = outcomes(cluster, {0: {}}, timeout=1.0)
    assert f"port {port} of the chief cannot be opened" in said[0]
