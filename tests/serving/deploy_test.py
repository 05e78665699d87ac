"""serving/deploy/: what is there passes its schema, names files and metrics that exist, and commands that parse."""

import http.client
import json
import re
import shutil
import subprocess
from pathlib import Path

import check_jsonschema.builtin_schemas
import jsonschema
import kubernetes_validate
import pytest
import yaml

import serving
from beam_jobs import PrepareOptions
from tfrec_zoo.cli import build_parser
from tfrec_zoo.training.cluster import Cluster

DEPLOY = Path(serving.__file__).parent / "deploy"
KUBERNETES = "1.31"
SERVER_FLAG = re.compile(r"--\w+=(/config/\S+)")


def manifests(name):
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text()))


def of_kind(name, kind):
    return next(each for each in manifests(name) if each["kind"] == kind)


def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def dashboard():
    return json.loads((DEPLOY / "grafana" / "dashboards" / "serving.json").read_text())


@pytest.mark.parametrize("file", sorted(path.name for path in (DEPLOY / "kubernetes").iterdir()))
def test_manifests_are_what_kubernetes_takes(file):
    for manifest in manifests(file):
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_the_compose_file_is_what_compose_takes_and_its_files_exist():
    schema = Path(check_jsonschema.builtin_schemas.__file__).parent / "vendor" / "compose-spec.json"
    jsonschema.validate(compose(), json.loads(schema.read_text()))
    for name, service in compose()["services"].items():
        for source, *_ in (volume.split(":") for volume in service["volumes"]):
            assert source in compose()["volumes"] or (DEPLOY / source).exists() or name == "server"


def test_the_official_server_reads_the_files_of_config():
    (container,) = of_kind("server.yaml", "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["args"] == compose()["services"]["server"]["command"]
    files = [flag[1] for flag in map(SERVER_FLAG.match, container["args"]) if flag]
    assert len(files) == 3
    for file in files:
        assert (DEPLOY.parent / "config" / Path(file).name).is_file()


def test_service_and_autoscaler_find_the_server():
    deployment, service = of_kind("server.yaml", "Deployment"), of_kind("server.yaml", "Service")
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
    autoscaler = of_kind("server.yaml", "HorizontalPodAutoscaler")
    assert autoscaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_health_check_of_the_container_asks_for_the_model(server):
    check, port = compose()["services"]["server"]["healthcheck"]["test"], server.rest_address.rpartition(":")[2]
    for model, status in (("recs", 0), ("nothing", 1)):
        command = [part.replace("/8501", f"/{port}").replace("bert4rec", model) for part in check[1:]]
        assert subprocess.run(command, check=False, timeout=120).returncode == status


@pytest.fixture(scope="module")
def exported(server, client):
    """The metrics of the embedded server after a request: name -> labels."""
    client.recommend("recs", ["item3"])
    path = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"][0]["metrics_path"]
    connection = http.client.HTTPConnection(server.rest_address, timeout=120)
    connection.request("GET", path)
    text = connection.getresponse().read().decode()
    connection.close()
    suffixes = {"counter": [""], "histogram": ["_bucket", "_sum", "_count"]}
    typed = re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE)
    metrics = {name + suffix: set() for name, kind in typed for suffix in suffixes[kind]}
    for name, labels in re.findall(r"^(:[\w:]+)\{(.*)\}", text, re.MULTILINE):
        metrics[name] |= set(re.findall(r'(\w+)="', labels))
    return metrics


def test_the_dashboard_asks_for_metrics_that_the_server_exports(exported):
    panels = dashboard()["panels"]
    assert len(panels) == 6
    asked = set()
    for expression in (target["expr"] for panel in panels for target in panel["targets"]):
        named = re.findall(r"(:[\w:]+)(?:\{(.*?)\})?", expression)
        assert named
        for metric, matchers in named:
            assert metric in exported
            asked.add(metric)
            labels = set(re.findall(r"(\w+)(?:=~|!=|=)", matchers))
            labels |= {label.strip() for group in re.findall(r"by \((.*?)\)", expression) for label in group.split(",")}
            # A metric without a sample yet tells no labels: nothing was batched here.
            assert not exported[metric] or labels <= exported[metric], expression
    assert asked == {":tensorflow:serving:request_count", *(name for name in exported if name.endswith("_bucket"))}


def test_the_dashboard_finds_its_data():
    folder = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text())["datasources"]
    uids = set(re.findall(r'"type": "prometheus",\s+"uid": "(\w+)"', json.dumps(dashboard(), indent=1)))
    assert uids == {source["uid"]}
    host, port = source["url"].removeprefix("http://").split(":")
    assert compose()["services"][host]["ports"] == [f"127.0.0.1:{port}:{port}"]
    (provider,) = yaml.safe_load((folder / "dashboards" / "serving.yaml").read_text())["providers"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in compose()["services"]["grafana"]["volumes"]


def test_the_beam_job_has_options_that_the_job_takes():
    (container,) = of_kind("prepare.yaml", "Job")["spec"]["template"]["spec"]["containers"]
    assert PrepareOptions.from_args(build_parser().parse_args(container["args"])).output == "/data/DATA"


def test_every_pod_of_the_training_job_knows_its_place():
    service, job = manifests("training.yaml")
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (script,) = container["args"]
    *setting, train = script.strip().splitlines()
    build_parser().parse_args(train.removeprefix("exec tfrec ").split())
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
