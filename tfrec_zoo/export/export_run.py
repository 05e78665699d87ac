"""`tfrec export` as a function: a run's model to a numbered version that a model server picks up, through the gate.

saved_models/NAME/VERSION/saved_model.pb, variables/, assets/              the graph, its weights, the vocabulary
saved_models/NAME/VERSION/assets.extra/model_card.json                     what it was made from
saved_models/NAME/VERSION/assets.extra/golden_requests.json                requests with the answers of the live model
saved_models/NAME/VERSION/assets.extra/tf_serving_warmup_requests          requests that a server runs at first
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent import futures
from importlib import metadata
from pathlib import Path
from typing import Any

from tfrec_zoo.dataset_spec import MANIFEST, DatasetSpec
from tfrec_zoo.errors import ExportError
from tfrec_zoo.export import gate, warmup
from tfrec_zoo.export.feature_requests import feature_requests
from tfrec_zoo.export.golden_requests import Request, golden_requests, task_requests
from tfrec_zoo.export.item_catalogue import ItemCatalogue
from tfrec_zoo.export.servable import Servable
from tfrec_zoo.export.signatures.generate import GenerationLimits
from tfrec_zoo.models.feature_recommender import FeatureRecommender
from tfrec_zoo.runs.run_directory import RunDirectory
from tfrec_zoo.runs.task_folder import TaskFolder
from tfrec_zoo.runs.task_run import TASK, TaskRun

DEFAULT_MAX_K = 100


def export_run(
    workdir: str | os.PathLike[str],
    data: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    version: int | None = None,
    max_k: int = DEFAULT_MAX_K,
    limits: GenerationLimits | None = None,
    refresh_items: str | os.PathLike[str] | None = None,
    tasks: Sequence[str | os.PathLike[str]] = (),
    over_grpc: bool = True,
    progress: Callable[[str], object] = lambda _: None,
) -> dict[str, Any]:
    """Exports a run's model; the version appears whole or not at all.

    Args:
        workdir: The run directory.
        data: The dataset that it was trained on.
        output: Folder of the model's versions, such as saved_models/bert4rec.
        version: Number of the version; default: one more than the highest there.
        max_k: Width of the ranked answers.
        limits: Of the continuations of a model that generates; default: those of `GenerationLimits`.
        refresh_items: A newer dataset, whose new items the version shall know too: see `ItemCatalogue`.
        tasks: Runs of `tfrec finetune --from` this one, or their task folders: each gets a signature of its name.
        over_grpc: Whether the gate asks over gRPC too; it can't without the extra [serving], and the card says so.
        progress: Called with a line before every stage.

    Returns:
        The keys of `tfrec export --json`: path, version, bytes, signatures, gate; and new_items.

    Raises:
        ConfigError: No run in `workdir`.
        DataError: A dataset is damaged or another one.
        ExportError: The version exists, nothing can be written, the model has no use for `limits`, or the SavedModel is
            not the live model.
    """
    if max_k < 1:
        raise ExportError(f"--max-k is {max_k}; it must be at least 1.")
    spec = DatasetSpec.read(data)
    newer = None if refresh_items is None else DatasetSpec.read(refresh_items)
    run = RunDirectory.open(workdir)
    if TaskRun.is_one(workdir):
        source = TaskRun.open(workdir).finetune_config().source
        raise ExportError(
            f"{workdir} is a task. Export the run that it stands on: --workdir {source} --tasks {workdir}."
        )
    packed = [TaskFolder(_task_folder(Path(task))) for task in tasks]
    folder = Path(output)
    version = _next_version(folder) if version is None else version
    if version < 1:
        raise ExportError(f"--version is {version}; versions are positive integers.")
    target = folder / str(version)
    if target.exists():
        raise ExportError(f"{target} exists already, and a published version never changes. Choose another --version.")
    # A folder with a hidden name is no version; in it the gate's server finds one, and nobody else does.
    staging = folder / f".{version}.{os.getpid()}"
    temporary = staging / str(version)
    try:
        staging.mkdir(parents=True)
        catalogue = ItemCatalogue.of_dataset(spec)
        if newer is not None:
            catalogue = catalogue.refreshed(newer, staging)
        progress("writing the SavedModel")
        model = run.load_model(spec)
        servable = Servable(model, catalogue, max_k, packed, limits)
        servable.save(str(temporary))
        signatures = sorted(servable.signatures)
        own = [name for name in signatures if name not in {task.name for task in packed}]
        if isinstance(model, FeatureRecommender):
            requests = feature_requests(spec, catalogue, model, own)
        else:
            requests = golden_requests(spec, catalogue, own, limits=servable.limits)
            requests += task_requests(spec, catalogue, packed)
        answers = gate.live_answers(servable, requests)
        extra = temporary / "assets.extra"
        extra.mkdir(exist_ok=True)
        types = {
            name: {alias: spec.dtype for alias, spec in signature.inputs.items()}
            for name, signature in servable.signatures.items()
        }
        warmups = warmup.write_warmup(extra, run.config().model, requests, types)
        over_grpc = over_grpc and gate.can_serve()
        progress(
            "gate: every signature in a TF1 Session" + (" and over gRPC" if over_grpc else "") + ", other processes"
        )
        gate.check_parts(temporary, servable)
        _replay_everywhere(temporary, requests, answers, over_grpc)
        golden = [{**request, "outputs": answer} for request, answer in zip(requests, answers, strict=True)]
        (extra / "golden_requests.json").write_text(json.dumps(golden), encoding="utf-8")
        passed = {"requests": len(requests), "over_grpc": over_grpc, "passed": True}
        card = {
            **_model_card(run, spec, signatures, max_k),
            "generation": dataclasses.asdict(servable.limits) if servable.limits else None,
            "catalog_size": len(catalogue.items),
            "new_items": catalogue.new_items,
            "refreshed_from": None if newer is None else _identity(newer),
            "warmup_records": warmups,
            "tasks": {
                task.name: {**task.config.to_dict(), "targets": len(task.counts), "backbone_hash": task.backbone_hash}
                for task in packed
            },
            "gate": passed,
        }
        (extra / "model_card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
        size = sum(file.stat().st_size for file in temporary.rglob("*") if file.is_file())
        os.rename(temporary, target)
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return {
        "path": str(target),
        "version": version,
        "bytes": size,
        "signatures": signatures,
        "new_items": catalogue.new_items,
        "gate": passed,
    }


def _replay_everywhere(version: Path, requests: list[Request], answers: gate.Answers, over_grpc: bool) -> None:
    """Replays the requests in a Session and over gRPC at the same time; both are other processes."""
    with futures.ThreadPoolExecutor(2) as pool:
        replays = [pool.submit(gate.replay_in_session, version, requests)]
        if over_grpc:
            replays.append(pool.submit(gate.replay_over_grpc, version.parent, requests))
        for replay in replays:
            gate.compare(requests, answers, replay.result())


def _task_folder(path: Path) -> Path:
    """The task in a fine-tuning run, or the folder itself."""
    if not TaskRun.is_one(path):
        return path
    if not (path / TASK).is_dir():
        raise ExportError(
            f"{path} was fine-tuned in mode all: it changed the backbone and cannot share one. Use the mode patches."
        )
    return path / TASK


def _next_version(folder: Path) -> int:
    versions = [int(path.name) for path in folder.glob("*") if path.name.isdigit()]
    return max(versions, default=0) + 1


def _identity(spec: DatasetSpec) -> dict[str, str]:
    """What makes a dataset this one and no other."""
    manifest = (spec.directory / MANIFEST).read_bytes()
    return {
        "dataset_hash": hashlib.sha256(manifest).hexdigest(),
        "split_hash": spec.split.hash,
        "vocabulary_hash": spec.vocabulary_hash("item"),
    }


def _model_card(run: RunDirectory, spec: DatasetSpec, signatures: list[str], max_k: int) -> dict[str, Any]:
    result_card = run.path / "result_card.json"
    return {
        "model": run.config().model,
        "signatures": signatures,
        "max_k": max_k,
        "split": {"protocol": spec.split.protocol, "hash": spec.split.hash},
        "dataset": _identity(spec),
        "config": run.config().to_dict(),
        "training": run.result(),
        "evaluation": json.loads(result_card.read_text(encoding="utf-8")) if result_card.is_file() else None,
        "versions": {name: metadata.version(name) for name in ("tfrec-zoo", "tensorflow", "keras", "numpy")},
    }
