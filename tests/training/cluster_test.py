import json

import pytest

from tfrec_zoo.errors import ConfigError
from tfrec_zoo.training.cluster import Cluster
from tfrec_zoo.training.strategy import choose

TWO = {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}


def tf_config(cluster: object = TWO, task: object = None) -> str:
    return json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 1} if task is None else task})


def test_the_chief_is_worker_0_or_the_task_of_that_name() -> None:
    cluster = Cluster.parse(tf_config())
    assert cluster is not None
    assert (cluster.index, cluster.is_chief, cluster.describe(1)) == (1, False, "worker 1 (10.0.0.2:2222)")
    cluster = Cluster.parse(tf_config({**TWO, "chief": ["10.0.0.9:2222"]}))
    assert cluster is not None
    assert cluster.tasks == ("chief", "worker 0", "worker 1")
    assert (cluster.index, cluster.describe(0)) == (2, "chief (10.0.0.9:2222)")


def test_without_a_cluster_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert Cluster.from_environment() is None
    for text in ("", "{}", '{"cluster": {}}'):
        monkeypatch.setenv("TF_CONFIG", text)
        assert Cluster.from_environment() is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{'cluster'", "TF_CONFIG is not JSON"),
        ("[1]", "must be a JSON object, not list"),
        (json.dumps({"task": {"type": "worker", "index": 0}}), 'has no "cluster"'),
        (json.dumps({"cluster": TWO}), 'has no "task"'),
        (tf_config(task={"index": 0}), 'has no "task"'),
        (tf_config({"worker": "10.0.0.1:2222"}), "must be a list of addresses"),
        (tf_config({"worker": []}), "must be a list of addresses"),
        (tf_config({"worker": ["10.0.0.1"]}), "is not HOST:PORT"),
        (tf_config({"worker": ["10.0.0.1:99999"]}), "is not HOST:PORT"),
        (tf_config({"worker": [2222]}), "is not HOST:PORT"),
        (tf_config({"worker": ["a:1", "a:1"]}), "names the address a:1 twice"),
        (tf_config({**TWO, "chief": ["a:1", "b:1"]}), "names 2 chiefs"),
        (tf_config({**TWO, "evaluator": ["a:1"]}), "names the job 'evaluator'; a cluster has chief, worker, ps"),
        (tf_config({**TWO, "ps": ["a:1"]}), 'parameter servers .* need a "chief"'),
        (tf_config({"chief": ["a:1"], "ps": ["a:2"]}, {"type": "ps", "index": 0}), "a chief.*, and workers|workers"),
        (tf_config(task={"type": "boss", "index": 0}), "of the type 'boss', the cluster has worker"),
        (tf_config(task={"type": "worker", "index": 2}), "is 2; worker has 2 .* from 0 to 1"),
        (tf_config(task={"type": "worker"}), "index of this task is None"),
        (tf_config(task={"type": "worker", "index": -1}), "index of this task is -1"),
    ],
)
def test_a_malformed_cluster_is_one_clear_error(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Cluster.parse(text)
    assert "\n" not in str(caught.value)


def test_auto_follows_the_environment() -> None:
    assert choose("auto", Cluster.parse(tf_config())) == "multiworker"
    assert choose("auto", None) == "default", "this machine has no GPUs"
    assert choose("mirrored", None) == "mirrored"
    for name in ("multiworker", "parameter_server"):
        with pytest.raises(ConfigError, match=f"{name} needs TF_CONFIG"):
            choose(name, None)
    with pytest.raises(ConfigError, match="no strategy 'tpu': choose one of auto, default"):
        choose("tpu", None)


def test_a_cluster_with_servers_names_every_task_and_its_strategy() -> None:
    jobs = {**TWO, "chief": ["10.0.0.9:2222"], "ps": ["10.0.0.7:2222"]}
    cluster = Cluster.parse(tf_config(jobs, {"type": "ps", "index": 0}))
    assert cluster is not None
    assert (cluster.servers, cluster.task, cluster.is_chief) == (1, ("ps", 0), False)
    assert cluster.describe(cluster.index) == "ps 0 (10.0.0.7:2222)"
    assert cluster.addresses_of_jobs == jobs
    assert choose("auto", cluster) == choose("parameter_server", cluster) == "parameter_server"
    with pytest.raises(
        ConfigError, match=r"does not suit a cluster with 1 parameter server\(s\): take parameter_server"
    ):
        choose("multiworker", cluster)
    with pytest.raises(ConfigError, match="does not suit a cluster with no parameter servers: take multiworker"):
        choose("parameter_server", Cluster.parse(tf_config()))
