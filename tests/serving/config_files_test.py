"""The files beside models.config: what is read, and the one line that says what is wrong."""

from pathlib import Path

import pytest

from serving.server import config_files
from serving.server.config_files import Batching
from serving.server.errors import StartupError

CONFIG = Path(__file__).parents[2] / "serving" / "config"


def test_batching_parameters():
    assert config_files.batching("num_batch_threads { value: 3 }") == Batching(threads=3)
    text = """
        max_batch_size { value: 32 } batch_timeout_micros { value: 500 } max_enqueued_batches { value: 4 }
        num_batch_threads { value: 2 } thread_pool_name { value: "pool" } allowed_batch_sizes: 8
        allowed_batch_sizes: 32 pad_variable_length_inputs: true enable_large_batch_splitting { value: true }
    """
    assert config_files.batching(text) == Batching(32, 0.0005, 4, 2, (8, 32), pad=True, split=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_batch_size: 3", "not a text BatchingParameters"),
        ("max_batch_size { value: 0 }", "max_batch_size is 0; it must be at least 1"),
        ("num_batch_threads { value: -1 }", "num_batch_threads is -1"),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: 4",
            "must equal max_batch_size; last entry was 4; expected 8",
        ),
        ("max_batch_size { value: 8 } allowed_batch_sizes: [8, 8]", "in increasing order"),
    ],
)
def test_bad_batching_parameters(text, message):
    with pytest.raises(StartupError, match="^b.txt: ") as caught:
        config_files.batching(text, "b.txt")
    assert message in str(caught.value)


def test_monitoring():
    assert config_files.monitoring("prometheus_config { enable: true }") == "/monitoring/prometheus/metrics"
    assert config_files.monitoring('prometheus_config { enable: true path: "/m" }') == "/m"
    assert config_files.monitoring("") is None
    for text, message in (("promotheus {}", "not a text Monitoring"), ('prometheus_config { path: "m" }', "slash")):
        with pytest.raises(StartupError, match=message):
            config_files.monitoring(text)


def test_tls():
    pem = "-----BEGIN X-----"
    read = config_files.tls(f'server_key: "{pem}" server_cert: "{pem}" custom_ca: "{pem}" client_verify: true')
    assert (read.key, read.client_ca, read.verify_client) == (pem.encode(), pem.encode(), True)
    assert config_files.tls(f'server_key: "{pem}" server_cert: "{pem}"').client_ca is None
    for text, message in (
        ("", "server_key must hold the PEM text itself"),
        (f'server_key: "{pem}" server_cert: "cert.pem"', "server_cert must hold the PEM text itself"),
        (f'server_key: "{pem}" server_cert: "{pem}" client_verify: true', "client_verify needs custom_ca"),
    ):
        with pytest.raises(StartupError, match=message):
            config_files.tls(text)


def test_the_example_files_are_valid():
    batching = config_files.batching((CONFIG / "batching_parameters.txt").read_text())
    assert batching.max_batch_size == batching.allowed_sizes[-1]
    assert config_files.monitoring((CONFIG / "monitoring.config").read_text()) == "/monitoring/prometheus/metrics"
