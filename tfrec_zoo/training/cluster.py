"""The machines of a run as TF_CONFIG names them, checked before TensorFlow reads it.

    TF_CONFIG='{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}'

A cluster may also name one "chief"; without one, worker 0 is it. The chief validates, and it alone writes the run's
directory. With parameter servers ("ps") there must be a chief, which then hands out the work. TensorFlow's own
complaints about a wrong TF_CONFIG come late, or never: it waits for machines that no one named.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

from tfrec_zoo.errors import ConfigError

RUN_AGAIN = "Run the same command on every machine again: it goes on from the last checkpoint."
"""The advice of every error that ends all processes of a run."""

_JOBS = ("chief", "worker", "ps")
_ADVICE = (
    'It looks like {"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}; docs/'
    "distributed.md has examples."
)


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The processes that train together, and which of them this one is.

    Attributes:
        tasks: "worker 0", ...: names of all, the chief first.
        addresses: "host:port" of each.
        index: Place of this process among them.
        jobs: Job name -> number of its tasks, as TensorFlow counts them.
    """

    tasks: tuple[str, ...]
    addresses: tuple[str, ...]
    index: int
    jobs: Mapping[str, int]

    @property
    def is_chief(self) -> bool:
        """Whether this process is the chief."""
        return self.index == 0

    @property
    def servers(self) -> int:
        """Number of parameter servers."""
        return self.jobs.get("ps", 0)

    @property
    def task(self) -> tuple[str, int]:
        """This process's job and its place in it."""
        return self._task(self.index)

    @property
    def addresses_of_jobs(self) -> dict[str, list[str]]:
        """Job name -> the addresses of its tasks in their order, as tf.train.ClusterSpec takes them."""
        found: dict[str, list[str]] = {job: [] for job in self.jobs}
        for index, address in enumerate(self.addresses):
            found[self._task(index)[0]].append(address)
        return found

    def _task(self, index: int) -> tuple[str, int]:
        job, _, place = self.tasks[index].partition(" ")
        return job, int(place or 0)

    def describe(self, index: int) -> str:
        """A task for a message: "worker 1 (10.0.0.2:2222)"."""
        return f"{self.tasks[index]} ({self.addresses[index]})"

    @classmethod
    def from_environment(cls) -> Cluster | None:
        """The cluster that TF_CONFIG describes; None without TF_CONFIG, or where it names no cluster.

        Raises:
            ConfigError: It is not JSON, or no cluster that can train.
        """
        text = os.environ.get("TF_CONFIG", "").strip()
        return cls.parse(text) if text else None

    @classmethod
    def parse(cls, text: str) -> Cluster | None:
        """The cluster of the text of a TF_CONFIG; None where it names no cluster.

        Raises:
            ConfigError: It is not JSON, or no cluster that can train.
        """
        try:
            content = json.loads(text)
        except ValueError as error:
            raise ConfigError(f"TF_CONFIG is not JSON ({error}). {_ADVICE}") from None
        if not isinstance(content, dict):
            raise ConfigError(f"TF_CONFIG must be a JSON object, not {type(content).__name__}. {_ADVICE}")
        if not content.get("cluster") and not content.get("task"):
            return None
        jobs = _jobs(content.get("cluster"))
        job, place = _task(content.get("task"), jobs)
        chief_first = [(name, place) for name in _JOBS for place in range(len(jobs.get(name, [])))]
        return cls(
            tasks=tuple(name if name == "chief" else f"{name} {place}" for name, place in chief_first),
            addresses=tuple(jobs[name][place] for name, place in chief_first),
            index=chief_first.index((job, place)),
            jobs={name: len(addresses) for name, addresses in jobs.items()},
        )


def _jobs(cluster: Any) -> dict[str, list[str]]:
    if not isinstance(cluster, dict) or not cluster:
        raise ConfigError(f'TF_CONFIG has no "cluster" of jobs and their addresses. {_ADVICE}')
    for job, addresses in cluster.items():
        if job not in _JOBS:
            raise ConfigError(f"TF_CONFIG names the job {job!r}; a cluster has {', '.join(_JOBS)}. {_ADVICE}")
        if not isinstance(addresses, list) or not addresses:
            raise ConfigError(f"TF_CONFIG: cluster.{job} must be a list of addresses, not {addresses!r}. {_ADVICE}")
        for address in addresses:
            if not _is_address(address):
                raise ConfigError(f"TF_CONFIG: {address!r} in cluster.{job} is not HOST:PORT. {_ADVICE}")
    if "ps" in cluster and not ("chief" in cluster and "worker" in cluster):
        raise ConfigError(
            'TF_CONFIG names parameter servers ("ps"): they need a "chief" that hands out the work, and workers. '
            "docs/distributed.md has an example."
        )
    if len(cluster.get("chief", [])) > 1:
        raise ConfigError(f"TF_CONFIG names {len(cluster['chief'])} chiefs; a cluster has one.")
    every = [address for addresses in cluster.values() for address in addresses]
    twice = sorted({address for address in every if every.count(address) > 1})
    if twice:
        raise ConfigError(f"TF_CONFIG names the address {twice[0]} twice; every task needs its own.")
    return cluster


def _task(task: Any, jobs: Mapping[str, list[str]]) -> tuple[str, int]:
    if not isinstance(task, dict) or "type" not in task:
        raise ConfigError(f'TF_CONFIG has no "task" that says which one this process is. {_ADVICE}')
    job, place = task["type"], task.get("index")
    if job not in jobs:
        raise ConfigError(f"TF_CONFIG: this task is of the type {job!r}, the cluster has {', '.join(sorted(jobs))}.")
    if isinstance(place, str) and place.isdecimal():  # some schedulers quote it
        place = int(place)
    if not isinstance(place, int) or isinstance(place, bool) or not 0 <= place < len(jobs[job]):
        raise ConfigError(
            f"TF_CONFIG: the index of this task is {place!r}; {job} has {len(jobs[job])} address(es), so it is from 0 "
            f"to {len(jobs[job]) - 1}."
        )
    return job, place


def _is_address(address: Any) -> bool:
    host, colon, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
    return bool(host and colon and port.isdecimal() and 0 < int(port) < 65536)
