"""The flags of the server, without TensorFlow: `tfrec serve --help` reads them too, then starts the server."""

import argparse
from collections.abc import Callable

DEFAULT_GRPC_PORT = 8500


def _int_between(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return value

    return parse


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the server's flags to a parser.

    Args:
        parser: The parser of `python -m serving.server`, or the subparser of `tfrec serve`, which passes its arguments
            on as they are.
    """
    models = parser.add_mutually_exclusive_group(required=True)
    models.add_argument("--models", metavar="FILE", help="models.config: a text ModelServerConfig")
    models.add_argument(
        "--model-base-path", metavar="DIR", help="serve one model without a file: the directory of its versions"
    )
    parser.add_argument(
        "--model-name",
        default="default",
        metavar="NAME",
        help="name of the model of --model-base-path (default: %(default)s)",
    )
    parser.add_argument(
        "--grpc-port",
        "--port",
        dest="grpc_port",
        type=_int_between(0, 65535),
        default=DEFAULT_GRPC_PORT,
        metavar="PORT",
        help="port of the gRPC API; 0 takes a free one, which the READY line on stdout names (default: %(default)s)",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on; 0.0.0.0 opens the server to the network (default: %(default)s)",
    )
    parser.add_argument(
        "--grpc-workers",
        type=_int_between(1, 1024),
        default=32,
        metavar="N",
        help="requests that are worked on at the same time; more wait (default: %(default)s)",
    )
    parser.add_argument(
        "--max-request-mib",
        type=_int_between(1, 2047),
        default=1024,
        metavar="MIB",
        help="largest request; a larger one is answered with RESOURCE_EXHAUSTED (default: %(default)s)",
    )
    parser.add_argument(
        "--drain-seconds",
        type=_seconds,
        default=30.0,
        metavar="S",
        help="time that requests under way have to finish after SIGTERM or SIGINT (default: %(default)s)",
    )
