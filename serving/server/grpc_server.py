"""The gRPC face of a manager: its services on a port."""

from concurrent import futures

import grpc

from serving.server.errors import StartupError, first_line
from serving.server.manager import Manager
from serving.server.model_service import ModelService
from serving.server.prediction_service import PredictionService


def start(manager: Manager, address: str, workers: int, max_request_bytes: int) -> tuple[grpc.Server, int]:
    """Starts to answer requests.

    Args:
        manager: Finds the servables.
        address: `host:port`; port 0 takes a free one.
        workers: Requests that run at the same time.
        max_request_bytes: Largest request; gRPC answers a larger one with RESOURCE_EXHAUSTED.

    Returns:
        The started server and its port.

    Raises:
        StartupError: The address can't be listened on.
    """
    server = grpc.server(
        futures.ThreadPoolExecutor(workers, thread_name_prefix="grpc"),
        options=[
            ("grpc.max_receive_message_length", max_request_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # two servers on one port would each get a part of the requests
        ],
    )
    server.add_generic_rpc_handlers([PredictionService(manager).handlers(), ModelService(manager).handlers()])
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise StartupError(f"can't listen on {address}: {first_line(error)}") from error
    server.start()
    return server, port
