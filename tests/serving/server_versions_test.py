"""A server whose disk changes under it: versions come, go and break, models.config is edited, processes die."""

import concurrent.futures
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import grpc
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

from serving import launcher
from serving.client import Client, ServingError


class Home:
    """A scratch folder with base paths and a models.config, and a server that watches it."""

    def __init__(self, folder: Path, models: Path):
        self.folder, self.models = folder, models
        self.config, self.log = folder / "models.config", folder / "log"

    def publish(self, name, number, source=("recs", 1)):
        base = self.folder / name
        base.mkdir(exist_ok=True)
        shutil.copytree(self.models / source[0] / str(source[1]), base / f".{number}.tmp")
        os.rename(base / f".{number}.tmp", base / str(number))

    def entry(self, name, more=""):
        return f'config {{ name: "{name}" base_path: "{self.folder}/{name}" model_platform: "tensorflow" {more} }}'

    def write(self, *entries):
        self.replace(f"model_config_list {{ {' '.join(entries)} }}")

    def replace(self, text):
        """At once: an empty file in between would be read as one that turned invalid."""
        temporary = self.folder / ".models.config"
        temporary.write_text(text)
        os.replace(temporary, self.config)

    def logged(self):
        return self.log.read_text()


@pytest.fixture(scope="module")
def home(models, tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("home"), models)
    home.publish("a", 1)
    home.publish("b", 7, ("kinds", 7))
    home.write(home.entry("a"), home.entry("b"))
    flags = ["--models", str(home.config), "--port", "0", "--poll-seconds", "0.1", "--load-retries", "2"]
    flags += ["--load-retry-seconds", "0.2"]
    with home.log.open("w") as stderr, launcher.running(flags, timeout=600, stderr=stderr) as server:
        home.server = server
        with Client(server.address, timeout=120) as client:
            home.client = client
            yield home
        assert server.process.poll() is None, home.logged()


def wait_for(condition, seconds=600.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def served(home, name="a"):
    return home.client.recommend(name, [], k=1).scores[0]


def available(home, name="a"):
    try:
        states = home.client.status(name)
    except ServingError:
        return []
    return sorted(version for version, state in states.items() if state == "AVAILABLE")


def test_a_new_version_takes_over_without_a_failed_request(home):
    stop, asked = threading.Event(), [[], [], []]  # a list a thread, of (began, ended, score)

    def keep_asking(requests):
        while not stop.is_set():
            began = time.monotonic()
            score = served(home)
            requests.append((began, time.monotonic(), score))
            stop.wait(0.01)  # leaves the new version the time to load in

    def all_were_answered(since, score):
        for asking in askers:
            if asking.done():
                asking.result()  # raises what its request failed with
        recent = [[answer for began, _, answer in requests if began > since] for requests in asked]
        return all(answers.count(score) >= 3 for answers in recent)

    with concurrent.futures.ThreadPoolExecutor(len(asked)) as pool:
        askers = [pool.submit(keep_asking, requests) for requests in asked]
        try:
            wait_for(lambda: all_were_answered(0.0, 1.0))
            home.publish("a", 2, ("recs", 2))
            wait_for(lambda: available(home) == [2])
            wait_for(lambda: home.client.status("a")[1] == "END")
            gone = time.monotonic()
            wait_for(lambda: all_were_answered(gone, 2.0))
        finally:
            stop.set()
        for asking in askers:
            asking.result()
    requests = [request for requests in asked for request in requests]
    assert {score for _, _, score in requests} == {1.0, 2.0}
    first = min(ended for _, ended, score in requests if score == 2.0)
    assert {score for began, _, score in requests if began > first} == {2.0}, "none goes back to the old version"
    with pytest.raises(ServingError, match=r"Servable not found for request: Specific\(a, 1\)"):
        home.client.recommend("a", [], version=1)


def test_broken_versions_never_displace_the_one_that_serves(home):
    home.publish("a", 3, ("recs", 2))  # whole, so that it is known when the broken ones are looked at
    wait_for(lambda: available(home) == [3])
    (home.folder / "a" / "4").mkdir()  # nothing in it
    wait_for(lambda: home.client.status("a").get(4) == "END")
    assert "attempt 3 of 3" in home.logged()
    half = home.folder / "a" / "5"
    shutil.copytree(home.models / "recs" / "1", home.folder / "half")
    data = home.folder / "half" / "variables" / "variables.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-4])
    os.rename(home.folder / "half", half)
    wait_for(lambda: home.client.status("a").get(5) == "END")
    assert available(home) == [3]
    assert served(home) == 2.0
    # Completed, it is tried again.
    shutil.copytree(home.models / "recs" / "1", home.folder / "whole")
    shutil.rmtree(half)
    os.rename(home.folder / "whole", half)
    wait_for(lambda: available(home) == [5])
    assert served(home) == 1.0


def test_a_version_that_is_deleted_gives_way_to_the_one_below(home):
    home.publish("a", 6, ("recs", 2))
    wait_for(lambda: available(home) == [6])
    shutil.rmtree(home.folder / "a" / "6")
    wait_for(lambda: available(home) == [5])
    for number in (1, 2, 3, 4):
        shutil.rmtree(home.folder / "a" / str(number))


def test_an_emptied_or_missing_directory_changes_nothing(home):
    os.rename(home.folder / "a", home.folder / "elsewhere")
    wait_for(lambda: f"Could not find base path {home.folder}/a for servable a" in home.logged())
    (home.folder / "a").mkdir()
    wait_for(lambda: f"No versions of servable a found under base path {home.folder}/a" in home.logged())
    assert served(home) == 1.0
    (home.folder / "a").rmdir()
    os.rename(home.folder / "elsewhere", home.folder / "a")


def test_models_come_and_go_with_the_config(home):
    home.publish("c", 1)
    home.publish("c", 2, ("recs", 2))
    labels = 'model_version_policy { all {} } version_labels { key: "stable" value: 1 }'
    home.write(home.entry("a"), home.entry("c", labels))
    wait_for(lambda: available(home, "c") == [1, 2] and "was read again" in home.logged())
    assert home.client.recommend("c", [], label="stable", k=1).scores == [1.0]
    with pytest.raises(ServingError, match=r"Latest\(b\)"):
        home.client.predict("b", {})
    # The label moves; one for a version that isn't there is refused, and the labels stay.
    home.write(home.entry("a"), home.entry("c", labels.replace("value: 1", "value: 2")))
    wait_for(lambda: home.client.recommend("c", [], label="stable", k=1).scores == [2.0])
    home.write(home.entry("a"), home.entry("c", labels.replace("value: 1", "value: 9")))
    message = "Request to assign label to version 9 of model c, which is not currently available for inference"
    wait_for(lambda: message in home.logged())
    assert home.client.recommend("c", [], label="stable", k=1).scores == [2.0]


@pytest.mark.parametrize("text", ["model_config_list {", "", "\x00", 'model_config_list { config { name: "a" } }'])
def test_a_config_that_turns_invalid_changes_nothing(home, text):
    before = home.logged().count("the configuration that is served stays as it was")
    home.replace(text)
    wait_for(lambda: home.logged().count("the configuration that is served stays as it was") > before)
    assert served(home) == 1.0
    assert available(home, "c") == [1, 2]


def reload_request(home, *entries):
    request = model_management_pb2.ReloadConfigRequest()
    text_format.Parse(f"model_config_list {{ {' '.join(entries)} }}", request.config)
    return request


def test_reloads_by_request_one_after_another(home):
    with grpc.insecure_channel(home.server.address) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)

        def reload(number):
            names = ["a", "c"] if number % 2 else ["a", "b"]
            stub.HandleReloadConfigRequest(reload_request(home, *map(home.entry, names)), timeout=300)

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(reload, range(4)))
        reload(0)
        assert available(home, "b") == [7]
        assert served(home) == 1.0
        with pytest.raises(ServingError, match=r"Latest\(c\)"):
            home.client.predict("c", {})
        with pytest.raises(grpc.RpcError) as caught:
            stub.HandleReloadConfigRequest(reload_request(home, 'config { name: "a" }'), timeout=300)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(grpc.RpcError) as caught:
            stub.HandleReloadConfigRequest(reload_request(home, home.entry("a"), home.entry("none")), timeout=300)
        assert "Some models did not become available: {none}" in caught.value.details()
        assert served(home) == 1.0
        reload(0)


def processes_below(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [descendant for child in children for descendant in (int(child), *processes_below(int(child)))]


def test_a_process_that_dies_is_started_again(home):
    wait_for(lambda: available(home) == [5] and available(home, "b") == [7])
    spawner, *workers = processes_below(home.server.process.pid)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    restart = "the process of model a version 5 was killed by signal 9; it is started again"
    wait_for(lambda: restart in home.logged())
    wait_for(lambda: available(home) == [5])
    assert served(home) == 1.0
    # So is the one that starts the others; what serves goes on without it.
    os.kill(spawner, signal.SIGKILL)
    assert served(home) == 1.0
    home.publish("a", 8, ("recs", 2))
    wait_for(lambda: available(home) == [8])
    assert served(home) == 2.0


def test_nothing_is_left_when_the_server_is_killed(models, tmp_path):
    flags = ["--model-name", "recs", "--model-base-path", str(models / "recs"), "--port", "0"]
    with (tmp_path / "log").open("w") as stderr, launcher.running(flags, timeout=600, stderr=stderr) as server:
        left = processes_below(server.process.pid)
        assert len(left) == 2
        server.process.kill()
        server.process.wait()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() and alive(pid) for pid in left))


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False
