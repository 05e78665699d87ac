"""`tfrec bench serve`: requests a second and latency behind the embedded server, beside the Session called directly.

Everything is asked over 127.0.0.1 from a second process (load.py), in turns, round after round: on a machine with other
work only figures of one round can be compared, so each row is the median over the rounds.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfrec_zoo.benchmarks.load import write_requests
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import TfrecError

MODEL = "bert4rec"
CONCURRENCIES = (1, 8, 32)
WAYS = {"unbatched": [], "batched": ["--enable-batching"]}
INTRA_OP_THREADS = (1, 0)
_REQUESTS = 200


def run(
    data: str | os.PathLike[str] | None = None,
    saved_model: str | os.PathLike[str] | None = None,
    seconds: float = 3.0,
    rounds: int = 3,
    concurrencies: Sequence[int] = CONCURRENCIES,
    intra_op_threads: Sequence[int] = INTRA_OP_THREADS,
) -> list[dict[str, Any]]:
    """Measures a BERT4Rec behind `tfrec serve`.

    Args:
        data: A dataset directory; default: the synthetic log of `tfrec synth`.
        saved_model: Folder of an exported model's versions; default: the preset, trained for one epoch on `data`.
        seconds: Length of each load.
        rounds: Loads of each kind.
        concurrencies: Requests under way at the same time.
        intra_op_threads: Values of --intra-op-threads; 0 is TensorFlow's own choice, with which the Session is also
            called directly.

    Returns:
        One row for each way and concurrency: requests_per_s, p50_ms, p99_ms; `over_direct` is p50 over that of the
        Session called directly, `over_unbatched` the requests a second over those of the same server without batching.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        spec = DatasetSpec.read(data if data is not None else _synthetic(folder))
        if saved_model is None:
            saved_model = _export(spec, folder)
        versions = sorted((int(path.name), path) for path in Path(saved_model).glob("*") if path.name.isdigit())
        if not versions:
            raise TfrecError(f"{saved_model} has no version. Export one: tfrec export --output {saved_model} ...")
        histories = _histories(spec)
        (folder / "inputs.json").write_text(json.dumps([[row] for row in histories]), encoding="utf-8")
        write_requests(folder / "requests.bin", [_request(row) for row in histories])
        measured = _measure(
            versions[-1][1], folder, seconds, rounds, concurrencies, [int(threads) for threads in intra_op_threads]
        )
    return _rows(measured)


Key = tuple[str, int, int]
"""Way, intra-op threads and concurrency."""


def _measure(
    version: Path,
    folder: Path,
    seconds: float,
    rounds: int,
    concurrencies: Sequence[int],
    intra_op_threads: Sequence[int],
) -> dict[Key, list[dict[str, float]]]:
    from serving.launcher import running

    measured: dict[Key, list[dict[str, float]]] = {}
    for threads in intra_op_threads:
        with contextlib.ExitStack() as stack:
            flags = ["--model-name", MODEL, "--model-base-path", str(version.parent), "--grpc-port", "0", "--no-rest"]
            flags += ["--intra-op-threads", str(threads)]
            addresses = {
                way: stack.enter_context(running([*flags, *more], timeout=180)).address for way, more in WAYS.items()
            }
            for _ in range(rounds):
                key = ("Session called directly", threads, 1)
                measured.setdefault(key, []).append(_direct(version, folder, seconds, threads))
                for concurrency in concurrencies:
                    for way, address in addresses.items():
                        figures = _load(address, folder, seconds, concurrency)
                        measured.setdefault((way, threads, concurrency), []).append(figures)
    return measured


def _rows(measured: dict[Key, list[dict[str, float]]]) -> list[dict[str, Any]]:
    medians = {
        key: {name: float(np.median([each[name] for each in rounds])) for name in rounds[0]}
        for key, rounds in measured.items()
    }
    rows = []
    for (way, threads, concurrency), figures in medians.items():
        direct = medians["Session called directly", threads, 1]
        unbatched = medians.get(("unbatched", threads, concurrency))
        rows.append(
            {
                "way": way,
                "intra_op_threads": threads or "all",
                "concurrency": concurrency,
                "requests_per_s": round(figures["requests_per_s"]),
                "p50_ms": round(figures["p50_ms"], 2),
                "p99_ms": round(figures["p99_ms"], 2),
                "over_direct": round(figures["p50_ms"] / direct["p50_ms"], 2) if concurrency == 1 else "",
                "over_unbatched": round(figures["requests_per_s"] / unbatched["requests_per_s"], 2)
                if unbatched and way == "batched"
                else "",
            }
        )
    return rows


def _figures(latency: Sequence[float], seconds: float) -> dict[str, float]:
    p50, p99 = np.percentile(np.array(latency), [50, 99]) * 1e3
    return {"requests_per_s": len(latency) / seconds, "p50_ms": float(p50), "p99_ms": float(p99)}


def _direct(version: Path, folder: Path, seconds: float, threads: int) -> dict[str, float]:
    script = Path(__file__).with_name("direct_session.py")
    command = [sys.executable, "-I", str(script), str(version), str(folder / "inputs.json"), str(seconds), str(threads)]
    latency = json.loads(_output(command))
    return _figures(latency, sum(latency))


def _load(address: str, folder: Path, seconds: float, concurrency: int) -> dict[str, float]:
    command = [sys.executable, "-m", "tfrec_zoo.benchmarks.load", address, str(folder / "requests.bin")]
    load = json.loads(_output([*command, "--seconds", str(seconds), "--concurrency", str(concurrency)]))
    if load["errors"]:
        raise TfrecError(f"the server refused requests of the load: {load['errors']}")
    return _figures(load["latency"], load["seconds"])


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise TfrecError(f"{command[1]} {command[2]} failed: {said}")
    return done.stdout


def _histories(spec: DatasetSpec) -> list[list[str]]:
    """Histories of 20 to 60 items in 64 columns, as the client pads them."""
    rng, items = random.Random(0), spec.vocabulary("item")
    lengths = [rng.randint(min(20, len(items)), min(60, len(items))) for _ in range(_REQUESTS)]
    return [[""] * (64 - length) + rng.sample(items, length) for length in lengths]


def _request(history: Sequence[str]) -> bytes:
    from serving import tensors, wire

    request = wire.PredictRequest()
    request.model_spec.name = MODEL
    tensors.encode(np.array([history], dtype=object), request.inputs["history"])
    return request.SerializeToString()


def _synthetic(folder: Path) -> Path:
    import beam_jobs
    from tfrec_zoo.data.synthetic import synthesize

    synthesize(folder / "log.csv")
    options = beam_jobs.PrepareOptions(input=(str(folder / "log.csv"),), output=str(folder / "DATA"), quiet=True)
    beam_jobs.prepare(options)
    return folder / "DATA"


def _export(spec: DatasetSpec, folder: Path) -> Path:
    from tfrec_zoo.export.export_run import export_run
    from tfrec_zoo.training.train import train

    train(MODEL, spec.directory, folder / "RUN", assignments=["training.epochs=1"], quiet=True)
    export_run(folder / "RUN", spec.directory, folder / "models", over_grpc=False)
    return folder / "models"
