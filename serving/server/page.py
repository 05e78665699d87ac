"""The web page at /ui: its static files, and the little that it asks beside TensorFlow Serving's REST API."""

import json
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving.server import protoset
from serving.server.http_server import HttpResponse
from serving.server.titles import Titles

_FOLDER = Path(__file__).parent / "ui"
_CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-cache"),
)
_MAX_FOUND = 20


class Page:
    """Answers for every path under /ui; the files are read once, so that no path can name another.

    Args:
        model_names: Tells the names of the models that are served.
        grpc_port: Port of the gRPC API.
        tls: Whether gRPC is encrypted.
        titles: Of the items.
    """

    def __init__(self, model_names: Callable[[], list[str]], grpc_port: int, tls: bool, titles: Titles) -> None:
        self._model_names = model_names
        self._server = {"grpc_port": grpc_port, "tls": tls, "titles": len(titles)}
        self._titles = titles
        self._files = {
            f"/ui/{file.name}": _response(file.read_bytes(), _CONTENT_TYPES[file.suffix])
            for file in sorted(_FOLDER.iterdir())
        }
        self._files["/ui"] = self._files["/ui/"] = self._files["/ui/index.html"]
        self._files["/ui/predict.protoset"] = _response(protoset.predict(), "application/octet-stream")

    def answer(self, path: str, query: str) -> HttpResponse | None:
        """Answers a GET.

        Args:
            path: The path, decoded.
            query: What stands behind its question mark.

        Returns:
            The answer; None if the page has no such path.
        """
        if path == "/ui/server.json":
            return _json({"models": self._model_names(), **self._server})
        if path == "/ui/items.json":
            return _json(self._items(urllib.parse.parse_qs(query)))
        return self._files.get(path)

    def _items(self, asked: dict[str, list[str]]) -> dict[str, str]:
        if "search" in asked:
            return self._titles.search(asked["search"][0], _MAX_FOUND)
        return self._titles.of(asked.get("id", []))


def _response(body: bytes, content_type: str) -> HttpResponse:
    return HttpResponse(200, body, content_type, _HEADERS)


def _json(document: Any) -> HttpResponse:
    return _response(json.dumps(document, ensure_ascii=False).encode(errors="replace"), "application/json")
