"""A server with everything switched on: batching, TLS with client certificates, warm-up, its own path of metrics."""

import concurrent.futures
import http.client
import shutil
import subprocess

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2, prediction_service_pb2_grpc

from serving import launcher
from serving.client import Client, ServingError
from serving.server import servable, warmup
from serving.server.errors import StartupError
from tests.serving.conformance_rows import CLASSIFY, classification_pb2, example, multi, over_examples, predict
from tests.serving.tiny_models import ITEMS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority with a server's and a client's certificate: name -> (key, certificate) as PEM."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl(*new, "-x509", "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    for name in ("server", "client"):
        openssl(*new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
        openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem")
    return {
        name: tuple((folder / f"{name}.{kind}").read_bytes() for kind in ("key", "pem"))
        for name in ("ca", "server", "client")
    }


def write_warmup(version, *logs):
    (version / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(version / warmup.FILE)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())


def logged(**fields):
    log = prediction_log_pb2.PredictionLog()
    for name, request in fields.items():
        getattr(log, name).request.CopyFrom(request)
    return log


@pytest.fixture(scope="module")
def secured(models, certificates, tmp_path_factory):
    folder = tmp_path_factory.mktemp("secured")
    shutil.copytree(models / "recs" / "1", folder / "recs" / "1")
    write_warmup(folder / "recs" / "1", logged(predict_log=predict(history=[["", "item1"]])))
    text = "".join(
        f"{field}: {value.decode()!r}\n".replace("'", '"')
        for field, value in (
            ("server_key", certificates["server"][0]),
            ("server_cert", certificates["server"][1]),
            ("custom_ca", certificates["ca"][1]),
        )
    )
    (folder / "ssl.config").write_text(text + "client_verify: true")
    (folder / "monitoring.config").write_text('prometheus_config { enable: true path: "/metrics" }')
    (folder / "batching.txt").write_text(
        "max_batch_size { value: 8 } num_batch_threads { value: 2 } max_enqueued_batches { value: 100 } "
        "allowed_batch_sizes: [2, 8] pad_variable_length_inputs: true"
    )
    flags = ["--model-name", "recs", "--model-base-path", str(folder / "recs"), "--port", "0"]
    for flag, file in (("ssl", "ssl.config"), ("monitoring", "monitoring.config")):
        flags += [f"--{flag}-config", str(folder / file)]
    flags += ["--batching-parameters", str(folder / "batching.txt")]
    with launcher.running(flags, timeout=600) as server:
        yield server


def test_tls_with_client_certificates(secured, certificates):
    key, certificate = certificates["client"]
    credentials = grpc.ssl_channel_credentials(certificates["ca"][1], key, certificate)
    with grpc.secure_channel(secured.address, credentials) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        assert stub.Predict(predict(history=[["item0"]]), timeout=120).outputs["item_ids"].string_val[0] == b"item1"
    with Client(secured.address, tls=credentials) as client:
        assert client.recommend("recs", ["item0"], k=1).item_ids == ["item1"]
    for stranger in (None, grpc.ssl_channel_credentials(certificates["ca"][1])):
        with Client(secured.address, timeout=3, tls=stranger) as client, pytest.raises(ServingError):
            client.recommend("recs", ["item0"])


def test_batched_answers_are_those_of_each_request_alone(secured, certificates, client):
    """`client` asks a server without batching."""
    rng = np.random.default_rng(3)
    histories = [list(rng.choice(ITEMS, rng.integers(0, 12), replace=False)) for _ in range(120)]
    histories += [[[*histories[0]], [*histories[1]], ["item1"]]]
    key, certificate = certificates["client"]
    credentials = grpc.ssl_channel_credentials(certificates["ca"][1], key, certificate)
    with Client(secured.address, tls=credentials) as batched, concurrent.futures.ThreadPoolExecutor(24) as pool:
        together = list(pool.map(lambda history: batched.recommend("recs", history, k=12), histories))
    alone = [client.recommend("recs", history, k=12, version=1) for history in histories]
    for one, other in zip(together[:-1], alone[:-1], strict=True):
        assert one.item_ids == other.item_ids
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
    assert together[-1] == alone[-1]


def test_metrics_at_the_path_of_the_file(secured):
    connection = http.client.HTTPConnection(secured.rest_address, timeout=120)
    connection.request("GET", "/monitoring/prometheus/metrics")
    response = connection.getresponse()
    response.read()
    assert response.status == 404
    connection.request("GET", "/metrics")
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    count = ':tensorflow:serving:batching_session:queuing_latency_count{model_name="recs"} '
    assert int(text.partition(count)[2].partition("\n")[0]) >= 120
    bounds = [
        line.partition('le="')[2].partition('"')[0] for line in text.splitlines() if "runtime_latency_bucket" in line
    ]
    assert bounds[:3] == ["10", "18", "32.4"]
    assert len(bounds) == 34


def test_warm_up_replays_every_kind_of_request(models, tmp_path):
    shutil.copytree(models / "points" / "3", tmp_path / "3")
    loaded = servable.load("points", 3, tmp_path / "3")
    assert warmup.warm_up(loaded, tmp_path / "3", gently=False) == 0
    classify = over_examples(classification_pb2.ClassificationRequest, "classify", example(x=1))
    write_warmup(
        tmp_path / "3",
        logged(predict_log=predict("points", "predict", x=[1.0])),
        logged(classify_log=classify),
        logged(multi_inference_log=multi(("classify", CLASSIFY))),
    )
    assert warmup.warm_up(loaded, tmp_path / "3", gently=True) == 3


@pytest.mark.parametrize(
    ("logs", "message"),
    [
        ([logged(predict_log=predict("points", "x"))], 'record 1 of .* fails: Serving signature key "x" not found.'),
        ([prediction_log_pb2.PredictionLog()], "record 1 of .* without a request"),
        ([logged(predict_log=predict("points", "predict", x=[1.0]))] * 1001, "more than 1000 records"),
    ],
)
def test_a_warm_up_that_fails_refuses_the_version(models, tmp_path, logs, message):
    shutil.copytree(models / "points" / "3", tmp_path / "3")
    write_warmup(tmp_path / "3", *logs)
    with pytest.raises(StartupError, match=message):
        warmup.warm_up(servable.load("points", 3, tmp_path / "3"), tmp_path / "3", gently=False)


def test_a_damaged_warm_up_file_refuses_the_version(models, tmp_path):
    shutil.copytree(models / "points" / "3", tmp_path / "3")
    write_warmup(tmp_path / "3", logged(predict_log=predict("points", "predict", x=[1.0])))
    file = tmp_path / "3" / warmup.FILE
    file.write_bytes(file.read_bytes()[:-2])
    with pytest.raises(StartupError, match="is damaged"):
        warmup.warm_up(servable.load("points", 3, tmp_path / "3"), tmp_path / "3", gently=False)
