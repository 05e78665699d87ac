"""Replays requests against a version over gRPC, through a server of its own: a part of the export gate.

    python -m serving.replay BASE_PATH REQUESTS.json ANSWERS.json

REQUESTS: [{"signature": name, "inputs": {alias: nested list}}, ...], bytes as {"b64": text}; ANSWERS: the outputs of
each, in the same form. Exit status 1 with one line when the server doesn't get ready or a request fails.
"""

import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from serving import launcher
from serving.client import Client, ServingError

_NAME = "gate"


def _array(value: Any, dtype: str) -> np.ndarray:
    def decoded(each: Any) -> Any:
        if isinstance(each, list):
            return [decoded(item) for item in each]
        return base64.b64decode(each["b64"]) if isinstance(each, dict) else each

    numpy_type = {"string": object, "float": np.float32, "double": np.float64}.get(dtype, dtype)
    return np.array(decoded(value), dtype=numpy_type)


def _lists(array: np.ndarray) -> Any:
    if array.dtype == object:
        return np.vectorize(lambda text: text.decode("utf-8"), otypes=[object])(array).tolist()
    return array.tolist()


def replay(base_path: str, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Answers of the requests, each a dict of output alias -> nested list.

    Raises:
        ServingError: A request was refused.
        LaunchError: The server didn't get ready; why is the first line that it said.
    """
    flags = ["--model-name", _NAME, "--model-base-path", base_path, "--grpc-port", "0", "--no-rest"]
    with tempfile.TemporaryFile("w+") as log:
        try:
            with launcher.running(flags, timeout=120, stderr=log) as server, Client(server.address, 60) as client:
                signatures = client.metadata(_NAME)
                answers = []
                for request in requests:
                    declared = signatures[request["signature"]]["inputs"]
                    inputs = {alias: _array(value, declared[alias][0]) for alias, value in request["inputs"].items()}
                    outputs = client.predict(_NAME, inputs, signature=request["signature"])
                    answers.append({alias: _lists(value) for alias, value in outputs.items()})
                return answers
        except launcher.LaunchError as error:
            log.seek(0)
            raise launcher.LaunchError(log.readline().strip() or str(error)) from error


def main(base_path: str, requests_path: str, answers_path: str) -> int:
    """Replays a file of requests; returns the exit status."""
    requests = json.loads(Path(requests_path).read_text(encoding="utf-8"))
    try:
        answers = replay(base_path, requests)
    except (ServingError, launcher.LaunchError, KeyError, OSError, subprocess.SubprocessError) as error:
        print(" ".join(str(error).split())[:500], file=sys.stderr)
        return 1
    Path(answers_path).write_text(json.dumps(answers), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
