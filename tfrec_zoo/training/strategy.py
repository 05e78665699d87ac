"""Where a run trains: one device, all GPUs of a machine, or the machines of TF_CONFIG; one interface for the Trainer.

    default            one device
    mirrored           every GPU of this machine holds the model and trains on its rows of each batch
    multiworker        the same over the machines of TF_CONFIG
    parameter_server   servers of TF_CONFIG hold the model, workers train on whole batches, each at its own pace
    auto               the last two where TF_CONFIG names a cluster, mirrored with several GPUs, else default

The batch size is the global one. Gradients and losses are summed over replicas and divided by the weights of the whole
batch, so a run computes the same whatever the number of replicas. The chief alone validates and touches the run's
directory; what it read or decided it shares with the others, so that they need no common file system and never decide
otherwise. With parameter servers the chief alone runs the loop; the others serve it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import functools
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec_zoo.errors import ConfigError, TrainingError
from tfrec_zoo.layers import item_table
from tfrec_zoo.models.recommender import Recommender
from tfrec_zoo.training import parameter_servers
from tfrec_zoo.training.cluster import RUN_AGAIN, Cluster
from tfrec_zoo.training.parameter_servers import LOST, Coordinator

AUTO, DEFAULT, MIRRORED, MULTIWORKER, PARAMETER_SERVER = STRATEGIES = (
    "auto",
    "default",
    "mirrored",
    "multiworker",
    "parameter_server",
)
OF_A_CLUSTER = (AUTO, MULTIWORKER, PARAMETER_SERVER)
"""Strategies for which TF_CONFIG is read."""

WORKER_TIMEOUT = 60.0
"""Seconds without a sign of life after which a worker counts as gone."""

_SECONDS_TO_TELL = 2.0


def choose(name: str, cluster: Cluster | None) -> str:
    """What "auto" means here; other names stay.

    Raises:
        ConfigError: No such strategy, or one that the cluster, or its absence, does not suit.
    """
    if name not in STRATEGIES:
        raise ConfigError(f"there is no strategy {name!r}: choose one of {', '.join(STRATEGIES)}.")
    if name in (MULTIWORKER, PARAMETER_SERVER) and cluster is None:
        raise ConfigError(
            f"the strategy {name} needs TF_CONFIG in the environment; `tfrec launch` sets it for local processes, "
            "docs/distributed.md shows it for machines."
        )
    if name in OF_A_CLUSTER and cluster is not None:
        fitting = PARAMETER_SERVER if cluster.servers else MULTIWORKER
        if name not in (AUTO, fitting):
            has = f"{cluster.servers} parameter server(s)" if cluster.servers else "no parameter servers"
            raise ConfigError(f"the strategy {name} does not suit a cluster with {has}: take {fitting}, or auto.")
        return fitting
    if name != AUTO:
        return name
    return MIRRORED if len(tf.config.list_physical_devices("GPU")) > 1 else DEFAULT


@dataclasses.dataclass(frozen=True)
class Distribution:
    """A strategy that was started, and the place of this process in it.

    Attributes:
        name: One of `STRATEGIES` but "auto".
        strategy: TensorFlow's.
        cluster: The workers that train in step; None on one machine, and around parameter servers.
        timeout: Seconds without a sign of life after which a worker counts as gone.
        coordinator: What hands out the steps around parameter servers.
    """

    name: str
    strategy: tf.distribute.Strategy
    cluster: Cluster | None = None
    timeout: float = WORKER_TIMEOUT
    coordinator: Coordinator | None = None

    @classmethod
    def start(cls, name: str, cluster: Cluster | None = None, timeout: float = WORKER_TIMEOUT) -> Distribution:
        """Starts a strategy; the workers of a cluster have met before (`rendezvous.meet`).

        Args:
            name: One of `STRATEGIES` but "auto".
            cluster: For the strategies of several machines. TensorFlow has run nothing in this process yet; for
                "parameter_server" it is the chief's.
            timeout: For these strategies, see `timeout`.
        """
        if name == MIRRORED:
            return cls(name, mirrored())
        if name == MULTIWORKER and cluster is not None:
            return cls(name, _multiworker(cluster, timeout), cluster, timeout)
        if name == PARAMETER_SERVER and cluster is not None:
            coordinator = Coordinator(cluster, timeout)
            return cls(name, coordinator.strategy, timeout=timeout, coordinator=coordinator)
        return cls(DEFAULT, tf.distribute.get_strategy())

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Where the model and its optimizers are made."""
        servers = self.coordinator.servers if self.coordinator else 0
        with self.strategy.scope(), item_table.partitioned(max(1, servers * parameter_servers.PARTS_OF_A_SERVER)):
            yield

    def local_model(self, model: Recommender) -> Recommender:
        """The model to validate and to save: itself, or a copy in this process of one that servers hold."""
        return parameter_servers.local_copy(model) if self.coordinator else model

    def bring_home(self, model: Recommender, local: Recommender) -> None:
        """Gives a `local_model` the values that the model has now."""
        if self.coordinator:
            parameter_servers.copy_weights(model, local)

    def join(self, model: Recommender) -> None:
        """Waits for steps that are under way on other machines.

        Raises:
            TrainingError: Nothing moves any more.
        """
        if self.coordinator:
            self.coordinator.join(model)

    @property
    def steps_at_once(self) -> int:
        """Steps that may be under way together."""
        return self.coordinator.workers if self.coordinator else 1

    @property
    def replicas(self) -> int:
        """Replicas over all machines."""
        return self.strategy.num_replicas_in_sync

    @property
    def workers(self) -> int:
        """Processes that train together."""
        return len(self.cluster.tasks) if self.cluster else 1

    @property
    def worker(self) -> int:
        """Place of this process among them; the chief's is 0."""
        return self.cluster.index if self.cluster else 0

    @property
    def is_chief(self) -> bool:
        """Whether this process validates and writes."""
        return self.worker == 0

    def check_batch_size(self, batch_size: int) -> None:
        """Checks that a global batch can be dealt out.

        Raises:
            ConfigError: Replicas would get different numbers of rows.
        """
        less = batch_size - batch_size % self.replicas
        if less != batch_size:
            sizes = " or ".join(str(size) for size in (less, less + self.replicas) if size)
            raise ConfigError(
                f"training.batch_size is {batch_size}, which {self.replicas} replicas cannot share equally: take "
                f"{sizes}."
            )

    def mean_loss(self, model: Recommender, logs: dict[str, Any]) -> float:
        """The mean loss since the metrics were reset, after `join`; `logs` are those of the last step."""
        # What a worker's step read of it lacks what others added meanwhile.
        return float(model.get_metrics_result()["loss"] if self.coordinator else logs["loss"])

    def replicate(
        self, step: Callable[[Any], dict[str, tf.Tensor]], batch: Any, rows: int, *, own: bool
    ) -> Callable[[Any], Any]:
        """Compiles a step that every replica runs on its own rows of a batch.

        Args:
            step: Takes a batch, returns logs that are equal on all replicas.
            batch: The batch's nested tf.TensorSpec; rows are the first dimension of every tensor.
            rows: Rows of one replica.
            own: The batches hold the rows of this worker alone and not of all.

        Returns:
            A function of a batch. Its logs may be those of a step that is still to come: `float` waits for them.
        """
        # One graph for batches of every width: which graph sees a batch must not depend on where a run was resumed, for
        # TensorFlow rounds differently where it knows the shapes.
        if self.name == DEFAULT:
            return tf.function(step, input_signature=[batch])
        first = self.worker * (self.replicas // self.workers) if own else 0

        def on_replica(batch: Any) -> dict[str, tf.Tensor]:
            place = tf.distribute.get_replica_context().replica_id_in_sync_group - first
            # A batch is small (ids): handing all of it to every device is cheaper than cutting it on the host.
            return step(tf.nest.map_structure(lambda tensor: tensor[place * rows : (place + 1) * rows], batch))

        def on_all(batch: Any) -> dict[str, tf.Tensor]:
            logs = self.strategy.run(on_replica, args=(batch,))
            return {name: self.local(value) for name, value in logs.items()}

        compiled = tf.function(on_all, input_signature=[batch])
        return functools.partial(self.coordinator.schedule, compiled) if self.coordinator else compiled

    def local(self, value: Any) -> Any:
        """This process's first part of a value or variable that every replica has."""
        return self.strategy.experimental_local_results(value)[0]

    def share(self, value: Any) -> Any:
        """What the chief gives: any value that JSON can hold (NaN too), on every worker."""
        if self.workers == 1:
            return value
        return json.loads(self.share_bytes(json.dumps(value).encode()))

    def share_arrays(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The chief's arrays, of any dtypes and shapes, on every worker; of the others' arguments nothing is read."""
        if self.workers == 1:
            return list(arrays)
        described = self.share([(array.dtype.name, array.shape) for array in arrays])
        own: list[Any] = list(arrays) if self.is_chief else [None] * len(described)
        return [
            np.frombuffer(self.share_bytes(b"" if array is None else array.tobytes()), np.dtype(dtype)).reshape(shape)
            for array, (dtype, shape) in zip(own, described, strict=True)
        ]

    def share_bytes(self, content: bytes) -> bytes:
        """The chief's bytes on every worker."""
        length = int(self._sum(np.array([len(content)], np.int64))[0])
        words = np.zeros(-(-length // 8), np.int64)
        if self.is_chief:
            words.view(np.uint8)[:length] = np.frombuffer(content, np.uint8)
        return self._sum(words).tobytes()[:length] if length else b""

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Around all work after the start: an error here ends the others, one of theirs becomes a clear one here.

        Raises:
            TrainingError: Another worker failed, or has gone.
        """
        if self.coordinator:
            with self.coordinator.guard():
                yield
            return
        if self.cluster is None:
            yield
            return
        try:
            yield
        except BaseException as error:
            said = " ".join(str(error).split())
            if isinstance(error, tf.errors.OpError) and (isinstance(error, LOST) or "ollective" in said):
                raise TrainingError(self._explain(said)) from error
            self._tell(f"{type(error).__name__}: {error}")
            raise

    def _sum(self, own: np.ndarray) -> np.ndarray:
        """Sums the chief's integers with zeros of all others."""
        return self._sum_of_chief(tf.constant(own if self.is_chief else np.zeros_like(own))).numpy()

    @functools.cached_property
    def _sum_of_chief(self) -> Callable[[tf.Tensor], tf.Tensor]:
        def add_up(own: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            part = tf.where(tf.equal(context.replica_id_in_sync_group, 0), own, tf.zeros_like(own))
            return context.all_reduce(tf.distribute.ReduceOp.SUM, part)

        def on_all(own: tf.Tensor) -> tf.Tensor:
            return self.local(self.strategy.run(add_up, args=(own,)))

        return tf.function(on_all, input_signature=[tf.TensorSpec([None], tf.int64)])

    def _tell(self, text: str) -> None:
        from tensorflow.python.eager import context

        # A cluster that is ending already hears nothing, and need not.
        with contextlib.suppress(Exception):
            context.context().report_error_to_cluster(int(tf.errors.ABORTED), " ".join(text.split())[:1000])
            if self.is_chief:
                time.sleep(_SECONDS_TO_TELL)  # the service that tells the others lives in this process

    def _explain(self, said: str) -> str:
        assert self.cluster is not None
        numbers = {(job, int(place)) for job, place in re.findall(r"/job:(\w+)(?:/replica:\d+)?/task:(\d+)", said)}
        names = {f"{job} {place}" if job == "worker" else job for job, place in numbers}
        others = [
            self.cluster.describe(index)
            for index, task in enumerate(self.cluster.tasks)
            if task in names and index != self.worker
        ]
        who = ", ".join(others) or "another worker"
        reported = re.search(r"Error reported from /job:\w+/task:\d+: (\w+: .*?)(?: The error could be from|$)", said)
        if reported and "heartbeat" not in said:
            return f"{who} failed: {reported[1]}"
        return f"{who} has gone (no sign of life within {self.timeout:g} s, or its connection broke). {RUN_AGAIN}"


def mirrored() -> tf.distribute.Strategy:
    """Copies on every GPU of this machine; without any, on its logical CPUs, of which a test makes several."""
    if tf.config.list_physical_devices("GPU"):
        return tf.distribute.MirroredStrategy()
    devices = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices("CPU")]
    # Collective ops keep their keys as long as the process lives: a second strategy would meet the sums of the first.
    return tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.ReductionToOneDevice())


def _multiworker(cluster: Cluster, timeout: float) -> tf.distribute.Strategy:
    from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
    from tensorflow.python.eager import context

    milliseconds = int(timeout * 1000)
    chief = "chief" if "chief" in cluster.jobs else "worker"
    jobs = [coordination_config_pb2.CoordinatedJob(name=name, num_tasks=count) for name, count in cluster.jobs.items()]
    # What the strategy would do itself, but with its heartbeats every few minutes and without an end of the waiting.
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader=f"/job:{chief}/replica:0/task:0",
        cluster_register_timeout_in_ms=milliseconds,
        heartbeat_timeout_in_ms=milliseconds,
        shutdown_barrier_timeout_in_ms=milliseconds,
        coordinated_jobs=jobs,
    )
    # A worker that dies just now would leave the chief waiting in C++, holding the lock of the interpreter: no Python
    # code could end that.
    faulthandler.dump_traceback_later(2 * timeout, exit=True)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    finally:
        faulthandler.cancel_dump_traceback_later()
