"""A loaded version in process: the callable below Session.run, and the bound on what filters leave behind."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from serving.server import servable
from serving.server.errors import StartupError, StatusError


@pytest.fixture(scope="module")
def kinds(models):
    return servable.load("kinds", 7, models / "kinds" / "7")


def test_the_private_callable_answers_like_session_run(models):
    recs = servable.load("recs", 2, models / "recs" / "2")
    signature = recs.signatures["recommend"]
    history = np.array([[b"", b"item1"], [b"item3", b"item0"]], dtype=object)
    answer = recs.run(signature, [history], list(signature.outputs))
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        meta_graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(models / "recs" / "2"))
        definition = meta_graph.signature_def["recommend"]
        fetches = {alias: info.name for alias, info in definition.outputs.items()}
        expected = session.run(fetches, {definition.inputs["history"].name: history})
    assert answer.keys() == expected.keys()
    for alias, array in expected.items():
        np.testing.assert_array_equal(answer[alias], array)


def test_callables_of_filters_are_bounded(kinds, monkeypatch):
    monkeypatch.setattr(servable, "_MAX_FILTERED_CALLABLES", 2)
    signature = kinds.signatures["echo"]
    inputs = {
        "half": np.zeros(1, np.float16),
        "flag": np.zeros(1, bool),
        "text": np.array([b"a"], object),
        "brain": np.zeros(1, tf.bfloat16.as_numpy_dtype),
        "byte": np.zeros(1, np.uint8),
    }
    arrays = [inputs[alias] for alias in signature.inputs]
    for outputs in itertools.permutations(["half", "text", "byte"], 2):
        assert list(kinds.run(signature, arrays, outputs)) == sorted(outputs)
        assert len(kinds._filtered) <= 2


def test_an_error_of_the_graph_is_a_status(kinds):
    with pytest.raises(StatusError, match="is not in") as caught:
        kinds.run(kinds.signatures["fails"], [np.array([9])], ["y"])
    assert caught.value.code.name == "INVALID_ARGUMENT"


def test_what_is_no_saved_model(tmp_path):
    with pytest.raises(StartupError, match="model m version 1 at .* can't be loaded: SavedModel file does not exist"):
        servable.load("m", 1, tmp_path)
