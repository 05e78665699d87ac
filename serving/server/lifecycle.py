"""The life of the server: check, load, listen, announce, wait for a signal, drain."""

import argparse
import asyncio
import contextlib
import importlib.util
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from serving.server import config_files, model_config, titles, versions
from serving.server.config_files import Batching, Tls
from serving.server.errors import StartupError
from serving.server.manager import Manager
from serving.server.model_config import ModelSettings
from serving.server.titles import Titles

_MIB = 1 << 20
_PACKAGES = ("grpc", "h11", "tensorflow", "tensorflow_serving")


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_packages(packages: Sequence[str] = _PACKAGES) -> None:
    """Finds out whether the packages that a server needs are there, without importing them.

    Raises:
        StartupError: One isn't installed.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise StartupError(f"{', '.join(missing)} not installed; install the extra: pip install 'tfrec-zoo[serving]'")


def check_port(host: str, port: int) -> None:
    """Finds out whether the port can be had, before anything slow is begun.

    Raises:
        StartupError: The port is in use, or the address isn't one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StartupError(f"can't listen on {_join(host, port)}: {error.strerror or error}") from error


def _settings(args: argparse.Namespace) -> list[ModelSettings]:
    if args.models is not None:
        return model_config.read(Path(args.models))
    return model_config.single(args.model_name, Path(args.model_base_path))


def _batching(args: argparse.Namespace) -> Batching | None:
    if args.batching_parameters is not None:
        path = Path(args.batching_parameters)
        return config_files.batching(config_files.read_text(path), str(path))
    return Batching() if args.enable_batching else None


def _monitoring(args: argparse.Namespace) -> str | None:
    if args.monitoring_config is None:
        return config_files.MONITORING_PATH
    path = Path(args.monitoring_config)
    return config_files.monitoring(config_files.read_text(path), str(path))


def _tls(args: argparse.Namespace) -> Tls | None:
    if args.ssl_config is None:
        return None
    path = Path(args.ssl_config)
    return config_files.tls(config_files.read_text(path), str(path))


def _titles(args: argparse.Namespace) -> Titles:
    return Titles({}) if args.titles is None else titles.read(Path(args.titles))


def _announce(manager: Manager, grpc_address: str, rest_address: str | None, seconds: float) -> None:
    served = {name: model.available() for name, model in manager.models.items()}
    names = ", ".join(
        f"{name} (version{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))})" for name, numbers in served.items()
    )
    rest = f" and http://{rest_address} (REST; a page at /ui)" if rest_address else ""
    print(f"serving {names} on {grpc_address} (gRPC){rest}, ready after {seconds:.1f} s", file=sys.stderr, flush=True)
    print(f"READY grpc={grpc_address}" + (f" rest={rest_address}" if rest_address else ""), flush=True)


def run(args: argparse.Namespace) -> int:
    """Serves until SIGTERM or SIGINT.

    Once requests are answered, one line about the models goes to stderr and `READY grpc=HOST:PORT rest=HOST:PORT` to
    stdout. After a signal no new request is taken, those under way have `drain_seconds` to finish, and a second signal
    ends them at once.

    Args:
        args: What `options.add_arguments` declares.

    Returns:
        Exit status 0.

    Raises:
        StartupError: The configuration, a model or the port is wrong.
    """

    def leave(_number: int, _frame: FrameType | None) -> None:
        os._exit(0)  # nobody is waiting for an answer yet

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    rest_port = args.rest_port
    if rest_port is None:
        rest_port = 8501 if args.grpc_port else 0
    # Everything that a mistake can be in is looked at before TensorFlow is imported, so that it shows at once.
    check_packages()
    check_port(args.host, args.grpc_port)
    if not args.no_rest:
        check_port(args.host, rest_port)
    settings = _settings(args)
    for model in settings:
        versions.to_serve(model)
    files = (_batching(args), _monitoring(args), _tls(args), _titles(args))
    return asyncio.run(_serve(args, settings, None if args.no_rest else rest_port, *files))


async def _serve(
    args: argparse.Namespace,
    settings: list[ModelSettings],
    rest_port: int | None,
    batching: Batching | None,
    monitoring_path: str | None,
    tls: Tls | None,
    item_titles: Titles,
) -> int:
    began = time.monotonic()
    from serving.server.model_processes import ModelProcesses

    processes = ModelProcesses(
        args.model_threads, args.intra_op_threads, args.max_batch_rows, args.max_columns, batching
    )
    processes.start()
    # gRPC is imported while the other process imports TensorFlow.
    from serving.server import grpc_server
    from serving.server.health_service import HealthService
    from serving.server.http_server import HttpServer
    from serving.server.metrics import ServerMetrics
    from serving.server.model_service import ModelService
    from serving.server.page import Page
    from serving.server.prediction_service import PredictionService
    from serving.server.rest_api import RestApi, refusal
    from serving.server.router import Router
    from serving.server.watcher import Watcher

    manager = Manager(processes.spawn, args.load_retries, args.load_retry_seconds)
    watcher = Watcher(manager, Path(args.models) if args.models is not None else None)
    try:
        await watcher.start(settings)
        router = Router(manager, ServerMetrics(), args.max_requests, args.max_pending_mib * _MIB)
        models, health = ModelService(manager, watcher), HealthService()
        handlers = [PredictionService(router).handlers(), models.handlers()]
        if args.health:
            handlers.append(health.handlers())
        server, port = await grpc_server.start(
            handlers, _join(args.host, args.grpc_port), args.max_request_mib * _MIB, tls
        )
        rest: HttpServer | None = None
        rest_address: str | None = None
        if rest_port is not None:
            page = Page(lambda: list(manager.models), port, tls is not None, item_titles)
            api = RestApi(router, models, args.rest_timeout_seconds, monitoring_path, page)
            rest = HttpServer(api.handle, refusal, args.max_request_mib * _MIB, args.rest_timeout_seconds)
            try:
                rest_address = _join(args.host, await rest.start(args.host, rest_port))
            except OSError as error:
                raise StartupError(f"can't listen on {_join(args.host, rest_port)}: {error.strerror}") from error
        first, second = _signals()
        _announce(manager, _join(args.host, port), rest_address, time.monotonic() - began)
        watching = asyncio.create_task(watcher.watch(args.poll_seconds))

        await first.wait()
        watching.cancel()
        health.drain()
        drains = [asyncio.ensure_future(server.stop(args.drain_seconds))]
        if rest is not None:
            drains.append(asyncio.create_task(rest.stop(args.drain_seconds)))
        drained = asyncio.gather(*drains)
        hurry = asyncio.create_task(second.wait())
        waiting: list[asyncio.Future[Any]] = [drained, hurry]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not drained.done():
            await server.stop(0)
        return 0
    finally:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(manager.stop(), 5)
        await processes.stop()


def _signals() -> tuple[asyncio.Event, asyncio.Event]:
    """SIGTERM and SIGINT as events: the first asks to stop, the second to stop at once."""
    first, second = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (second if first.is_set() else first).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    return first, second
