"""`tfrec demo`: the whole road once, on a synthetic log, with the library functions that the other commands use.

log -> Beam -> TFRecords -> BERT4Rec -> evaluation -> SavedModel -> gate -> server -> gRPC answer
"""

from __future__ import annotations

import csv
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from tfrec_zoo.errors import TfrecError
from tfrec_zoo.tables import print_table

MODEL = "bert4rec"
_MARK = ".made-by-tfrec-demo"


def demo(workdir: str | os.PathLike[str] = "demo", *, seed: int = 0, k: int = 10) -> dict[str, Any]:
    """Runs the road and prints every stage; the last screen is a user's history beside the served recommendations.

    Args:
        workdir: Folder for everything that is made. A folder of an earlier demo is replaced.
        seed: Of the log and the model.
        k: Recommended items to show.

    Returns:
        What the stages returned: synth, prepare, train, evaluate, export, query, and share_learned and seconds.

    Raises:
        TfrecError: `workdir` holds something else, or a stage failed.
    """
    import beam_jobs
    from beam_jobs.summary import print_summary
    from serving.client import Client
    from serving.launcher import running
    from tfrec_zoo.data.synthetic import synthesize

    start = time.perf_counter()
    folder = _fresh_folder(Path(workdir))
    log, data, run, versions = folder / "log.csv", folder / "DATA", folder / "RUN", folder / "saved_models" / MODEL
    result: dict[str, Any] = {}

    _stage(1, "a synthetic log with known structure", f"tfrec synth --output {log} --seed {seed}")
    truth = synthesize(log, seed=seed)
    print(truth.summary())
    result["synth"] = truth.to_json()

    _stage(2, "Beam: log to TFRecords", f"tfrec prepare --input {log} --output {data}")
    result["prepare"] = beam_jobs.prepare(beam_jobs.PrepareOptions(input=(str(log),), output=str(data)))
    print_summary(result["prepare"], str(data))

    from tfrec_zoo.evaluation.report import evaluate_run, print_report
    from tfrec_zoo.export.export_run import export_run
    from tfrec_zoo.training.train import print_result, train

    overrides = ["training.epochs=20", "training.validate_every=2"]
    settings = " ".join(f"--set {override}" for override in overrides)
    _stage(3, "training, best on valid kept", f"tfrec train {MODEL} --data {data} --workdir {run} {settings}")
    result["train"] = train(MODEL, data, run, assignments=overrides, seed=seed)
    print_result(result["train"])

    _stage(4, "evaluation over all items", f"tfrec evaluate --workdir {run} --data {data} --filter-seen")
    report = result["evaluate"] = evaluate_run(run, data, filter_seen=True)
    print_report(report)
    result["share_learned"] = truth.share_learned(report["metrics"]["ndcg@10"])
    print(
        f"share of the learnable: ({report['metrics']['ndcg@10']:.4f} - {truth.popularity.ndcg_at_10:.4f}) / "
        f"({truth.best_possible.ndcg_at_10:.4f} - {truth.popularity.ndcg_at_10:.4f}) = {result['share_learned']:.2f}"
    )

    _stage(5, "SavedModel, through the gate", f"tfrec export --workdir {run} --data {data} --output {versions}")
    result["export"] = export_run(run, data, versions, progress=_say)
    print(f"{result['export']['path']}  {result['export']['bytes']:,} bytes")

    _stage(6, "served over gRPC", f"tfrec serve --model-name {MODEL} --model-base-path {versions}")
    flags = ["--model-name", MODEL, "--model-base-path", str(versions), "--grpc-port", "0"]
    user, history = _a_user(log)
    with running(flags) as server, Client(server.address) as client:
        answer = client.recommend(MODEL, history, k=k)
    result["query"] = {"user": user, "history": history, "item_ids": answer.item_ids, "scores": answer.scores}
    _print_answer(user, history, answer.item_ids, answer.scores, _categories(folder / "log-items.csv"))

    result["seconds"] = round(time.perf_counter() - start, 1)
    print(f"the whole road took {result['seconds']:.0f} s; everything is in {folder}. Serve and ask it yourself:")
    print(f"  tfrec serve --model-name {MODEL} --model-base-path {versions}")
    print(f"  tfrec query {MODEL} --history {','.join(history[-5:])}")
    return result


def _fresh_folder(folder: Path) -> Path:
    mark = folder / _MARK
    try:
        if mark.is_file():
            shutil.rmtree(folder)
        elif folder.is_dir() and any(folder.iterdir()):
            raise TfrecError(f"{folder} is not empty and not of an earlier demo. Choose another --workdir.")
        folder.mkdir(parents=True, exist_ok=True)
        mark.write_text("The next tfrec demo replaces this folder.\n", encoding="utf-8")
    except OSError as error:
        raise TfrecError(f"{folder} cannot be written: {error}. Choose another --workdir.") from error
    return folder


def _stage(number: int, title: str, command: str) -> None:
    Console(highlight=False, soft_wrap=True).print(f"\n[bold]{number}/6  {title}[/bold]\n  $ {command}")
    sys.stdout.flush()


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _a_user(log: Path) -> tuple[str, list[str]]:
    """The log's first user with their items, oldest first; the log is in the order of time."""
    with log.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    user = rows[0]["user_id"]
    return user, [row["item_id"] for row in rows if row["user_id"] == user]


def _categories(items: Path) -> dict[str, str]:
    with items.open(newline="", encoding="utf-8") as file:
        return {row["item_id"]: row["category"] for row in csv.DictReader(file)}


def _print_answer(
    user: str, history: list[str], item_ids: list[str], scores: list[float], categories: dict[str, str]
) -> None:
    newest = (history[::-1] + [""] * len(item_ids))[: len(item_ids)]
    rows = [
        [past, categories.get(past, ""), item, categories.get(item, ""), score]
        for past, item, score in zip(newest, item_ids, scores, strict=True)
    ]
    columns = ["history", "category", "recommended", "category", "score"]
    print_table(columns, rows, title=f"user {user}: history (newest first), and what the server recommends")
