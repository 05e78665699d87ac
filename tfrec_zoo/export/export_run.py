"""`tfrec export` as a function: a run's model to a numbered version that a model server picks up, through the gate.

saved_models/NAME/VERSION/saved_model.pb, variables/, assets/          the graph, its weights, the vocabulary
saved_models/NAME/VERSION/assets.extra/model_card.json                 what it was made from
saved_models/NAME/VERSION/assets.extra/golden_requests.json            requests with the answers of the live model
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ExportError
from tfrec_zoo.export.gate import compare, golden_requests, live_answers, replay_in_session
from tfrec_zoo.export.servable import Servable
from tfrec_zoo.runs.run_directory import RunDirectory

DEFAULT_MAX_K = 100


def export_run(
    workdir: str | os.PathLike[str],
    data: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    version: int | None = None,
    max_k: int = DEFAULT_MAX_K,
    progress: Callable[[str], object] = lambda _: None,
) -> dict[str, Any]:
    """Exports a run's model; the version appears whole or not at all.

    Args:
        workdir: The run directory.
        data: The dataset that it was trained on.
        output: Folder of the model's versions, such as saved_models/bert4rec.
        version: Number of the version; default: one more than the highest there.
        max_k: Width of the answers of `recommend`.
        progress: Called with a line before every stage.

    Returns:
        The keys of `tfrec export --json`: path, version, bytes, signatures, gate.

    Raises:
        ConfigError: No run in `workdir`.
        DataError: The dataset is damaged or another one.
        ExportError: The version exists, nothing can be written, or the SavedModel does not answer as the live model.
    """
    if max_k < 1:
        raise ExportError(f"--max-k is {max_k}; it must be at least 1.")
    spec = DatasetSpec.read(data)
    run = RunDirectory.open(workdir)
    folder = Path(output)
    version = _next_version(folder) if version is None else version
    if version < 1:
        raise ExportError(f"--version is {version}; versions are positive integers.")
    target = folder / str(version)
    if target.exists():
        raise ExportError(f"{target} exists already, and a published version never changes. Choose another --version.")
    temporary = folder / f".{version}.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        progress("writing the SavedModel")
        servable = Servable(run.load_model(spec), spec, max_k)
        servable.save(str(temporary))
        requests = golden_requests(spec)
        answers = live_answers(servable, requests)
        progress("gate: every signature in a TF1 Session of a fresh process")
        compare(requests, answers, replay_in_session(temporary, requests))
        extra = temporary / "assets.extra"
        extra.mkdir()
        golden = [{**request, "outputs": answer} for request, answer in zip(requests, answers, strict=True)]
        (extra / "golden_requests.json").write_text(json.dumps(golden), encoding="utf-8")
        card = _model_card(run, spec, sorted(servable.functions), max_k)
        (extra / "model_card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
        size = sum(file.stat().st_size for file in temporary.rglob("*") if file.is_file())
        os.rename(temporary, target)
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return {
        "path": str(target),
        "version": version,
        "bytes": size,
        "signatures": sorted(servable.functions),
        "gate": {"requests": len(requests), "passed": True},
    }


def _next_version(folder: Path) -> int:
    versions = [int(path.name) for path in folder.glob("*") if path.name.isdigit()]
    return max(versions, default=0) + 1


def _model_card(run: RunDirectory, spec: DatasetSpec, signatures: list[str], max_k: int) -> dict[str, Any]:
    return {
        "model": run.config().model,
        "signatures": signatures,
        "max_k": max_k,
        "catalog_size": spec.catalog_size,
        "split": {"protocol": spec.split.protocol, "hash": spec.split.hash},
        "vocabulary_hash": spec.vocabulary_hash("item"),
        "config": run.config().to_dict(),
        "training": run.result(),
        "versions": {name: metadata.version(name) for name in ("tfrec-zoo", "tensorflow", "keras", "numpy")},
    }
