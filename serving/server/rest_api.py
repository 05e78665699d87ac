"""TensorFlow Serving's REST API: paths to models, verbs to calls, statuses to HTTP statuses."""

import json
import logging
import re
import time
import urllib.parse

from serving.server.errors import Code, StatusError, invalid_argument
from serving.server.frames import Method
from serving.server.http_server import HttpRequest, HttpResponse
from serving.server.manager import State
from serving.server.messages import ModelSpec
from serving.server.model_service import ModelService
from serving.server.page import Page
from serving.server.router import Router

_log = logging.getLogger(__name__)
_VERSION = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_VERB = re.compile(rf"/v1/models/(?P<name>[^/:]+){_VERSION}:(?P<verb>classify|regress|predict)", re.I | re.A)
_STATUS = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_VERSION}(?P<metadata>/metadata)?", re.I | re.A)
_METHODS = {"predict": Method.REST_PREDICT, "classify": Method.REST_CLASSIFY, "regress": Method.REST_REGRESS}
_HTTP = {
    Code.CANCELLED: 499,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 412,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 416,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.UNAUTHENTICATED: 401,
}
_MAX_VERSION = 2**63 - 1


def refusal(status: int, message: str) -> HttpResponse:
    """Makes the answer that is an error."""
    return HttpResponse(status, json.dumps({"error": message}, indent=4, ensure_ascii=False).encode(errors="replace"))


class RestApi:
    """Answers HTTP requests.

    Args:
        router: Passes requests on to the models.
        models: Tells the state of versions.
        timeout: Seconds that a request may take.
        monitoring_path: Where the metrics are; None for nowhere.
        page: The web page at /ui.
    """

    def __init__(
        self, router: Router, models: ModelService, timeout: float, monitoring_path: str | None, page: Page
    ) -> None:
        self._router = router
        self._models = models
        self._timeout = timeout
        self._monitoring_path = monitoring_path
        self._page = page

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """Answers a request; whatever goes wrong is an answer too."""
        target, _, query = request.target.partition("?")
        path = urllib.parse.unquote(target, errors="replace")
        try:
            if path == self._monitoring_path and request.method == "GET":
                text = self._router.metrics.exposition()
                return HttpResponse(200, text.encode(), "text/plain; version=0.0.4; charset=utf-8")
            if not path.lower().startswith("/v1/"):
                shown = self._page.answer(path, query) if request.method in ("GET", "HEAD") else None
                return shown or refusal(404, "Not Found")
            return HttpResponse(200, await self._answer(request, path))
        except StatusError as error:
            return refusal(_HTTP.get(error.code, 500), error.message)
        except Exception as error:
            _log.exception("a request failed in an unforeseen way")
            return refusal(500, f"{type(error).__name__}: {error}")

    async def _answer(self, request: HttpRequest, path: str) -> bytes:
        verb = _VERB.fullmatch(path) if request.method == "POST" else None
        if verb is not None:
            spec = self._spec(verb)
            deadline = time.monotonic() + self._timeout
            return await self._router.call(_METHODS[verb["verb"].lower()], spec, request.body, deadline)
        status = _STATUS.fullmatch(path) if request.method == "GET" else None
        if status is None:
            raise invalid_argument(f"Malformed request: {request.method} {path}")
        if not status["name"]:
            raise invalid_argument("Missing model name in request.")
        spec = self._spec(status)
        if status["metadata"]:
            _, link = self._router.manager.resolve(spec)
            return link.describe()["json"].encode()
        return json.dumps(self._status(spec), indent=1).encode()

    @staticmethod
    def _spec(match: re.Match[str]) -> ModelSpec:
        spec = ModelSpec(name=match["name"])
        if match["version"]:
            version = int(match["version"][:20])
            if version > _MAX_VERSION:
                raise invalid_argument(f"Failed to convert version: {match['version']} to numeric.")
            spec.version.value = version
        elif match["label"]:
            spec.version_label = match["label"]
        return spec

    def _status(self, spec: ModelSpec) -> dict:
        return {
            "model_version_status": [
                {
                    "version": str(each.version),
                    "state": State(each.state).name,
                    "status": {
                        "error_code": Code(each.status.error_code).name,
                        "error_message": each.status.error_message,
                    },
                }
                for each in self._models.status(spec).model_version_status
            ]
        }
