"""One server in its own process for all tests of serving, over small models."""

import http.client
import json

import grpc
import pytest

from serving import launcher
from serving.client import Client


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Base paths: recs (versions 1 and 2), kinds (7) and points (3), beside names that are no versions."""
    from tests.serving import tiny_models

    root = tmp_path_factory.mktemp("models")
    for version in (1, 2):
        tiny_models.save_recommender(root / "recs" / str(version), version)
    tiny_models.save_kinds(root / "kinds" / "7")
    tiny_models.save_pointwise(root / "points" / "3")
    (root / "recs" / ".3.tmp").mkdir()
    (root / "recs" / "0").mkdir()
    (root / "recs" / "notes.txt").write_text("no version")
    return root


@pytest.fixture(scope="session")
def config(models, tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "models.config"
    path.write_text(
        f"""
        model_config_list {{
          config {{ name: "recs" base_path: "{models}/recs" model_platform: "tensorflow"
            model_version_policy {{ all {{}} }}
            version_labels {{ key: "stable" value: 1 }} version_labels {{ key: "canary" value: 2 }} }}
          config {{ name: "kinds" base_path: "{models}/kinds" model_platform: "tensorflow" }}
          config {{ name: "points" base_path: "{models}/points" model_platform: "tensorflow" }}
        }}
        """
    )
    return path


@pytest.fixture(scope="session")
def server_log(tmp_path_factory):
    return tmp_path_factory.mktemp("log") / "stderr"


@pytest.fixture(scope="session")
def titles_file(tmp_path_factory):
    """Titles of the items of recs, with what would be markup in a careless page."""
    path = tmp_path_factory.mktemp("titles") / "items.csv"
    rows = "".join(f'item{place},"Film <b>{place}</b>, the sequel"\n' for place in range(20))
    path.write_text(f"item_id,movie_title\n{rows}")
    return path


@pytest.fixture(scope="session")
def server(config, server_log, titles_file):
    flags = ["--models", str(config), "--port", "0", "--health", "--titles", str(titles_file)]
    flags += ["--rest-timeout-seconds", "300"]  # longer than any client of the tests waits
    with (
        server_log.open("w") as stderr,
        launcher.running(flags, timeout=600, stderr=stderr) as running,
    ):
        yield running
        assert running.process.poll() is None, server_log.read_text()


@pytest.fixture(scope="session")
def rest(server):
    """Asks the REST API: method, path and body to (status, decoded JSON)."""

    def ask(method, path, body=None):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection(server.rest_address, timeout=120)
        try:
            connection.request(method, path, data)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    return ask


@pytest.fixture(scope="session")
def channel(server):
    with grpc.insecure_channel(server.address) as channel:
        yield channel


@pytest.fixture(scope="session")
def client(server):
    with Client(server.address, timeout=120) as client:
        yield client
