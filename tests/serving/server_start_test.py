"""Starting and stopping the server: its configuration, its one clear line, its exit status."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent import futures
from pathlib import Path

import grpc
import numpy as np
import pytest

from serving import launcher
from serving.client import Client, ServingError
from serving.server import lifecycle, model_config, versions
from serving.server.errors import StartupError
from serving.server.model_config import ModelSettings, VersionPolicy

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


def start(*arguments, timeout=60):
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
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


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


def test_sigterm_drains(models, tmp_path):
    """A request under way is answered, a new one is refused, and the exit status is 0."""
    log = tmp_path / "log"
    arguments = ["--model-name", "kinds", "--model-base-path", os.path.relpath(models / "kinds"), "--port", "0"]
    with log.open("w") as stderr, launcher.running(arguments, timeout=180, stderr=stderr) as server:
        with Client(server.address, timeout=60) as client:
            client.predict("kinds", {"steps": np.array(10, np.int32)}, signature="slow")
            answers = []

            def ask():
                answers.append(client.predict("kinds", {"steps": np.array(100_000, np.int32)}, signature="slow"))

            thread = threading.Thread(target=ask)
            thread.start()
            time.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
            with Client(server.address, timeout=2) as late, pytest.raises(ServingError):
                late.status("kinds")
            thread.join(60)
        assert server.process.wait(60) == 0
    assert len(answers) == 1
    assert answers[0]["x"].shape == ()
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
            launcher.running(arguments, timeout=180, stderr=stderr) as server,
            Client(server.address, timeout=60) as client,
            futures.ThreadPoolExecutor(1) as pool,
        ):
            # Outlasts the drain: it is given up, and doesn't hold up the end.
            slow = pool.submit(client.predict, "default", {"steps": np.array(2_000_000, np.int32)}, signature="slow")
            time.sleep(0.3)
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(15) == 0
            assert isinstance(slow.exception(timeout=15), ServingError)
            with grpc.insecure_channel(server.address) as channel, pytest.raises(grpc.FutureTimeoutError):
                grpc.channel_ready_future(channel).result(timeout=0.5)
