"""The life of the server: check, load, listen, announce, wait for a signal, drain."""

import argparse
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from serving.server import model_config, versions
from serving.server.errors import StartupError
from serving.server.tensorflow_import import import_tensorflow

if TYPE_CHECKING:
    from serving.server.manager import Manager

_MIB = 1 << 20


class _Signals:
    """SIGTERM and SIGINT as events: the first asks to stop, the second to stop at once.

    Until `serving` is set nobody is waiting for an answer, and a signal ends the process on the spot.
    """

    def __init__(self) -> None:
        self.serving = False
        self.first = threading.Event()
        self.second = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if not self.serving:
            os._exit(0)  # an exception would have to find its way out of the import of TensorFlow
        (self.second if self.first.is_set() else self.first).set()


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


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


def _announce(manager: "Manager", address: str, seconds: float) -> None:
    names = ", ".join(
        f"{name} (version{'s' * (len(model.versions) > 1)} {', '.join(map(str, sorted(model.versions)))})"
        for name, model in manager.models.items()
    )
    print(f"serving {names} on {address} (gRPC), ready after {seconds:.1f} s", file=sys.stderr, flush=True)
    print(f"READY grpc={address}", flush=True)


def run(args: argparse.Namespace) -> int:
    """Serves until SIGTERM or SIGINT.

    Once requests are answered, one line about the models goes to stderr and `READY grpc=HOST:PORT` to stdout. After a
    signal no new request is taken, those under way have `drain_seconds` to finish, and a second signal ends them at
    once.

    Args:
        args: What `options.add_arguments` declares.

    Returns:
        Exit status 0.

    Raises:
        StartupError: The configuration, a model or the port is wrong.
    """
    began = time.monotonic()
    signals = _Signals()
    check_port(args.host, args.grpc_port)
    if args.models is not None:
        settings = model_config.read(Path(args.models))
    else:
        settings = model_config.single(args.model_name, Path(args.model_base_path))
    # All directories are looked at before TensorFlow is imported, so that a mistake shows at once.
    chosen = {model.name: versions.to_serve(model) for model in settings}

    import_tensorflow()
    from serving.server import grpc_server, servable
    from serving.server.manager import Manager, ServedModel

    manager = Manager(
        {
            model.name: ServedModel(
                {version: servable.load(model.name, version, path) for version, path in chosen[model.name].items()},
                model.labels,
            )
            for model in settings
        }
    )
    signals.serving = True
    address = _join(args.host, args.grpc_port)
    server, port = grpc_server.start(manager, address, args.grpc_workers, args.max_request_mib * _MIB)
    _announce(manager, _join(args.host, port), time.monotonic() - began)

    signals.first.wait()
    drained = server.stop(args.drain_seconds)
    while not drained.wait(0.05):
        if signals.second.is_set():
            drained = server.stop(0)
    return 0
