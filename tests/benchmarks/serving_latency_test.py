from pathlib import Path

import pytest

from tests.models.bert4rec_test import CONFIG
from tests.models.model_contract import new_model
from tfrec_zoo.benchmarks.load import read_requests, write_requests
from tfrec_zoo.benchmarks.serving_latency import run
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import TfrecError
from tfrec_zoo.export.item_catalogue import ItemCatalogue
from tfrec_zoo.export.servable import Servable
from tfrec_zoo.models.bert4rec import Bert4Rec


def test_a_row_for_every_way(spec: DatasetSpec, tmp_path: Path) -> None:
    model = new_model(Bert4Rec, CONFIG, spec)
    Servable(model, ItemCatalogue.of_dataset(spec), max_k=10).save(str(tmp_path / "1"))
    rows = run(spec.directory, tmp_path, seconds=1.0, rounds=1, concurrencies=(1, 4), intra_op_threads=(1,))
    assert [(row["way"], row["concurrency"]) for row in rows] == [
        ("Session called directly", 1),
        ("unbatched", 1),
        ("batched", 1),
        ("unbatched", 4),
        ("batched", 4),
    ]
    assert all(row["requests_per_s"] > 0 and row["p50_ms"] <= row["p99_ms"] for row in rows)
    assert rows[1]["over_direct"] > 0 < rows[4]["over_unbatched"]


def test_a_folder_without_versions(spec: DatasetSpec, tmp_path: Path) -> None:
    with pytest.raises(TfrecError, match="has no version"):
        run(spec.directory, tmp_path)


def test_requests_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_requests(tmp_path / "requests", [b"", b"abc"])
    assert read_requests(tmp_path / "requests") == [b"", b"abc"]
