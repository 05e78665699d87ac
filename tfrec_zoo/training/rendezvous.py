"""The workers of a run meet before TensorFlow starts: everyone is there, everyone is about to train the same.

TensorFlow's own start waits without end for a worker that never comes, holding the interpreter's lock, and nothing in
it notices that two workers read different data. So each worker first tells the chief, at the address that TF_CONFIG
gives it, what it is about to train; the chief answers all of them alike: begin, or the one thing that is wrong.

One line of JSON each way. The chief's port is free again when TensorFlow wants it.

Around parameter servers the connections stay: the chief of a run that ends says so, and the processes that served it
end as it did.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import select
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from tfrec_zoo.errors import TrainingError
from tfrec_zoo.training.cluster import RUN_AGAIN, Cluster

_LONGEST_LINE = 2**20
_PAUSE_SECONDS = 0.2
_START_ALL = "Start the same command on every machine of TF_CONFIG, or wait longer with --worker-timeout."


class Meeting:
    """The connections between the chief and the others, for as long as they are held.

    On the chief a context manager: whoever comes late is welcomed within it, and the error that leaves it, or none, is
    what the others hear at the end.

    Args:
        cluster: Who met; TensorFlow on the chief gets the address that is given here.
        connections: To the others on the chief, to the chief on the others.
        listener: Of the chief, where its port stays open for those who come late.
        facts: What the late ones have to agree with.
    """

    def __init__(
        self,
        cluster: Cluster,
        connections: Iterable[socket.socket],
        listener: socket.socket | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.cluster, self._connections = cluster, list(connections)
        self._listener, self._facts = listener, facts or {}
        self._ended, self._welcoming = threading.Event(), threading.Thread(target=self._welcome, daemon=True)
        if listener:
            self._welcoming.start()

    def close(self) -> None:
        """Ends the connections without a word."""
        self._ended.set()
        if self._listener:
            self._welcoming.join()
            self._listener.close()
        for connection in self._connections:
            connection.close()

    def __enter__(self) -> Meeting:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        said = f"{error}" or type(error).__name__ if error else ""
        for connection in self._connections:
            _send_line(connection, {"end": " ".join(said.split())})
        self.close()

    def wait_for_end(self) -> None:
        """Returns when the chief says that the run has ended.

        Raises:
            TrainingError: The run failed, or the chief has gone.
        """
        chief = self.cluster.tasks[0]
        for connection in self._connections:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a machine that is off says nothing
            said = _read_line(connection, None)
            if said is None or "end" not in said:
                raise TrainingError(f"the {chief} has gone. {RUN_AGAIN}")
            if said["end"]:
                raise TrainingError(f"the {chief} failed: {said['end']}")

    def _welcome(self) -> None:
        """Answers those who come after the meeting: a worker that was started again."""
        assert self._listener is not None
        while not self._ended.is_set():
            if not select.select([self._listener], [], [], 0.2)[0]:
                continue
            connection = self._listener.accept()[0]
            hello = _hello(connection, self.cluster, 5.0)
            if hello is None:
                connection.close()
                continue
            verdict = _verdict(self.cluster, {0: {"facts": self._facts, "failure": None}, hello["task"]: hello})
            _send_line(connection, {"verdict": verdict, "address": self.cluster.addresses[0]})
            self._connections.append(connection)


def meet(
    cluster: Cluster, facts: Mapping[str, Any], timeout: float, failure: str | None = None, *, stay: bool = False
) -> Meeting:
    """Returns on every worker once all are there and agree, or raises the same error on every worker.

    Args:
        cluster: Who is to come.
        facts: What has to be equal everywhere: name -> a value that JSON can hold.
        timeout: Seconds to wait for the others.
        failure: What keeps this worker from training, for all to hear.
        stay: Keep the connections, and on the chief the port; TensorFlow gets another one there.

    Raises:
        TrainingError: A worker did not come, cannot train, or is about to train something else.
    """
    hello = {"task": cluster.index, "facts": dict(facts), "failure": failure}
    with contextlib.ExitStack() as stack:
        if not cluster.is_chief:
            connection, address = _ask_chief(cluster, hello, timeout, stack)
            if stay:
                stack.pop_all()
            return Meeting(_with_chief_at(cluster, address), [connection] if stay else ())
        host, _, port = cluster.addresses[0].rpartition(":")
        try:
            listener = stack.enter_context(_listen(host, int(port), len(cluster.tasks)))
        except OSError as error:
            reason = f"port {port} of the chief cannot be opened: {error.strerror}."
            raise TrainingError(f"{reason} Is another run on this machine?") from None
        if stay:
            with socket.create_server(("", 0)) as free:
                cluster = _with_chief_at(cluster, f"{host}:{free.getsockname()[1]}")
        connections = _gather(cluster, hello, timeout, listener, stack)
        if stay:
            stack.pop_all()
        return Meeting(cluster, connections, listener, facts) if stay else Meeting(cluster, ())


def _with_chief_at(cluster: Cluster, address: str) -> Cluster:
    return dataclasses.replace(cluster, addresses=(address, *cluster.addresses[1:]))


def _gather(
    cluster: Cluster, own: dict[str, Any], timeout: float, listener: socket.socket, stack: contextlib.ExitStack
) -> Iterable[socket.socket]:
    """The chief's side: hears everyone, answers everyone."""
    deadline = time.monotonic() + timeout
    heard: dict[int, dict[str, Any]] = {0: own}
    waiting: dict[int, socket.socket] = {}
    while len(heard) < len(cluster.tasks):
        if not select.select([listener], [], [], max(0.0, deadline - time.monotonic()))[0]:
            break
        connection = stack.enter_context(listener.accept()[0])
        hello = _hello(connection, cluster, min(5.0, timeout))
        if hello is None:
            connection.close()
            continue
        task = hello["task"]
        if task in waiting:  # it started again
            waiting[task].close()
        heard[task], waiting[task] = hello, connection
    missing = [cluster.describe(task) for task in range(len(cluster.tasks)) if task not in heard]
    verdict = _verdict(cluster, heard)
    if missing and not verdict:
        verdict = f"{', '.join(missing)} did not come within {timeout:g} s. {_START_ALL}"
    for connection in waiting.values():
        _send_line(connection, {"verdict": verdict, "address": cluster.addresses[0]})
    if verdict:
        raise TrainingError(verdict)
    return waiting.values()


def _hello(connection: socket.socket, cluster: Cluster, timeout: float) -> dict[str, Any] | None:
    """What a task says of itself; None for someone else: a health check, a port scan."""
    hello = _read_line(connection, timeout)
    task = hello.get("task") if hello else None
    return hello if isinstance(task, int) and 0 < task < len(cluster.tasks) else None


def _listen(host: str, port: int, backlog: int) -> socket.socket:
    """Listens on the loopback interface for a cluster on one machine, else on all interfaces."""
    # The chief's name in TF_CONFIG, of a service say, need not be an address of its own.
    if host in ("localhost", "127.0.0.1"):
        return socket.create_server(("127.0.0.1", port), backlog=backlog)
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    return socket.create_server(("", port), family=family, dualstack_ipv6=both, backlog=backlog)


def _ask_chief(
    cluster: Cluster, hello: dict[str, Any], timeout: float, stack: contextlib.ExitStack
) -> tuple[socket.socket, str]:
    """A worker's side: repeats itself until the chief has heard it, then waits for the answer."""
    deadline = time.monotonic() + timeout
    host, _, port = cluster.addresses[0].rpartition(":")
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            address = (host.strip("[]"), int(port))
            connection = stack.enter_context(socket.create_connection(address, timeout=min(5.0, timeout)))
            _send_line(connection, hello)
            # The chief may have come later than this worker, and then waits for the others as long.
            answer = _read_line(connection, 2 * timeout)
            if answer and "verdict" in answer:
                if answer["verdict"]:
                    raise TrainingError(answer["verdict"])
                return connection, answer["address"]
            connection.close()
        time.sleep(_PAUSE_SECONDS)  # not there yet, or still the chief of a run that is ending
    raise TrainingError(f"{cluster.describe(0)}, the chief, did not answer within {timeout:g} s. {_START_ALL}")


def _verdict(cluster: Cluster, heard: Mapping[int, Mapping[str, Any]]) -> str | None:
    """What is wrong with what was heard."""
    for task, hello in sorted(heard.items()):
        if hello["failure"]:
            return f"{cluster.describe(task)} cannot train: {hello['failure']}"
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


def _read_line(connection: socket.socket, timeout: float | None) -> dict[str, Any] | None:
    """One JSON object, or None for whatever else came within the time (None: however long it takes)."""
    deadline, content = time.monotonic() + (timeout or 0.0), b""
    try:
        while not content.endswith(b"\n") and len(content) < _LONGEST_LINE:
            connection.settimeout(None if timeout is None else max(0.01, deadline - time.monotonic()))
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
