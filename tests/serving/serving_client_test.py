"""The light client against the embedded server, and against servers that misbehave."""

import asyncio
import subprocess
import sys
import threading
import time
from concurrent import futures

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2

from serving import histories
from serving.client import AsyncClient, Client, Recommendations, ServingError
from tests.serving.tiny_models import ITEMS, LOWEST, MAX_K


def test_recommend_one_user(client):
    users = client.recommend("recs", ["item0", "item2"], k=3)
    assert users == Recommendations(["item1", "item3", "item4"], [1.0, -1.0, -2.0], fallback=False)
    assert client.recommend("recs", ["item0"], version=1, k=1).scores == [0.0]
    assert client.recommend("recs", ["item0"], label="stable", k=1).scores == [0.0]
    assert client.recommend("recs", ["item0"], signature="recommend").item_ids[0] == "item1"


def test_recommend_many_users(client):
    users = client.recommend("recs", [["item0"], [], ["nobody knows"], ITEMS[:15]], k=100)
    assert [user.fallback for user in users] == [False, True, True, False]
    assert [len(user.item_ids) for user in users] == [MAX_K, MAX_K, MAX_K, 5]
    assert users[3].item_ids == ITEMS[15:]
    assert min(users[3].scores) > LOWEST
    assert client.recommend("recs", [], k=2).item_ids == ["item0", "item1"]


def test_filters(client):
    assert client.recommend("recs", ["item0"], k=2, exclude=["item1"]).item_ids == ["item2", "item3"]
    assert client.recommend("recs", ["item0"], k=2, exclude_seen=False).item_ids == ["item0", "item1"]
    users = client.recommend("recs", [["item0"], []], k=9, allow=[["item0", "item4"], []], exclude=["item1"])
    assert users[0].item_ids == ["item4"]
    assert users[1].item_ids[:2] == ["item0", "item2"]
    with pytest.raises(ValueError, match="2 histories have 1 lists in allow"):
        client.recommend("recs", [["item0"], []], allow=[["item1"]])


def test_score(client):
    scores = client.score("recs", ["a", "b"], ["x", "xyz"])
    assert scores.tolist() == [3.0, 5.0]
    first, second = client.score("recs", [["a"], ["a", "b"]], [["x", "xyz"], ["xx"]])
    assert (first.tolist(), second.tolist()) == ([2.0, 4.0], [4.0])
    with pytest.raises(ValueError, match="2 histories have 1 lists"):
        client.score("recs", [["a"], ["b"]], [["x"]])


def test_predict(client):
    outputs = client.predict("kinds", {"x": [1, 2]}, signature="ints")
    assert outputs["y"].tolist() == [2, 4]
    assert outputs["total"].item() == 3
    only = client.predict("kinds", {"x": np.array([], np.int64)}, signature="ints", output_filter=["y"])
    assert list(only) == ["y"]
    assert only["y"].shape == (0,)
    answer = client.ask("kinds", {"x": [1]}, signature="ints")
    assert (answer.model, answer.version, answer.signature) == ("kinds", 7, "ints")
    with pytest.raises(ValueError, match="not both"):
        client.predict("recs", {}, version=1, label="x")


def test_the_asyncio_client_gives_the_same(server, client):
    async def ask():
        async with AsyncClient(server.address, timeout=120) as other:
            assert await other.recommend("recs", ["item0"], k=3) == client.recommend("recs", ["item0"], k=3)
            many = await asyncio.gather(*(other.recommend("recs", [item], k=2) for item in ITEMS))
            assert many == client.recommend("recs", [[item] for item in ITEMS], k=2)
            assert (await other.score("recs", ["a"], ["x", "xyz"])).tolist() == [2.0, 4.0]
            assert (await other.predict("kinds", {"x": [1]}, signature="ints"))["y"].tolist() == [2]
            assert await other.status("recs") == client.status("recs")
            assert await other.metadata("recs") == client.metadata("recs")
            with pytest.raises(ServingError, match=r"NOT_FOUND.*list model 'm'"):
                await other.recommend("m", ["item0"])
            with pytest.raises(ServingError, match="DEADLINE_EXCEEDED"):
                await other.predict("kinds", {"steps": np.array(10**6, np.int32)}, signature="slow", timeout=0.1)
        with pytest.raises(ServingError, match="closed"):
            await other.status("recs")

    asyncio.run(ask())


def test_status_and_metadata(client):
    assert client.status("recs") == {2: "AVAILABLE", 1: "AVAILABLE"}
    assert client.status("recs", version=1) == {1: "AVAILABLE"}
    signature = client.metadata("recs")["score"]
    assert signature["inputs"] == {"candidates": ("string", (-1, -1)), "history": ("string", (-1, -1))}
    assert signature["outputs"]["scores"][0] == "float"


def test_errors_say_what_to_do(client):
    def error(*arguments, **options):
        with pytest.raises(ServingError) as caught:
            client.predict(*arguments, **options)
        return caught.value

    unknown = error("m", {})
    assert (unknown.code, unknown.details) == ("NOT_FOUND", "Servable not found for request: Latest(m)")
    assert client.address in unknown.advice
    assert error("recs", {}, signature="x").code == "FAILED_PRECONDITION"
    assert "Client.metadata('recs')" in str(error("recs", {}, signature="x"))
    assert error("kinds", {"x": [1.5]}, signature="ints").details == "Expects arg[0] to be int64 but float is provided"
    with pytest.raises(ServingError, match="answers vectors and not item_ids and scores"):
        client.recommend("recs", ["a"], signature="encode")


def test_histories_are_padded_to_buckets():
    assert [histories.bucket(length) for length in (0, 1, 7, 8, 15, 16, 200)] == [8, 8, 8, 16, 16, 32, 256]
    padded = histories.pad_left([["a", "b"], ["c"] * 8])
    assert padded.shape == (2, 16)
    assert padded[0].tolist() == [""] * 14 + ["a", "b"]
    assert all(row[0] == "" for row in padded)
    assert histories.pad_left([[]]).tolist() == [[""] * 8]
    assert histories.pad_left([(b"a",)])[0, -1] == "a"


@pytest.mark.parametrize(
    ("history", "error"),
    [("a,b", TypeError), ([1, 2], TypeError), (["a", None], TypeError), (["a", ""], ValueError), ({"a"}, TypeError)],
)
def test_histories_that_are_none(history, error):
    with pytest.raises(error):
        histories.pad_left([history])


def test_k_must_be_positive(client):
    with pytest.raises(ValueError, match="k is 0"):
        client.recommend("recs", ["a"], k=0)


def test_no_server():
    began = time.monotonic()
    with Client("127.0.0.1:1", timeout=120) as client, pytest.raises(ServingError) as caught:
        client.status("recs")
    assert caught.value.code == "UNAVAILABLE"
    assert "is `tfrec serve` running at 127.0.0.1:1?" in str(caught.value)
    assert time.monotonic() - began < 60, "it does not wait for the deadline"
    with pytest.raises(ServingError, match="closed"):
        client.status("recs")


class Flaky(grpc.GenericRpcHandler):
    """Answers UNAVAILABLE or another code a few times, then waits and answers."""

    def __init__(self, failures, code=grpc.StatusCode.UNAVAILABLE, seconds=0.0):
        self.calls, self.failures, self.code, self.seconds = 0, failures, code, seconds
        self.released = threading.Event()

    def service(self, _details):
        def handle(_data, context):
            self.calls += 1
            if self.calls <= self.failures:
                context.abort(self.code, "batch queue is full")
            self.released.wait(self.seconds)
            return predict_pb2.PredictResponse().SerializeToString()

        return grpc.unary_unary_rpc_method_handler(handle)


@pytest.fixture
def serve_flaky():
    servers = []

    def serve(handler):
        server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers([handler])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append((server, handler))
        return Client(f"127.0.0.1:{port}", timeout=120)

    yield serve
    for server, handler in servers:
        handler.released.set()
        server.stop(0).wait(60)


def test_unavailable_is_tried_again(serve_flaky):
    handler = Flaky(failures=2)
    with serve_flaky(handler) as client:
        assert client.predict("m", {}) == {}
    assert handler.calls == 3


def test_tries_are_bounded(serve_flaky):
    handler = Flaky(failures=100)
    with serve_flaky(handler) as client, pytest.raises(ServingError) as caught:
        client.predict("m", {})
    assert (caught.value.code, caught.value.details) == ("UNAVAILABLE", "batch queue is full")
    assert "try again" in caught.value.advice
    assert handler.calls == 4


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNKNOWN]
)
def test_nothing_else_is_tried_again(serve_flaky, code):
    handler = Flaky(failures=1, code=code)
    with serve_flaky(handler) as client, pytest.raises(ServingError, match=code.name):
        client.predict("m", {})
    assert handler.calls == 1


def test_servers_behind_one_name_share_the_requests(serve_flaky):
    handlers = Flaky(failures=0), Flaky(failures=0)
    addresses = [serve_flaky(handler).address for handler in handlers]
    with Client(f"ipv4:{','.join(addresses)}", timeout=120) as client:
        deadline = time.monotonic() + 120
        while not all(handler.calls for handler in handlers) and time.monotonic() < deadline:
            client.predict("m", {})
            time.sleep(0.01)  # the second connection is on its way
    assert all(handler.calls for handler in handlers)


def test_the_deadline_holds(serve_flaky):
    with serve_flaky(Flaky(failures=0, seconds=600.0)) as client:
        began = time.monotonic()
        with pytest.raises(ServingError, match=r"DEADLINE_EXCEEDED: no answer from .* within 0.2 s"):
            client.predict("m", {}, timeout=0.2)
        assert time.monotonic() - began < 120, "it does not wait for the answer"


@pytest.mark.parametrize("module", ["serving.client", "serving.query", "serving.launcher"])
def test_the_client_starts_fast_and_without_tensorflow(module):
    """In seconds of the processor, beside what a gRPC client cannot do without: a slow machine is slow at both."""
    heavy = {"tensorflow", "tensorflow_serving", "tfrec_zoo", "keras", "rich", "beam_jobs"}

    def seconds(modules):
        code = (
            f"import time; began = time.process_time(); import {modules}; took = time.process_time() - began; "
            f"import sys; heavy = {heavy} & set(sys.modules); assert not heavy, heavy; print(took)"
        )
        return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=300).stdout)

    took = [(seconds(module), seconds("grpc, numpy, google.protobuf.message")) for _ in range(3)]
    ours, needed = map(min, zip(*took, strict=True))
    assert ours < 3 * needed, took
