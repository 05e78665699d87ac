"""The workers of a run meet before TensorFlow starts: everyone is there, everyone is about to train the same.

TensorFlow's own start waits without end for a worker that never comes, holding the interpreter's lock, and nothing in
it notices that two workers read different data. So each worker first tells the chief, at the address that TF_CONFIG
gives it, what it is about to train; the chief answers all of them alike: begin, or the one thing that is wrong.

One line of JSON each way. The chief's port is free again when TensorFlow wants it.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Mapping
from typing import Any

from tfrec_zoo.errors import TrainingError
from tfrec_zoo.training.cluster import Cluster

_LONGEST_LINE = 2**20
_PAUSE_SECONDS = 0.2


def meet(cluster: Cluster, facts: Mapping[str, Any], timeout: float, failure: str | None = None) -> None:
    """Returns on every worker once all are there and agree, or raises the same error on every worker.

    Args:
        cluster: Who is to come.
        facts: What has to be equal everywhere: name -> a value that JSON can hold.
        timeout: Seconds to wait for the others.
        failure: What keeps this worker from training, for all to hear.

    Raises:
        TrainingError: A worker did not come, cannot train, or is about to train something else.
    """
    hello = {"task": cluster.index, "facts": dict(facts), "failure": failure}
    verdict = _gather(cluster, hello, timeout) if cluster.is_chief else _ask_chief(cluster, hello, timeout)
    if verdict:
        raise TrainingError(verdict)


def _gather(cluster: Cluster, own: dict[str, Any], timeout: float) -> str | None:
    """The chief's side: hears everyone, answers everyone."""
    deadline = time.monotonic() + timeout
    port = int(cluster.addresses[0].rpartition(":")[2])
    heard: dict[int, dict[str, Any]] = {0: own}
    waiting: dict[int, socket.socket] = {}
    try:
        listener = _listen(cluster.addresses[0].rpartition(":")[0], port, len(cluster.tasks))
    except OSError as error:
        return f"port {port} of the chief cannot be opened: {error.strerror}. Is another run on this machine?"
    try:
        with listener:
            while len(heard) < len(cluster.tasks):
                if not select.select([listener], [], [], max(0.0, deadline - time.monotonic()))[0]:
                    break
                connection, _ = listener.accept()
                hello = _read_line(connection, min(5.0, timeout))
                task = hello.get("task") if hello else None
                if not isinstance(task, int) or not 0 < task < len(cluster.tasks):
                    connection.close()  # not one of us: a health check, a port scan
                    continue
                if task in waiting:  # it started again
                    waiting[task].close()
                heard[task], waiting[task] = hello or {}, connection
        verdict = _verdict(cluster, heard, timeout)
        for connection in waiting.values():
            _send_line(connection, {"verdict": verdict})
        return verdict
    finally:
        for connection in waiting.values():
            connection.close()


def _listen(host: str, port: int, backlog: int) -> socket.socket:
    """Listens on the loopback interface for a cluster on one machine, else on all interfaces."""
    # The chief's name in TF_CONFIG, of a service say, need not be an address of its own.
    if host in ("localhost", "127.0.0.1"):
        return socket.create_server(("127.0.0.1", port), backlog=backlog)
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    return socket.create_server(("", port), family=family, dualstack_ipv6=both, backlog=backlog)


def _ask_chief(cluster: Cluster, hello: dict[str, Any], timeout: float) -> str | None:
    """A worker's side: repeats itself until the chief has heard it, then waits for the answer."""
    deadline = time.monotonic() + timeout
    host, _, port = cluster.addresses[0].rpartition(":")
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=min(5.0, timeout)) as connection:
                _send_line(connection, hello)
                # The chief may have come later than this worker, and then waits for the others as long.
                answer = _read_line(connection, 2 * timeout)
        except OSError:
            answer = None
        if answer and "verdict" in answer:
            return answer["verdict"]
        time.sleep(_PAUSE_SECONDS)  # not there yet, or still the chief of a run that is ending
    return (
        f"{cluster.describe(0)}, the chief, did not answer within {timeout:g} s. Start the same command on every "
        "machine of TF_CONFIG, or wait longer with --worker-timeout."
    )


def _verdict(cluster: Cluster, heard: Mapping[int, Mapping[str, Any]], timeout: float) -> str | None:
    for task, hello in sorted(heard.items()):
        if hello["failure"]:
            return f"{cluster.describe(task)} cannot train: {hello['failure']}"
    missing = [cluster.describe(task) for task in range(len(cluster.tasks)) if task not in heard]
    if missing:
        return (
            f"{', '.join(missing)} did not come within {timeout:g} s. Start the same command on every machine of "
            "TF_CONFIG, or wait longer with --worker-timeout."
        )
    chief = heard[0]["facts"]
    for task, hello in sorted(heard.items()):
        facts = hello["facts"]
        differences = [
            f"{name} is {facts.get(name)!r} there and {chief.get(name)!r} at the chief"
            for name in {**chief, **facts}
            if facts.get(name) != chief.get(name)
        ]
        if differences:
            return f"{cluster.describe(task)} would train something else than the chief: {', '.join(differences)}."
    return None


def _read_line(connection: socket.socket, timeout: float) -> dict[str, Any] | None:
    """One JSON object, or None for whatever else came within the time."""
    deadline, content = time.monotonic() + timeout, b""
    try:
        while not content.endswith(b"\n") and len(content) < _LONGEST_LINE:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            part = connection.recv(65536)
            if not part:
                return None
            content += part
        value = json.loads(content)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _send_line(connection: socket.socket, value: Mapping[str, Any]) -> None:
    try:
        connection.sendall(json.dumps(value).encode() + b"\n")
    except OSError:
        return  # whoever asked has gone; TensorFlow's heartbeats say so to the others
