"""Starting and stopping the server: its configuration, its one clear line, its exit status."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving import launcher
from serving.server import lifecycle, model_config, versions
from serving.server.errors import StartupError
from serving.server.model_config import ModelSettings, VersionPolicy
from tests.serving.server_predict_test import request_of
from tests.serving.server_service_test import status as status_of
from tests.serving.server_versions_test import alive, processes_below, wait_for

REPOSITORY = Path(__file__).parents[2]


def entry(text='name: "m" base_path: "/m" model_platform: "tensorflow"'):
    return f"config {{ {text} }}"


def config(*entries):
    return f"model_config_list {{ {' '.join(entries)} }}"


def test_a_full_model_config():
    first, second, third = model_config.parse(
        """
        # a comment
        model_config_list: {
          config: { name: "a", base_path: "/models/a", model_platform: "tensorflow" },
          config: { name: "b" base_path: "/models/b/" model_platform: "tensorflow"
            model_version_policy: { latest: { num_versions: 2 } } version_labels: { key: "stable", value: 3 } }
          config: { name: "c" base_path: "/c" model_type: TENSORFLOW
            model_version_policy { specific { versions: 1 versions: 9 } } }
        }
        """
    )
    assert first == ModelSettings("a", Path("/models/a"))
    assert second == ModelSettings("b", Path("/models/b"), VersionPolicy("latest", count=2), {"stable": 3})
    assert third.policy == VersionPolicy("specific", versions=frozenset({1, 9}))


BAD_CONFIGS = {
    "syntax": ("model_config_list {", "not a text ModelServerConfig"),
    "unknown field": (config(entry('name: "m" basepath: "/m"')), 'no field named "basepath"'),
    "wrong type": (config(entry("name: 3")), "not a text ModelServerConfig"),
    "binary": ("\x00\x01", "not a text ModelServerConfig"),
    "empty": ("", "no model is listed"),
    "custom": ("custom_model_config { }", "custom_model_config is not supported"),
    "relative": (
        config(entry('name: "m" base_path: "models/m" model_platform: "tensorflow"')),
        "Expected model m to have an absolute path or URI; got base_path()=models/m",
    ),
    "no base_path": (config(entry('name: "m" model_platform: "tensorflow"')), "Expected model m to have an absolute"),
    "no name": (config(entry('base_path: "/m" model_platform: "tensorflow"')), "a model has no name"),
    "slash": (config(entry('name: "../m" base_path: "/m" model_platform: "tensorflow"')), "'../m' may not hold"),
    "twice": (config(entry(), entry()), "Illegal to list model m multiple times in config list"),
    "no platform": (config(entry('name: "m" base_path: "/m"')), 'write model_platform: "tensorflow"'),
    "platform": (config(entry('name: "m" base_path: "/m" model_platform: "torch"')), "has model_platform 'torch'"),
    "no versions": (
        config(
            entry(
                'name: "m" base_path: "/m" model_platform: "tensorflow" model_version_policy { specific { } }',
            )
        ),
        "names no versions",
    ),
}


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_a_bad_model_config_is_one_clear_line(case):
    text, message = BAD_CONFIGS[case]
    with pytest.raises(StartupError) as caught:
        model_config.parse(text, "x.config")
    assert str(caught.value).startswith("x.config: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_example_config_is_valid():
    (model,) = model_config.read(REPOSITORY / "serving" / "config" / "models.config")
    assert (model.name, model.base_path) == ("bert4rec", Path("/models/bert4rec"))


def test_version_directories(tmp_path):
    for name in ("1", "3", "010", ".4.tmp", "0", "-5", "5a", "\u0667", "1e3", "99999999999999999999"):
        (tmp_path / name).mkdir()
    (tmp_path / "8").write_text("a file")
    assert versions.on_disk(tmp_path) == {1: tmp_path / "1", 3: tmp_path / "3", 10: tmp_path / "010"}

    def serve(policy, **labels):
        return list(versions.to_serve(ModelSettings("m", tmp_path, policy, labels)))

    assert serve(VersionPolicy()) == [10]
    assert serve(VersionPolicy("latest", count=2)) == [3, 10]
    assert serve(VersionPolicy("latest", count=9)) == [1, 3, 10]
    assert serve(VersionPolicy("all"), stable=1) == [1, 3, 10]
    assert serve(VersionPolicy("specific", versions=frozenset({3, 4}))) == [3]
    with pytest.raises(StartupError, match=r"label 'stable' of model m names version 1, which is not available"):
        serve(VersionPolicy(), stable=1)
    with pytest.raises(StartupError, match=r"No versions \[4\] of servable m found"):
        serve(VersionPolicy("specific", versions=frozenset({4})))


def start(*arguments, timeout=600):
    """Runs a server that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "serving.server", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def assert_one_line(result, message):
    assert result.returncode == 1, result.stderr
    assert message in result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stdout == ""


def test_mistakes_end_the_server_with_one_line(tmp_path):
    assert_one_line(start("--models", tmp_path / "none"), f"can't read {tmp_path}/none: No such file or directory")
    assert_one_line(start("--models", tmp_path), "can't read")
    broken = tmp_path / "models.config"
    broken.write_text("model_config_list {")
    assert_one_line(start("--models", broken, "--port", 0), "not a text ModelServerConfig")
    assert_one_line(start("--model-base-path", tmp_path / "none", "--port", 0), "Could not find base path")
    assert_one_line(start("--model-base-path", tmp_path, "--port", 0), "No versions of servable default found")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert_one_line(
            start("--model-base-path", tmp_path, "--port", port),
            f"can't listen on 127.0.0.1:{port}: Address already in use",
        )


def test_packages_that_are_missing_are_named_with_their_extra():
    lifecycle.check_packages()
    with pytest.raises(StartupError, match=r"^not_a_package not installed; .* 'tfrec-zoo\[serving\]'$"):
        lifecycle.check_packages(("h11", "not_a_package"))


def test_usage_errors_have_status_2(tmp_path):
    assert start().returncode == 2
    assert start("--model-base-path", tmp_path, "--models", tmp_path).returncode == 2
    assert start("--model-base-path", tmp_path, "--port", 70000).returncode == 2
    assert start("--model-base-path", tmp_path, "--prot", 1).returncode == 2


def test_options_are_read_without_tensorflow():
    code = (
        "import argparse, sys; from serving.server import options; p = argparse.ArgumentParser(); "
        "options.add_arguments(p); p.format_help(); assert not {'tensorflow', 'grpc', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_the_ready_line(server, server_log):
    lines = server_log.read_text().splitlines()
    assert lines[0].startswith(
        f"serving recs (versions 1, 2), kinds (version 7), points (version 3) on {server.address} (gRPC)"
        f" and http://{server.rest_address} (REST; a page at /ui), ready after "
    )


def test_a_taken_port_is_noticed(server, config):
    port = server.address.rpartition(":")[2]
    assert_one_line(start("--models", config, "--port", port), f"can't listen on {server.address}")


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("saved_model.pb", "Cannot parse file"),
        ("variables/variables.data-00000-of-00001", "Read less bytes than requested"),
    ],
)
def test_a_corrupt_version_ends_the_server_with_one_line(models, tmp_path, part, reason):
    shutil.copytree(models / "recs" / "2", tmp_path / "5")
    file = tmp_path / "5" / part
    file.write_bytes(file.read_bytes()[:-3])
    result = start("--model-base-path", tmp_path, "--model-name", "recs", "--port", 0)
    assert_one_line(result, f"model recs version 5 at {tmp_path}/5 can't be loaded: {reason}")


@contextlib.contextmanager
def halted(server):
    """The process that runs the model is stopped: a request stays under way for as long as the block lasts."""
    _, worker = processes_below(server.process.pid)
    os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


def ask_slowly(channel, name, steps):
    """Sends a request; the answer to a later one of the same connection says that the server has it."""
    status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus
    status(status_of(name=name), timeout=300, wait_for_ready=True)
    request = request_of(name, "slow", steps=np.array(steps, np.int32))
    under_way = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict.future(request, timeout=300)
    status(status_of(name=name), timeout=300)
    return under_way


def test_sigterm_drains(models, tmp_path):
    """A request under way is answered, a new one is refused, and the exit status is 0."""
    log = tmp_path / "log"
    arguments = ["--model-name", "kinds", "--model-base-path", os.path.relpath(models / "kinds"), "--port", "0"]
    arguments += ["--drain-seconds", "300"]

    def refused():
        # A channel of its own each time: an earlier one would go on with its connection.
        with grpc.insecure_channel(server.address) as late:
            status = model_service_pb2_grpc.ModelServiceStub(late).GetModelStatus
            try:
                status(status_of(name="kinds"), timeout=60)
            except grpc.RpcError as error:
                return error.code() == grpc.StatusCode.UNAVAILABLE
            return False

    with log.open("w") as stderr, launcher.running(arguments, timeout=600, stderr=stderr) as server:
        with grpc.insecure_channel(server.address) as channel:
            with halted(server):
                under_way = ask_slowly(channel, "kinds", steps=10)
                server.process.send_signal(signal.SIGTERM)
                wait_for(refused)
                assert not under_way.done()
            assert list(under_way.result().outputs) == ["x"]
        assert server.process.wait(300) == 0
    assert len(log.read_text().splitlines()) == 1, log.read_text()


def test_sigint_gives_up_after_the_drain_and_an_end_without_ready_is_an_error(models, tmp_path):
    with (tmp_path / "log").open("w") as stderr:
        with (
            pytest.raises(launcher.LaunchError, match="exit status 1"),
            launcher.running(["--models", "none"], stderr=stderr),
        ):
            pass
        arguments = ["--model-base-path", str(models / "kinds"), "--port", "0", "--drain-seconds", "0.2"]
        with (
            launcher.running(arguments, timeout=600, stderr=stderr) as server,
            grpc.insecure_channel(server.address) as channel,
        ):
            processes = processes_below(server.process.pid)
            # Outlasts the drain: it is given up, and doesn't hold up the end.
            slow = ask_slowly(channel, "default", steps=2**31 - 1)
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(120) == 0
            with pytest.raises(grpc.RpcError):
                slow.result()
            assert slow.code() != grpc.StatusCode.DEADLINE_EXCEEDED
            with grpc.insecure_channel(server.address) as another, pytest.raises(grpc.FutureTimeoutError):
                grpc.channel_ready_future(another).result(timeout=0.5)
        wait_for(lambda: not any(alive(pid) for pid in processes))
