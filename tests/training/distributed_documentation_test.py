"""docs/distributed.md: its commands parse, and the pods of its manifest make a TF_CONFIG that is one."""

import re
import shlex
import subprocess
from pathlib import Path

import yaml

from tfrec_zoo.cli import build_parser
from tfrec_zoo.training.cluster import Cluster

PAGE = (Path(__file__).parents[2] / "docs" / "distributed.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_every_command_parses() -> None:
    commands = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("tfrec ")]
    assert len(commands) == 4
    for command in commands:
        build_parser().parse_args(shlex.split(command)[1:])


def test_the_shown_tf_configs_are_valid() -> None:
    of_workers, of_servers = (Cluster.parse(text) for text in re.findall(r"export TF_CONFIG='(.*?)'", PAGE, re.DOTALL))
    assert of_workers is not None
    assert of_workers.addresses == ("10.0.0.1:2222", "10.0.0.2:2222")
    assert of_servers is not None
    assert of_servers.tasks == ("chief", "worker 0", "worker 1", "ps 0")
    assert of_servers.is_chief


def test_every_pod_of_the_manifest_knows_its_place() -> None:
    service, job = yaml.safe_load_all(blocks("yaml")[0])
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (script,) = container["args"]
    *setting, train = script.strip().splitlines()
    build_parser().parse_args(shlex.split(train.removeprefix("exec "))[1:])
    workers = job["spec"]["completions"]
    assert workers == job["spec"]["parallelism"] == int(container["env"][0]["value"])
    assert service["metadata"]["name"] == pod["subdomain"]
    for index in range(workers):
        environment = {"PATH": "/usr/bin:/bin", "WORKERS": str(workers), "JOB_COMPLETION_INDEX": str(index)}
        command = [*container["command"], "\n".join([*setting, 'echo "$TF_CONFIG"'])]
        made = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        cluster = Cluster.parse(made)
        assert cluster is not None
        assert cluster.describe(cluster.index) == f"worker {index} (bert4rec-{index}.bert4rec:2222)"
        assert len(cluster.tasks) == workers
