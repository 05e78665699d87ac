"""Signatures `generate` and `generate_filtered`: in a TF1 Session and behind a batching server as the live model."""

import argparse
import json
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from serving import launcher, query
from serving.client import Client, ServingError
from tests.export.session import LOWEST, Session
from tests.models.model_contract import inputs, new_model
from tests.models.seqgan_test import SMALL
from tests.training.train_test import SMALL as SMALL_RUN
from tfrec_zoo.cli import main
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec
from tfrec_zoo.errors import ExportError
from tfrec_zoo.export.export_run import export_run
from tfrec_zoo.export.item_catalogue import ItemCatalogue
from tfrec_zoo.export.servable import Servable
from tfrec_zoo.export.signatures.generate import GenerationLimits
from tfrec_zoo.models.bert4rec import Bert4Rec
from tfrec_zoo.models.continuations import rank_by_continuations
from tfrec_zoo.models.seqgan import SeqGAN
from tfrec_zoo.training.train import train

LIMITS = GenerationLimits(max_n=6, max_length=5)
MAX_K = 50


@pytest.fixture(scope="module")
def model(spec: DatasetSpec) -> SeqGAN:
    model = new_model(SeqGAN, {**SMALL, "adversarial_weight": 0.0}, spec)
    model.fit(inputs(model, spec), epochs=1, steps_per_epoch=20, verbose=0)
    return model


@pytest.fixture(scope="module")
def saved(model: SeqGAN, spec: DatasetSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 under the base path seqgan."""
    path = tmp_path_factory.mktemp("saved") / "seqgan" / "1"
    path.parent.mkdir()
    Servable(model, ItemCatalogue.of_dataset(spec), MAX_K, limits=LIMITS).save(str(path))
    return path


@pytest.fixture(scope="module")
def ask(saved: Path) -> Session:
    return Session(saved)


@pytest.fixture(scope="module")
def server(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[launcher.Server]:
    """Waits for company, so that what is asked at the same time is answered as one batch."""
    parameters = tmp_path_factory.mktemp("batching") / "batching_parameters.txt"
    parameters.write_text("max_batch_size { value: 16 } batch_timeout_micros { value: 200000 }")
    flags = ["--model-name", "seqgan", "--model-base-path", str(saved.parent), "--grpc-port", "0", "--no-rest"]
    with launcher.running([*flags, "--batching-parameters", str(parameters)], timeout=600) as server:
        yield server


def request(history: list[list[str]], **changed: list) -> dict[str, Any]:
    """Of `generate`: 3 continuations of 4 items for every row, seeded by its number."""
    rows = len(history)
    drawn = {"n": [3] * rows, "length": [4] * rows, "temperature": [1.0] * rows, "seed": list(range(rows))}
    return {"history": history, **drawn, **changed}


def filtered(history: list[list[str]], top_p: float, no_repeats: bool) -> dict[str, Any]:
    return {**request(history), "top_p": [top_p] * len(history), "no_repeats": [no_repeats] * len(history)}


def one_row(given: dict[str, Any], row: int) -> dict[str, Any]:
    return {name: values[row : row + 1] for name, values in given.items()}


def live(model: SeqGAN, spec: DatasetSpec, history: list[str], **how: Any) -> list[list[str]]:
    """Raw ids of what `SeqGAN.generate` writes on a history."""
    items = spec.vocabulary("item")
    ids = np.array([[items.index(item) + FIRST_ITEM_ID for item in history]], np.int32)
    return [[items[each - FIRST_ITEM_ID] for each in row] for row in model.generate(ids, **how).numpy()[0]]


def test_a_session_writes_what_the_live_model_writes(ask: Session, model: SeqGAN, spec: DatasetSpec) -> None:
    items = spec.vocabulary("item")
    history = [items[3:6], ["nobody", *items[:20], "nothing"]]
    padded = [[""] * (22 - len(row)) + row for row in history]
    answer = ask("generate", **request(padded, temperature=[1.0, 0.7]))
    known = [[item for item in row if item in items] for row in history]
    for row, temperature in enumerate((1.0, 0.7)):
        written = answer["continuations"][row]
        assert np.shape(written) == (6, 5)
        how = {"n": 3, "length": 4, "seed": row, "temperature": temperature}
        assert [each[:4] for each in written[:3]] == live(model, spec, known[row], **how)
        assert {each for more in (*written[3:], [line[4] for line in written]) for each in more} == {""}
    answer = ask("generate_filtered", **filtered(padded, 0.4, True))
    for row, seen in enumerate(known):
        written = [each[:4] for each in answer["continuations"][row][:3]]
        assert written == live(model, spec, seen, n=3, length=4, seed=row, top_p=0.4, no_repeats=True)
        assert all(len(set(each)) == 4 and not set(each) & set(seen) for each in written)


def test_items_are_ranked_by_the_continuations(ask: Session, model: SeqGAN, spec: DatasetSpec) -> None:
    items = spec.vocabulary("item")
    history = items[3:6]
    answer = ask("generate", **request([history]))
    ids = np.arange(3, 6, dtype=np.int32)[None] + FIRST_ITEM_ID
    scores = rank_by_continuations(model.generate(ids, 3, 4, seed=0), model.score(ids)).numpy()[0]
    order = [column for column in np.argsort(-scores, kind="stable") if column not in range(3, 6)]
    assert answer["item_ids"][0] == [items[column] for column in order] + [""] * (MAX_K - len(order))
    np.testing.assert_allclose(answer["scores"][0][: len(order)], scores[order], rtol=1e-4)
    assert answer["scores"][0][len(order) :] == [LOWEST] * (MAX_K - len(order))


def test_a_seed_reproduces_and_padding_and_company_change_nothing(ask: Session, spec: DatasetSpec) -> None:
    items = spec.vocabulary("item")
    given = request([items[:3], items[3:6], items[6:9]], n=[1, 6, 3], length=[5, 2, 4])
    together = ask("generate", **given)
    for row in range(3):
        alone = one_row(given, row)
        alone["history"] = [["", "?", *alone["history"][0]]]
        assert ask("generate", **alone)["continuations"] == together["continuations"][row : row + 1]
    same = ask("generate", **request([items[:3]] * 3, seed=[5, 5, 6]))["continuations"]
    assert same[0] == same[1] != same[2]


def test_who_is_unknown_begins_with_what_is_popular(ask: Session, spec: DatasetSpec) -> None:
    items = spec.vocabulary("item")
    answer = ask("generate", **request([["", ""], ["nobody", ""]], temperature=[0.0, 0.0]))
    assert answer["fallback"] == [True, True]
    assert [row[0][0] for row in answer["continuations"]] == items[:1] * 2
    empty = ask("generate", **request([[]], temperature=[0.0]))
    assert empty["continuations"][0] == answer["continuations"][0]
    assert empty["item_ids"][0][0] == items[0]


def test_an_empty_batch_is_answered(ask: Session) -> None:
    answer = ask("generate", **{**request([]), "history": np.zeros((0, 3))})
    assert answer == {"continuations": [], "item_ids": [], "scores": [], "fallback": []}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n": [3, 7]}, r"n is from 1 to 6 in this version, not\] \[7\]"),
        ({"n": [0, 3]}, r"n is from 1 to 6 in this version, not\] \[0\]"),
        ({"length": [6, -1]}, r"length is from 1 to 5 in this version, not\] \[6 -1\]"),
        ({"temperature": [-0.5, 1.0]}, r"temperature is 0 \(the likeliest item\) or a positive number, not\] \[-0.5\]"),
        ({"temperature": [1.0, float("nan")]}, r"temperature .* not\] \[nan\]"),
        ({"temperature": [1.0, float("inf")]}, r"temperature .* not\] \[inf\]"),
    ],
)
def test_values_out_of_range_are_refused(ask: Session, spec: DatasetSpec, wrong: dict, message: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        ask("generate", **request([spec.vocabulary("item")[:3]] * 2, **wrong))


@pytest.mark.parametrize("top_p", [0.0, -1.0, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(ask: Session, spec: DatasetSpec, top_p: float) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"top_p is above 0 and at most 1, not\] \["):
        ask("generate_filtered", **filtered([spec.vocabulary("item")[:3]], top_p, False))


def arrays(given: dict[str, Any]) -> dict[str, np.ndarray]:
    types = {"history": object, "temperature": np.float32, "top_p": np.float32, "no_repeats": bool}
    return {name: np.array(values, types.get(name, np.int64)) for name, values in given.items()}


def test_a_server_that_batches_answers_everybody_as_alone(
    server: launcher.Server, ask: Session, spec: DatasetSpec
) -> None:
    items, rows = spec.vocabulary("item"), 12
    given = request([items[row : row + 3] for row in range(rows)], n=[1 + row % 6 for row in range(rows)])
    given |= {"top_p": [0.3 + 0.05 * row for row in range(rows)], "no_repeats": [row % 2 == 0 for row in range(rows)]}
    with Client(server.address, timeout=300) as client, futures.ThreadPoolExecutor(rows) as pool:

        def predict(row: int) -> Any:
            return client.predict("seqgan", arrays(one_row(given, row)), "generate_filtered")

        answers = list(pool.map(predict, range(rows)))
        given["n"][5] = 99  # one of the batch at fault

        def outcome(row: int) -> Any:
            try:
                return predict(row)
            except ServingError as error:
                return error

        outcomes = list(pool.map(outcome, range(rows)))
    for row, (answer, again) in enumerate(zip(answers, outcomes, strict=True)):
        if row == 5:
            assert again.code == "INVALID_ARGUMENT"
            assert "n is from 1 to 6 in this version, not] [99]" in str(again)
            continue
        alone = ask("generate_filtered", **one_row(given, row))
        for found in (answer, again):
            assert [[text.decode() for text in line] for line in found["continuations"][0]] == alone["continuations"][0]
            np.testing.assert_allclose(found["scores"], alone["scores"], rtol=1e-4)


def test_query_shows_the_ranking_and_the_continuations(
    server: launcher.Server, ask: Session, spec: DatasetSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    items = spec.vocabulary("item")
    given = {**request([items[:3]]), "seed": [7]}
    want = ask("generate", **given)
    parser = argparse.ArgumentParser()
    query.add_arguments(parser)
    told = ["--signature", "generate", "--input", "n=3", "--input", "length=4", "--input", "temperature=1"]
    flags = ["seqgan", "--history", ",".join(items[:3]), "-k", "2", *told, "--input", "seed=7"]
    assert query.run(parser.parse_args([*flags, "--address", server.address])) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[1:3]] == want["item_ids"][0][:2]
    assert lines[3:] == ["continuations:", *("  " + ", ".join(row[:4]) for row in want["continuations"][0][:3])]
    assert query.run(parser.parse_args([*flags, "--address", server.address, "--json", "-"])) == 0
    decoded = json.loads(capsys.readouterr().out)
    assert decoded["continuations"] == [row[:4] for row in want["continuations"][0][:3]]
    assert decoded["item_ids"] == want["item_ids"][0][:2]


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    workdir = tmp_path_factory.mktemp("run") / "RUN"
    network = {**SMALL, "adversarial_weight": 0.0}
    train("seqgan", data, workdir, config={**SMALL_RUN, "network": network}, quiet=True)
    return workdir


def test_the_gate_asks_both_signatures_and_the_card_has_the_limits(run: Path, data: Path, tmp_path: Path) -> None:
    result = export_run(run, data, tmp_path / "seqgan", limits=LIMITS)
    assert {"generate", "generate_filtered", "score"} <= set(result["signatures"])
    assert result["gate"] == {"requests": 8, "over_grpc": True, "passed": True}
    extra = Path(result["path"]) / "assets.extra"
    assert json.loads((extra / "model_card.json").read_text())["generation"] == {"max_n": 6, "max_length": 5}
    golden = json.loads((extra / "golden_requests.json").read_text())
    drawn = next(each for each in golden if each["signature"] == "generate_filtered")
    assert max(drawn["inputs"]["n"]) == 6
    assert np.shape(drawn["outputs"]["continuations"])[1:] == (6, 5)


def test_limits_below_1_and_models_that_do_not_generate_are_refused(
    run: Path, data: Path, spec: DatasetSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", "--workdir", str(run), "--data", str(data), "--output", str(tmp_path / "out"), "--quiet"]
    assert main([*arguments, "--max-n", "0"]) == 1
    assert "--max-n is 0; it must be at least 1" in capsys.readouterr().err
    other = new_model(Bert4Rec, {"dim": 8, "max_length": 4}, spec)
    with pytest.raises(ExportError, match="bert4rec generates nothing: leave --max-n and --max-length out"):
        Servable(other, ItemCatalogue.of_dataset(spec), MAX_K, limits=LIMITS)
