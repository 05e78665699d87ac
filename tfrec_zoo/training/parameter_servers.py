"""Parameter servers: weights live on servers, workers train on them each at its own pace, the chief hands out batches.

For models and machines that come and go: a worker that dies costs nothing but its speed. Its batches are given to
others, and once it is back it gets new ones. The price is that steps overlap (a gradient is added to weights that
others have changed since they were read), so that two runs never compute the same to the last bit.

The item table is cut into parts that the servers share. Optimizer and losses see several variables; nothing else in the
zoo knows.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec_zoo.errors import TrainingError
from tfrec_zoo.models.recommender import Recommender
from tfrec_zoo.training.cluster import RUN_AGAIN, Cluster

PARTS_OF_A_SERVER = 2
"""Parts of an item table on each server, which it reads side by side."""

LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError)
"""What TensorFlow raises when another process has gone."""


def start_server(cluster: Cluster) -> tf.distribute.Server:
    """Makes this process a worker or a server, for as long as it lives."""
    job, place = cluster.task
    spec = tf.train.ClusterSpec(cluster.addresses_of_jobs)
    return tf.distribute.Server(spec, job_name=job, task_index=place, protocol="grpc")


class Coordinator:
    """The chief's side: gives steps to whichever worker is free.

    Args:
        cluster: With a chief, this process, and servers and workers that have started.
        timeout: Seconds without a finished step after which the workers count as gone.
    """

    def __init__(self, cluster: Cluster, timeout: float) -> None:
        self._cluster, self._timeout = cluster, timeout
        spec = tf.train.ClusterSpec(cluster.addresses_of_jobs)
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            spec, task_type="chief", task_id=0, rpc_layer="grpc"
        )
        self.strategy = tf.distribute.ParameterServerStrategy(resolver)
        self._coordinator = tf.distribute.coordinator.ClusterCoordinator(self.strategy)

    @property
    def workers(self) -> int:
        """Processes that take steps."""
        return self._cluster.jobs["worker"]

    @property
    def servers(self) -> int:
        """Processes that hold the weights."""
        return self._cluster.servers

    def schedule(self, step: Callable[[Any], dict[str, tf.Tensor]], batch: Any) -> dict[str, PendingLogs]:
        """Gives a batch to a worker and does not wait for it; a worker that dies leaves it to another."""
        return {"loss": PendingLogs(self._coordinator.schedule(step, args=(batch,)))}

    def join(self, model: Recommender) -> None:
        """Waits until every step that was scheduled has been taken.

        Args:
            model: What is trained; its optimizer's count of steps shows that the workers are alive.

        Raises:
            TrainingError: No step was finished for `timeout` seconds.
        """
        # Neither a join nor a read from a server that hangs ever returns: both are left to threads.
        ended, errors, moved = threading.Event(), [], [time.monotonic()]

        def wait() -> None:
            try:
                self._coordinator.join()
            except BaseException as error:
                errors.append(error)
            ended.set()

        def watch() -> None:
            last = None
            with contextlib.suppress(tf.errors.OpError):  # `wait` meets the same
                while not ended.wait(1.0):
                    count = int(model.optimizers[0].iterations.numpy())
                    if count != last:
                        last, moved[0] = count, time.monotonic()

        for work in (wait, watch):
            threading.Thread(target=work, daemon=True).start()
        while not ended.wait(0.2):
            if time.monotonic() - moved[0] > self._timeout:
                workers = [
                    self._cluster.describe(index)
                    for index, task in enumerate(self._cluster.tasks)
                    if task.startswith("worker")
                ]
                who = f"{', '.join(workers)} have gone, or hang"
                raise TrainingError(f"no step was finished within {self._timeout:g} s: {who}. {RUN_AGAIN}")
        if errors:
            raise errors[0]

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Around all work after the start: a server that is lost becomes a clear error.

        Raises:
            TrainingError: A server has gone, and with it its part of the weights.
        """
        try:
            yield
        except LOST as error:
            named = {f"ps {place}" for place in re.findall(r"/job:ps/replica:\d+/task:(\d+)", str(error))}
            lost = [self._cluster.describe(index) for index, task in enumerate(self._cluster.tasks) if task in named]
            who = ", ".join(lost) or "a parameter server"
            raise TrainingError(f"{who} has gone, and with it its part of the weights. {RUN_AGAIN}") from error


class PendingLogs:
    """The loss that a scheduled step will have; read as a number, it waits for the step."""

    def __init__(self, logs: Any) -> None:
        self._logs = logs

    def __float__(self) -> float:
        return float(self._logs.fetch()["loss"])


def local_copy(model: Recommender) -> Recommender:
    """Makes the same model in this process, its tables in one piece, with values of its own (see `copy_weights`)."""
    return type(model)(model.catalog_size, model.config)


def copy_weights(model: Recommender, copy: Recommender) -> None:
    """Gives a `local_copy` the values of the model that the servers hold."""
    values = iter(model.variables)
    for variable in copy.variables:
        parts = [next(values).numpy()]
        while parts[0].ndim and sum(len(part) for part in parts) < variable.shape[0]:
            parts.append(next(values).numpy())  # the parts of a table follow each other
        variable.assign(np.concatenate(parts) if len(parts) > 1 else parts[0])
