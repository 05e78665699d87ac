"""The protocol as a table: each row a request, the answer that TensorFlow Serving gives, and the one seen here.

pytest -s tests/serving/conformance_test.py      prints the table
"""

import grpc
import numpy as np
import pytest
import tensorflow as tf

from tests.serving.conformance_rows import ROWS, TIMEOUT, V1, Faces, predict
from tests.serving.tiny_models import ITEMS


@pytest.fixture(scope="module")
def faces(channel, rest):
    return Faces(channel, rest)


@pytest.fixture(scope="module")
def table():
    seen = []
    yield seen
    print(f"\n{'':4} {'what':46} {'request':74} expected -> seen")
    for row, answer in seen:
        same = "ok" if answer == row.expected else "NO"
        told = "the same" if answer == row.expected else repr(answer)
        print(f"{same:4} {row.face + ' ' + row.about:46.46} {row.request:74.74} {row.expected!r:.160} -> {told}")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.face}-{row.about}".replace(" ", "_"))
def test_row(row, faces, table):
    seen = row.ask(faces)
    table.append((row, seen))
    assert seen == row.expected


def test_the_deadline_of_a_request_is_honoured(faces):
    request = predict("kinds", "slow", steps=np.array(600_000, np.int32))
    with pytest.raises(grpc.RpcError) as caught:
        faces.prediction.Predict(request, timeout=0.1)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_grpc_and_rest_answer_the_same(faces):
    histories = [["", ITEMS[3]], [ITEMS[0], ITEMS[5]]]
    _, rows = faces.rest("POST", f"{V1}:predict", {"instances": histories})
    _, columns = faces.rest("POST", f"{V1}:predict", {"inputs": histories})
    outputs = faces.prediction.Predict(predict(history=histories), timeout=TIMEOUT).outputs
    for alias in ("scores", "item_ids", "fallback"):
        expected = tf.make_ndarray(outputs[alias]).tolist()
        if alias == "item_ids":
            expected = [[item.decode() for item in row] for row in expected]
        assert columns["outputs"][alias] == expected
        assert [row[alias] for row in rows["predictions"]] == expected
