"""The whole road by the command line, ending at a stock TensorFlow Serving client without this project."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from serving.launcher import running
from tests.cli_test import tfrec
from tests.history_of_a_log import histories
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec
from tfrec_zoo.runs.run_directory import RunDirectory

STOCK_CLIENT = """
import json, sys
import grpc, tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(sys.argv[1]))
for history in json.load(open(sys.argv[2])):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "bert4rec"
    request.inputs["history"].CopyFrom(tf.make_tensor_proto([history]))
    outputs = stub.Predict(request, timeout=300).outputs
    ids, scores = (tf.make_ndarray(outputs[name])[0] for name in ("item_ids", "scores"))
    print(json.dumps([[item.decode() for item in ids], scores.tolist()]))
"""


@pytest.fixture(scope="module")
def road(log_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything up to a published version, each step a command."""
    folder = tmp_path_factory.mktemp("road")
    data, run = folder / "DATA", folder / "RUN"
    settings = [
        argument
        for value in ("network.dim=16", "network.max_length=12", "training.epochs=3", "training.batch_size=16")
        for argument in ("--set", value)
    ]
    steps = [
        ["prepare", "--input", log_file, "--output", data, "--json", folder / "prepare.json"],
        ["train", "bert4rec", "--data", data, "--workdir", run, *settings, "--json", folder / "train.json"],
        ["evaluate", "--workdir", run, "--data", data, "--filter-seen", "--json", folder / "evaluate.json"],
        ["export", "--workdir", run, "--data", data, "--output", folder / "bert4rec", "--json", folder / "export.json"],
    ]
    for step in steps:
        done = tfrec(*step)
        assert done.returncode == 0, done.stderr
        assert done.stdout, "the result is on stdout"
    return folder


def result(road: Path, step: str) -> dict:
    return json.loads((road / f"{step}.json").read_text())


def test_every_step_writes_its_fixed_keys(road: Path) -> None:
    keys = {
        "prepare": "rows rows_rejected users items sequences seconds rows_per_s cpu_s peak_rss_mib shards split_hash",
        "train": "model steps epochs seconds sequences_per_s data_wait_share best_metric best_value parameters",
        "evaluate": "metrics baselines users items protocol seconds",
        "export": "path version bytes signatures gate",
    }
    for step, names in keys.items():
        assert set(names.split()) <= set(result(road, step)), step
    report = result(road, "evaluate")
    assert {"popularity", "markov"} == set(report["baselines"])
    assert {"ndcg@10", "hr@10", "mrr"} <= set(report["metrics"])
    assert report["protocol"]["filter_seen"] is True


def check_stock_client(road: Path, users: list[list[str]]) -> None:
    """Serves the road's model, asks it by the stock client, and compares with the live model.

    Args:
        road: Folder with DATA, RUN and the versions under bert4rec.
        users: Raw histories.
    """
    spec = DatasetSpec.read(road / "DATA")
    column_of = {item: column for column, item in enumerate(spec.vocabulary("item"))}
    model = RunDirectory.open(road / "RUN").load_model(spec)
    (road / "histories.json").write_text(json.dumps(users))
    flags = ["--model-name", "bert4rec", "--model-base-path", str(road / "bert4rec"), "--grpc-port", "0"]
    with running(flags, timeout=600) as server:
        command = [sys.executable, "-I", "-c", STOCK_CLIENT, server.address, str(road / "histories.json")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(users)
    swaps = 0
    for history, (item_ids, scores) in zip(users, answers, strict=True):
        columns = [column_of[item] for item in history if item in column_of]
        live = model.score(np.array([columns], np.int32) + FIRST_ITEM_ID).numpy()[0]
        ranked = [column for column in np.argsort(-live, kind="stable") if column not in set(columns)][:100]
        answered = [column_of[item] for item in item_ids if item]
        assert len(answered) == len(ranked)
        assert not set(answered) & set(columns), "seen items are left out"
        np.testing.assert_allclose(scores[: len(ranked)], live[answered], atol=1e-4)
        # The same ids in the same order, but for items whose live scores differ by less than float32 rounding.
        swapped = np.array(answered) != np.array(ranked)
        np.testing.assert_allclose(live[answered], live[ranked], atol=1e-5)
        swaps += int(swapped.sum())
    print(f"{len(users)} users, {swaps} places exchanged among tied scores")


def test_a_stock_client_gets_the_ids_and_scores_of_the_live_model(road: Path, log_file: Path) -> None:
    check_stock_client(road, list(histories(log_file).values()))


def test_serve_and_query_are_commands(road: Path, tmp_path: Path) -> None:
    config = tmp_path / "models.config"
    config.write_text(
        f'model_config_list {{ config {{ name: "bert4rec" base_path: "{road / "bert4rec"}" '
        'model_platform: "tensorflow" } }\n'
    )
    command = [sys.executable, "-m", "tfrec_zoo.cli", "serve", "--models", str(config), "--grpc-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            ready = server.stdout.readline()
            assert ready.startswith("READY grpc=127.0.0.1:"), server.stderr.read()
            address = ready.split()[1].removeprefix("grpc=")
            asked = ["query", "bert4rec", "--history", "i01,i02,i04", "-k", 3, "--address", address]
            table = tfrec(*asked)
            assert table.returncode == 0, table.stderr
            assert len(table.stdout.strip().splitlines()) == 4
            decoded = json.loads(tfrec(*asked, "--json", "-").stdout)
            assert len(decoded["item_ids"]) == len(decoded["scores"]) == 3
            assert not {"i01", "i02", "i04"} & set(decoded["item_ids"])
            unknown = tfrec("query", "bert4rec", "--history", "nobody", "--address", address)
            assert "fallback" in unknown.stdout
            wrong = tfrec("query", "sasrec", "--history", "i01", "--address", address)
            assert wrong.returncode == 1
            assert "Servable not found for request: Latest(sasrec)" in wrong.stderr
        finally:
            server.terminate()
        assert server.wait(120) == 0
