"""What a server on a network meets: bytes that are no requests, clients that dawdle, vanish or ask for too much."""

import concurrent.futures
import http.client
import json
import random
import socket

import grpc
import numpy as np
import pytest

from serving import wire
from serving.client import ServingError
from tests.serving.tiny_models import ITEMS, MAX_K

CODES = grpc.StatusCode


@pytest.fixture(autouse=True)
def _the_server_lives_on(client, rest):
    yield
    assert client.recommend("recs", ["item0"], k=1).item_ids == ["item1"]
    status, document = rest("POST", "/v1/models/recs:predict", {"instances": [["item0"]]})
    assert (status, document["predictions"][0]["item_ids"][0]) == (200, "item1")


def split(address):
    host, _, port = address.rpartition(":")
    return host, int(port)


def converse(address, data, timeout=60.0):
    """Sends bytes and returns what comes back until the server hangs up or says nothing more."""
    with socket.create_connection(split(address), timeout=timeout) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except (ConnectionError, TimeoutError):
            pass
        return received


def valid_http(body=b'{"instances": [["item0"]]}'):
    head = f"POST /v1/models/recs:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def test_random_and_truncated_bytes_on_the_rest_port(server):
    rng = random.Random(5)
    whole = valid_http()
    payloads = [rng.randbytes(rng.randint(1, 400)) for _ in range(40)]
    payloads += [whole[: rng.randint(1, len(whole) - 1)] for _ in range(40)]
    for _ in range(60):
        flipped = bytearray(whole)
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        payloads.append(bytes(flipped))
    payloads += [b"GET " + b"/" * 100_000, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 30_000 + b"\r\n"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda payload: converse(server.rest_address, payload), payloads))
    statuses = {answer.split(b" ", 2)[1] for answer in answers if answer}
    assert statuses <= {b"200", b"400", b"404", b"405", b"408", b"412", b"413"}, statuses
    assert b"400" in statuses
    for answer in answers:
        head, _, body = answer.partition(b"\r\n\r\n")
        if head and b"200 OK" not in head and body:
            assert b'"error": ' in body


def test_random_bytes_on_the_grpc_port(server):
    rng = random.Random(6)
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    payloads = [rng.randbytes(rng.randint(1, 400)) for _ in range(20)]
    payloads += [preface + rng.randbytes(rng.randint(1, 400)) for _ in range(20)] + [valid_http(), preface]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda payload: converse(server.address, payload, timeout=1.0), payloads))


@pytest.mark.parametrize("method", ["Classify", "Regress", "MultiInference", "GetModelMetadata"])
def test_random_bytes_as_messages(channel, method):
    rng = random.Random(7)
    raw = channel.unary_unary(f"/tensorflow.serving.PredictionService/{method}")
    for _ in range(60):
        code = raw.future(rng.randbytes(rng.randint(0, 200)), timeout=120).code()
        assert code in (CODES.INVALID_ARGUMENT, CODES.NOT_FOUND), code
    reload = channel.unary_unary("/tensorflow.serving.ModelService/HandleReloadConfigRequest")
    assert reload.future(rng.randbytes(50), timeout=120).code() == CODES.INVALID_ARGUMENT


def test_a_request_of_100_mb_is_answered(client, rest):
    large = np.arange(100 * (1 << 20) // 8 // 100, dtype=np.int64)
    wide = np.full((1, 64), b"x" * (100 * (1 << 20) // 64), dtype=object)  # 64 item ids, 100 MiB together
    outputs = client.predict("recs", {"history": wide}, output_filter=["fallback"])
    assert outputs["fallback"].tolist() == [True]
    body = json.dumps({"signature_name": "ints", "inputs": large.tolist()}).encode()
    status, document = rest("POST", "/v1/models/kinds:predict", body)
    assert (status, document["outputs"]["total"]) == (200, int(large.sum()))


def test_more_than_the_server_takes(server, client, rest):
    shape = {"dim": [{"size": 1 << 40}]}
    request = wire.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "kinds", "ints"
    request.inputs["x"].MergeFrom(wire.TensorProto(dtype=9, tensor_shape=shape, int64_val=[1]))
    with grpc.insecure_channel(server.address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/tensorflow.serving.PredictionService/Predict")(request.SerializeToString(), timeout=120)
    assert (caught.value.code(), caught.value.details()) == (CODES.INVALID_ARGUMENT, "tensor parsing error: x")
    rows = np.zeros((1 << 20) + 1, np.int64)
    with pytest.raises(ServingError, match="has 1048577 rows; this server takes at most 1048576"):
        client.predict("kinds", {"x": rows}, signature="ints")
    # A body that is announced larger than the limit is refused before it is sent.
    head = f"POST /v1/models/recs:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 40}\r\n\r\n"
    assert converse(server.rest_address, head.encode()).startswith(b"HTTP/1.1 413")


def test_slow_and_half_open_clients_do_not_hold_up_others(server, client, rest):
    connections = [socket.create_connection(split(server.rest_address)) for _ in range(50)]
    connections += [socket.create_connection(split(server.address)) for _ in range(50)]
    try:
        for number, connection in enumerate(connections):
            connection.sendall(valid_http()[: number + 1])
        # These two wait for 120 s, and the server for the others for 300 s.
        assert client.recommend("recs", ["item0"], k=1).item_ids == ["item1"]
        assert rest("GET", "/v1/models/recs")[0] == 200
        connections[0].sendall(valid_http()[1:])  # the slowest of all is answered too
        assert connections[0].recv(100).startswith(b"HTTP/1.1 200 OK")
    finally:
        for connection in connections:
            connection.close()


def test_a_connection_answers_many_requests_and_chunked_ones(server):
    connection = http.client.HTTPConnection(server.rest_address, timeout=120)
    for _ in range(3):
        connection.request("POST", "/v1/models/recs:predict", iter([b'{"instances": ', b'[["item0"]]}']))
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["predictions"][0]["item_ids"][0]) == (200, "item1")
    connection.request("HEAD", "/v1/models/recs")
    assert connection.getresponse().status == 400
    connection.close()


@pytest.mark.parametrize("name", ["../recs", "..", "recs/1", "/etc", "%2e%2e%2frecs", "recs\x00", "x" * 100_000])
def test_names_are_never_paths(client, rest, name):
    with pytest.raises(ServingError, match="NOT_FOUND: Servable not found for request: Latest"):
        client.predict(name, {})
    status, document = rest("GET", f"/v1/models/{name[:1000].replace(chr(0), '%00')}")
    assert status in (400, 404)
    assert "error" in document


def test_nan_and_infinity_go_through(client, rest):
    values = [float("nan"), float("inf"), float("-inf"), 1e-30]
    y = client.predict("points", {"x": np.array(values, np.float32)}, signature="predict")["y"]
    np.testing.assert_array_equal(y, 2 * np.array(values, np.float32))
    _, document = rest("POST", "/v1/models/points:predict", {"signature_name": "predict", "inputs": values})
    np.testing.assert_array_equal(np.array(document["outputs"]["y"], np.float32), y)
    _, document = rest(
        "POST", "/v1/models/points:regress", {"signature_name": "regress", "examples": [{"x": values[0]}]}
    )
    assert np.isnan(document["results"][0])


BODIES = {
    "[" * 100_000: "JSON Parse error",
    "[1]": "Is not object",
    '{"instances": 3}': "Excepting 'instances' to be an list/array",
    '{"instances": []}': "No values in 'instances' array",
    '{"instances": [["a"]], "inputs": [["a"]]}': "expecting only one of",
    '{"instances": [["a"], ["a", "b"]]}': "Expecting tensor size: 1 but got: 2",
    '{"instances": [{"histories": ["a"]}]}': "does not have named input: histories",
    '{"instances": [["\\ud800"]]}': "is not valid Unicode",
    '{"instances": [[{"b64": "?"}]]}': "Unable to base64 decode",
    '{"instances": [[{"b64": 1}]]}': "not formatted correctly for base64 data",
    '{"instances": [[1]]}': "is not of expected type: string",
    '{"instances": [[null]]}': "Type: Null is not of expected type: string",
    '{"instances": [["a"]], "signature_name": 3}': "'signature_name' key must be a string value",
    '{"instances": ["a"]}': "input history has shape (1,), but the signature has (?, ?)",
    '{"signature_name": "score", "instances": [["a"]]}': "instances is a plain list, but expecting list of objects",
    '{"instances": [["a"]]': "JSON Parse error",
    '{"signature_name": "ints", "inputs": [9223372036854775808]}': "is not of expected type: int64",
    '{"signature_name": "two", "inputs": {"a": [1], "b": [1e39]}}': "to float without loss of precision",
    '{"signature_name": "two", "inputs": {"a": [true], "b": [1]}}': "Type: True is not of expected type: int64",
}


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body[:40])
def test_bodies_that_are_no_requests(rest, body):
    model = "kinds" if '"ints"' in body or '"two"' in body else "recs"
    status, document = rest("POST", f"/v1/models/{model}:predict", body.encode())
    assert status == 400
    assert BODIES[body] in document["error"]


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([3], "Example must be JSON object but got JSON Number"),
        ([{"x": None}], "Feature: x has element with unexpected JSON type: Null"),
        ([{"x": [1.5, "a"]}], "Unexpected element type in feature: x expecting type: bytes"),
        ([{"x": 1 << 64}], "Only int64 is supported"),
        ("x", "Expecting 'examples' value to be an list/array"),
        ([{"x": "text"}], "Name: <unknown>, Key: x, Index: 0."),
    ],
)
def test_examples_that_are_none(rest, examples, message):
    body = {"signature_name": "classify", "examples": examples}
    status, document = rest("POST", "/v1/models/points:classify", body)
    assert status == 400
    assert message in document["error"]


def test_a_bad_request_in_a_crowd_hurts_nobody(client, rest):
    def one(number):
        if number % 3:
            return client.recommend("recs", [ITEMS[number % 20]], k=MAX_K).item_ids[0] == ITEMS[number % 20 == 0]
        return rest("POST", "/v1/models/recs:predict", b"{")[0] == 400

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(120)))


def test_the_metrics_count_what_was_asked(server, client, rest):
    def counted(status):
        connection = http.client.HTTPConnection(server.rest_address, timeout=120)
        connection.request("GET", "/monitoring/prometheus/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        wanted = f':tensorflow:serving:request_count{{model_name="kinds",status="{status}"}} '
        assert any(line.startswith("# TYPE :tensorflow:serving:request_latency histogram") for line in lines)
        return next((int(line.removeprefix(wanted)) for line in lines if line.startswith(wanted)), 0)

    before = counted("OK"), counted("INVALID_ARGUMENT")
    for _ in range(5):
        client.predict("kinds", {"x": [1]}, signature="ints")
        rest("POST", "/v1/models/kinds:predict", {"signature_name": "ints", "inputs": [1]})
        with pytest.raises(ServingError):
            client.predict("kinds", {"x": [1.5]}, signature="ints")
    assert (counted("OK"), counted("INVALID_ARGUMENT")) == (before[0] + 10, before[1] + 5)
