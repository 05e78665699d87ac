"""A model of features behind the model server: Predict by names, Classify and Regress, gRPC and REST."""

import argparse
import json
import urllib.request
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import classification_pb2, prediction_service_pb2_grpc, regression_pb2

from serving import launcher, query
from serving.client import Client
from tests.export.conftest import USER, Exported
from tfrec_zoo.dataset_spec import DatasetSpec

CANDIDATES = ["i03", "i04", "nobody"]


@pytest.fixture(scope="module")
def server(exported: dict[str, Exported]) -> Iterator[launcher.Server]:
    base = exported["dssm"].path.parent
    flags = ["--model-name", "dssm", "--model-base-path", str(base), "--grpc-port", "0", "--rest-port", "0"]
    with launcher.running(flags, timeout=600) as server:
        yield server


@pytest.fixture(scope="module")
def records(rated: DatasetSpec) -> list[tf.train.Example]:
    dataset = tf.data.TFRecordDataset(rated.paths("interactions", "test")).take(5)
    return [tf.train.Example.FromString(each.numpy()) for each in dataset]


def rest(server: launcher.Server, verb: str, body: dict) -> dict:
    url = f"http://{server.rest_address}/v1/models/dssm:{verb}"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode())) as response:
        return json.load(response)


def test_predict(server: launcher.Server, exported: dict[str, Exported]) -> None:
    row = {**USER, "candidates": CANDIDATES}
    want = exported["dssm"].ask("pre_rank", **{name: [value] for name, value in row.items()})["scores"]
    with Client(server.address, timeout=120) as client:
        inputs = {name: np.array([value], np.float32 if name == "age" else None) for name, value in row.items()}
        inputs["user_mean_label"] = np.array([0.5], np.float32)
        np.testing.assert_allclose(client.predict("dssm", inputs, "pre_rank")["scores"], want, rtol=1e-5, atol=1e-6)
    answer = rest(server, "predict", {"signature_name": "pre_rank", "instances": [row]})
    np.testing.assert_allclose(answer["predictions"], want, rtol=1e-5, atol=1e-6)


def test_classify_and_regress(
    server: launcher.Server, exported: dict[str, Exported], records: list[tf.train.Example]
) -> None:
    serialized = [each.SerializeToString() for each in records]
    want = exported["dssm"].ask("regress", inputs=serialized)["outputs"]
    with grpc.insecure_channel(server.address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = classification_pb2.ClassificationRequest()
        request.model_spec.name, request.model_spec.signature_name = "dssm", "classify"
        request.input.example_list.examples.extend(records)
        classified = stub.Classify(request, timeout=120).result.classifications
        assert [[each.label for each in row.classes] for row in classified] == [["0", "1"]] * 5
        np.testing.assert_allclose([row.classes[1].score for row in classified], want, rtol=1e-5, atol=1e-6)
        request = regression_pb2.RegressionRequest()
        request.model_spec.name, request.model_spec.signature_name = "dssm", "regress"
        request.input.example_list.examples.extend(records)
        regressed = stub.Regress(request, timeout=120).result.regressions
        np.testing.assert_allclose([each.value for each in regressed], want, rtol=1e-5, atol=1e-6)
    examples = [{"user_id": 5, "age": 0.25, "item": 9}, {"user_id": 6, "age": -1.5, "item": 4}]
    answer = rest(server, "regress", {"signature_name": "regress", "examples": examples})
    parsed = [json_format.ParseDict(features(each), tf.train.Example()).SerializeToString() for each in examples]
    np.testing.assert_allclose(answer["results"], exported["dssm"].ask("regress", inputs=parsed)["outputs"], rtol=1e-5)


def features(values: dict) -> dict:
    """An Example in the JSON of its message."""
    kinds = {int: "int64List", float: "floatList"}
    return {"features": {"feature": {name: {kinds[type(each)]: {"value": [each]}} for name, each in values.items()}}}


def test_query(server: launcher.Server, capsys: pytest.CaptureFixture[str]) -> None:
    def ask(*arguments: str) -> dict:
        parser = argparse.ArgumentParser()
        query.add_arguments(parser)
        assert query.run(parser.parse_args(["dssm", *arguments, "--address", server.address, "--json", "-"])) == 0
        return json.loads(capsys.readouterr().out)

    answer = ask("--history", "i01,i02", "--input", "user=u5", "--input", "age=30", "-k", "3")
    assert len(answer["item_ids"]) == 3
    assert answer["fallback"] is False
    scores = ask("--signature", "pre_rank", "--input", "user=u5", "--input", "candidates=i03,nobody")["scores"]
    assert scores[0] > scores[1]
