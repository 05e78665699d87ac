"""The gRPC face of the server: its services on a port."""

from collections.abc import Sequence

import grpc

from serving.server.config_files import Tls
from serving.server.errors import StartupError, first_line

_KEEPALIVE_SECONDS = 60


async def start(
    handlers: Sequence[grpc.GenericRpcHandler], address: str, max_request_bytes: int, tls: Tls | None
) -> tuple[grpc.aio.Server, int]:
    """Starts to answer requests.

    Args:
        handlers: The services.
        address: `host:port`; port 0 takes a free one.
        max_request_bytes: Largest request; gRPC answers a larger one with RESOURCE_EXHAUSTED.
        tls: Keys and certificates; None to talk in the clear.

    Returns:
        The started server and its port.

    Raises:
        StartupError: The address can't be listened on, or the certificates can't be used.
    """
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", max_request_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # two servers on one port would each get a part of the requests
            # A peer that vanished without a word is noticed, and its connection given up.
            ("grpc.keepalive_time_ms", _KEEPALIVE_SECONDS * 1000),
            ("grpc.http2.min_ping_interval_without_data_ms", 5000),
        ],
    )
    server.add_generic_rpc_handlers(tuple(handlers))
    try:
        if tls is None:
            port = server.add_insecure_port(address)
        else:
            credentials = grpc.ssl_server_credentials(
                [(tls.key, tls.certificate)], tls.client_ca, require_client_auth=tls.verify_client
            )
            port = server.add_secure_port(address, credentials)
    except (RuntimeError, ValueError) as error:
        reason = "the key and certificates can't be used" if tls else first_line(error)
        raise StartupError(f"can't listen on {address}: {reason}") from error
    await server.start()
    return server, port
