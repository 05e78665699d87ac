import copy
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.export.session import LOWEST, Session
from tests.models.bert4rec_test import CONFIG
from tests.models.model_contract import inputs, new_model
from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, DatasetSpec
from tfrec_zoo.errors import ExportError
from tfrec_zoo.export.gate import check_parts, compare, live_answers, replay_in_session
from tfrec_zoo.export.golden_requests import golden_requests
from tfrec_zoo.export.item_catalogue import ItemCatalogue
from tfrec_zoo.export.servable import Servable
from tfrec_zoo.models.bert4rec import Bert4Rec


@pytest.fixture(scope="module")
def model(spec: DatasetSpec) -> Bert4Rec:
    model = new_model(Bert4Rec, CONFIG, spec)
    model.fit(inputs(model, spec), epochs=1, steps_per_epoch=20, verbose=0)
    return model


@pytest.fixture(scope="module")
def saved(model: Bert4Rec, spec: DatasetSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "model"
    Servable(model, ItemCatalogue.of_dataset(spec), max_k=50).save(str(path))
    return path


@pytest.fixture(scope="module")
def ask(saved: Path) -> Session:
    return Session(saved)


def expected_ranking(model: Bert4Rec, spec: DatasetSpec, history: list[str]) -> tuple[list[str], list[float]]:
    """By numpy from the live model's scores."""
    items = spec.vocabulary("item")
    known = [items.index(item) for item in history if item in items]
    scores = model.score(np.array([[column + FIRST_ITEM_ID for column in known]], np.int32)).numpy()[0]
    order = [column for column in np.argsort(-scores, kind="stable") if column not in known]
    return [items[column] for column in order], [float(scores[column]) for column in order]


def test_recommend_ranks_unseen_items_as_the_live_model(ask: Session, model: Bert4Rec, spec: DatasetSpec) -> None:
    items = spec.vocabulary("item")
    histories = [items[3:6], ["nobody", *items[:20], "nothing"], [items[-1]]]
    width = max(map(len, histories)) + 3
    answer = ask("recommend", history=[[""] * (width - len(row)) + row for row in histories])
    for row, history in enumerate(histories):
        ranked, scores = expected_ranking(model, spec, history)
        assert answer["item_ids"][row] == ranked + [""] * (50 - len(ranked))
        np.testing.assert_allclose(answer["scores"][row][: len(scores)], scores, atol=1e-5)
        assert answer["scores"][row][len(scores) :] == [LOWEST] * (50 - len(scores))
        assert not answer["fallback"][row]


def test_padding_anywhere_changes_nothing(ask: Session, spec: DatasetSpec) -> None:
    a, b, c = spec.vocabulary("item")[:3]
    answer = ask("recommend", history=[["", "", a, b, c], [a, "", b, c, ""], [a, "?", b, "?", c]])
    assert answer["item_ids"][0] == answer["item_ids"][1] == answer["item_ids"][2]


@pytest.mark.parametrize("history", [[[""]], [["nobody", "nothing"]], [[]]])
def test_a_user_with_nothing_known_gets_the_popular_items(ask: Session, spec: DatasetSpec, history: list) -> None:
    answer = ask("recommend", history=history)
    assert answer["fallback"] == [True]
    assert answer["item_ids"][0][: spec.catalog_size] == spec.vocabulary("item")
    counts = np.array(spec.item_counts)
    np.testing.assert_allclose(answer["scores"][0][: len(counts)], np.log(counts / counts.sum()), rtol=1e-5)


def test_an_empty_batch_is_answered(model: Bert4Rec, spec: DatasetSpec) -> None:
    answer = (
        Servable(model, ItemCatalogue.of_dataset(spec), max_k=5)
        .signatures["recommend"]
        .answer({"history": tf.zeros((0, 3), tf.string)})
    )
    assert {name: value.shape.as_list() for name, value in answer.items()} == {
        "item_ids": [0, 5],
        "scores": [0, 5],
        "fallback": [0],
    }


def test_score_gives_what_recommend_ranks_by(ask: Session, model: Bert4Rec, spec: DatasetSpec) -> None:
    items = spec.vocabulary("item")
    history, candidates = items[2:9], [items[30], "nobody", items[2], "", items[30]]
    scores = ask("score", history=[history], candidates=[candidates])["scores"][0]
    live = model.score(np.arange(2, 9, dtype=np.int32)[None] + FIRST_ITEM_ID).numpy()[0]
    np.testing.assert_allclose(scores, [live[30], LOWEST, live[2], LOWEST, live[30]], atol=1e-5)


def test_narrow_answers_hold_the_best(model: Bert4Rec, spec: DatasetSpec, tmp_path: Path) -> None:
    Servable(model, ItemCatalogue.of_dataset(spec), max_k=3).save(str(tmp_path / "narrow"))
    history = spec.vocabulary("item")[:4]
    ranked, _ = expected_ranking(model, spec, history)
    assert Session(tmp_path / "narrow")("recommend", history=[history])["item_ids"] == [ranked[:3]]


def test_the_vocabulary_is_an_asset_and_no_optimizer_is_saved(saved: Path, spec: DatasetSpec) -> None:
    assert (saved / "assets" / "item.txt").read_bytes() == spec.vocabulary_path("item").read_bytes()
    names = [name for name, _ in tf.train.list_variables(str(saved / "variables" / "variables"))]
    assert not [name for name in names if "optimizer" in name or "adam" in name.lower()]


OTHERS = {"encode", "recommend_filtered", "serving_examples"}


def test_filters(ask: Session, model: Bert4Rec, spec: DatasetSpec) -> None:
    items = spec.vocabulary("item")
    history = items[3:6]
    ranked, _ = expected_ranking(model, spec, history)
    rows: list[tuple[list, bool, list]] = [
        (["", ""], True, ["", ""]),
        ([ranked[0], "nobody"], True, ["", ""]),
        (["", ""], False, [items[4], ranked[7]]),
        (["", ""], True, [items[4], ranked[7]]),
        (["", ""], True, ["nobody", ""]),
    ]
    answer = ask(
        "recommend_filtered",
        history=[history] * len(rows),
        exclude=[exclude for exclude, _, _ in rows],
        exclude_seen=[seen for _, seen, _ in rows],
        allow=[allow for _, _, allow in rows],
    )
    found = [[item for item in row if item] for row in answer["item_ids"]]
    assert found[0] == ask("recommend", history=[history])["item_ids"][0][: len(found[0])] == ranked[:50]
    assert found[1] == ranked[1:51]
    assert set(found[2]) == {items[4], ranked[7]}
    assert found[3:] == [[ranked[7]], []]
    assert answer["scores"][4] == [LOWEST] * 50


def test_a_user_with_nothing_known_is_filtered_too(ask: Session, spec: DatasetSpec) -> None:
    items = spec.vocabulary("item")
    filters = {"exclude": [items[:1]], "exclude_seen": [True], "allow": [[""]]}
    answer = ask("recommend_filtered", history=[["nobody"]], **filters)
    assert answer["fallback"] == [True]
    assert [item for item in answer["item_ids"][0] if item] == items[1:51]


def test_records_of_the_beam_job_are_answered_as_their_histories(ask: Session, spec: DatasetSpec) -> None:
    records = [each.numpy() for each in tf.data.TFRecordDataset(spec.paths("sequences", "test")).take(5)]
    answer = ask("serving_examples", examples=[*records, b""])
    items = spec.vocabulary("item")
    for row, record in enumerate(records):
        features = tf.train.Example.FromString(record).features.feature
        history = [items[each - 4] for each in features["items"].int64_list.value if each >= 4]
        seen = {items[each - 4] for each in features["seen"].int64_list.value if each >= 4}
        assert not seen & set(answer["item_ids"][row])
        alone = ask("recommend", history=[history])
        assert answer["item_ids"][row] == alone["item_ids"][0]
        np.testing.assert_allclose(answer["scores"][row], alone["scores"][0], atol=1e-5)
    assert answer["fallback"] == [False] * 5 + [True]
    outside = tf.train.Example()
    outside.features.feature["items"].int64_list.value.extend([-7, 2**62, 4 + spec.catalog_size])
    assert ask("serving_examples", examples=[outside.SerializeToString()])["fallback"] == [True]


def test_vectors_make_the_scores(ask: Session, model: Bert4Rec, spec: DatasetSpec) -> None:
    items = spec.vocabulary("item")
    vectors = np.array(ask("encode", history=[["", *items[2:9]], ["nobody", *items[1:8]]])["vectors"])
    table = np.array(model.backbone.embedding.item_embeddings)[FIRST_ITEM_ID:]
    scores = ask("score", history=[["", *items[2:9]], items[:8]], candidates=[items, items])["scores"]
    np.testing.assert_allclose(vectors[0] @ table.T + np.array(model.projection.bias), scores[0], atol=1e-4)
    assert vectors.shape == (2, table.shape[1])


@pytest.fixture(scope="module")
def golden(model: Bert4Rec, spec: DatasetSpec) -> tuple[list, list]:
    """Requests of every signature, and the live model's answers."""
    catalogue = ItemCatalogue.of_dataset(spec)
    servable = Servable(model, catalogue, max_k=50)
    requests = golden_requests(spec, catalogue, ["serving_default", "recommend", "score", *sorted(OTHERS)], users=4)
    return requests, live_answers(servable, requests)


def test_the_gate_refuses_other_answers(saved: Path, golden: tuple[list, list]) -> None:
    requests, answers = golden
    seen = replay_in_session(saved, requests)
    compare(requests, answers, seen)

    worse = copy.deepcopy(seen)
    worse[2]["scores"][1][0] += 0.01
    with pytest.raises(ExportError, match="signature 'score', row 1: the scores differ"):
        compare(requests, answers, worse)
    swapped = copy.deepcopy(seen)
    swapped[0]["item_ids"][0][:2] = swapped[0]["item_ids"][0][1::-1]
    with pytest.raises(ExportError, match="'serving_default', row 0: the item_ids differ"):
        compare(requests, answers, swapped)
    silent = copy.deepcopy(seen)
    del silent[1]["fallback"]
    with pytest.raises(ExportError, match="has the outputs"):
        compare(requests, answers, silent)


def test_the_gate_lets_tied_items_change_places() -> None:
    request = [{"signature": "recommend", "inputs": {}}]
    want = [{"scores": [[2.0, 1.0, 1.0]], "item_ids": [["a", "b", "c"]]}]
    compare(request, want, [{"scores": [[2.0, 1.0, 1.0]], "item_ids": [["a", "c", "b"]]}])
    with pytest.raises(ExportError, match="item_ids differ"):
        compare(request, want, [{"scores": [[2.0, 1.0, 1.0]], "item_ids": [["b", "a", "c"]]}])


def test_a_model_that_does_not_load_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="does not run in a TF1 Session"):
        replay_in_session(tmp_path, [])


def test_a_signature_without_a_request_is_refused(saved: Path) -> None:
    with pytest.raises(ExportError, match="no request for signature .*score"):
        replay_in_session(saved, [{"signature": "recommend", "inputs": {"history": [[""]]}}])


def change_a_weight(version: Path) -> None:
    """Adds 0.001 to one number of the weights, by way of TensorFlow, so that every checksum is right."""
    prefix = version / "variables" / "variables"
    reader = tf.train.load_checkpoint(str(prefix))
    names = sorted(reader.get_variable_to_shape_map())
    values = {name: reader.get_tensor(name) for name in names}
    name = next(name for name in names if np.ndim(values[name]) == 2 and values[name].dtype == np.float32)
    values[name][5, 3] += 1e-3
    tensors = [tf.constant(values[name]) for name in names]
    tf.raw_ops.SaveV2(prefix=str(prefix), tensor_names=names, shape_and_slices=[""] * len(names), tensors=tensors)


def swap_two_lines(version: Path) -> None:
    vocabulary = version / "assets" / "item.txt"
    lines = vocabulary.read_text().splitlines()
    lines[3], lines[30] = lines[30], lines[3]
    vocabulary.write_text("".join(f"{line}\n" for line in lines))


TAMPERING = {
    "a weight": (change_a_weight, "1 of the weights are not the live model's"),
    "a vocabulary line": (swap_two_lines, "is not the vocabulary"),
    "no vocabulary": (
        lambda version: (version / "assets" / "item.txt").unlink(),
        "incomplete: it has no assets/item.txt",
    ),
    "no weights": (
        lambda version: (version / "variables" / "variables.data-00000-of-00001").unlink(),
        "incomplete: its weights cannot be read",
    ),
    "no graph": (lambda version: (version / "saved_model.pb").unlink(), "does not run in a TF1 Session"),
}


@pytest.mark.parametrize("part", TAMPERING)
def test_a_tampered_version_is_refused(
    saved: Path, model: Bert4Rec, spec: DatasetSpec, golden: tuple[list, list], tmp_path: Path, part: str
) -> None:
    tamper, message = TAMPERING[part]
    version = tmp_path / "1"
    shutil.copytree(saved, version)
    catalogue = ItemCatalogue.of_dataset(spec)
    servable = Servable(model, catalogue, max_k=50)
    check_parts(version, servable)
    tamper(version)

    def gate() -> None:
        check_parts(version, servable)
        replay_in_session(version, golden[0])

    with pytest.raises(ExportError, match=message):
        gate()


@pytest.mark.parametrize("part", ["a weight", "a vocabulary line"])
def test_golden_requests_notice_tampering_too(
    saved: Path, golden: tuple[list, list], tmp_path: Path, part: str
) -> None:
    """Without the comparison of the parts: by what the version answers."""
    version = tmp_path / "1"
    shutil.copytree(saved, version)
    TAMPERING[part][0](version)
    requests, answers = golden
    with pytest.raises(ExportError, match="differ from the live model's"):
        compare(requests, answers, replay_in_session(version, requests))
