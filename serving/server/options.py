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
        "--rest-port",
        type=_int_between(0, 65535),
        metavar="PORT",
        help="port of the REST API; 0 takes a free one (default: 8501, or a free one if --grpc-port is 0)",
    )
    parser.add_argument("--no-rest", action="store_true", help="no REST API, no metrics and no page")
    parser.add_argument(
        "--titles", metavar="CSV", help="titles that the page at /ui of the REST port shows: columns item_id and title"
    )
    parser.add_argument(
        "--enable-batching", action="store_true", help="run requests that wait at the same time as one batch"
    )
    parser.add_argument(
        "--batching-parameters", metavar="FILE", help="enable batching with this text BatchingParameters"
    )
    parser.add_argument(
        "--monitoring-config",
        metavar="FILE",
        help="text MonitoringConfig (default: Prometheus at /monitoring/prometheus/metrics of the REST port)",
    )
    parser.add_argument("--ssl-config", metavar="FILE", help="text SSLConfig: TLS on the gRPC port")
    parser.add_argument("--health", action="store_true", help="also answer grpc.health.v1 on the gRPC port")
    parser.add_argument(
        "--poll-seconds",
        type=_seconds,
        default=1.0,
        metavar="S",
        help="how often versions and --models are looked at again (default: %(default)s)",
    )
    parser.add_argument(
        "--load-retries",
        type=_int_between(0, 1000),
        default=5,
        metavar="N",
        help="how often loading a version is tried again (default: %(default)s)",
    )
    parser.add_argument(
        "--load-retry-seconds", type=_seconds, default=1.0, metavar="S", help="pause before that (default: %(default)s)"
    )
    parser.add_argument(
        "--model-threads",
        type=_int_between(1, 1024),
        default=8,
        metavar="N",
        help="requests that a version works on at the same time; more wait (default: %(default)s)",
    )
    parser.add_argument(
        "--intra-op-threads",
        type=_int_between(0, 1024),
        default=1,
        metavar="N",
        help="threads that one op may use; 0: all processors, as TensorFlow Serving does. With 1, requests that come "
        "together share the processors without getting in each other's way (default: %(default)s)",
    )
    parser.add_argument(
        "--rest-timeout-seconds",
        type=_seconds,
        default=30.0,
        metavar="S",
        help="time that a REST client has to send a request, and the model to answer it (default: %(default)s)",
    )
    parser.add_argument(
        "--drain-seconds",
        type=_seconds,
        default=30.0,
        metavar="S",
        help="time that requests under way have to finish after SIGTERM or SIGINT (default: %(default)s)",
    )
    for flag, default, high, metavar, what in (
        ("--max-request-mib", 1024, 2047, "MIB", "largest request"),
        ("--max-requests", 4096, 1 << 20, "N", "requests under way at the same time; more are told to try again"),
        ("--max-pending-mib", 4096, 1 << 20, "MIB", "the same for the sum of their sizes"),
        ("--max-batch-rows", 1 << 20, 1 << 30, "N", "rows of one request: users, histories, examples"),
        ("--max-columns", 1 << 20, 1 << 30, "N", "second axis of an input: items of a history, candidates"),
    ):
        parser.add_argument(
            flag, type=_int_between(1, high), default=default, metavar=metavar, help=f"{what} (default: %(default)s)"
        )
