"""The other files that TensorFlow Serving reads, as text protobufs: batching, monitoring, TLS."""

import dataclasses
import itertools
import os
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from serving.server.errors import StartupError
from serving.server.messages import BatchingParameters, MonitoringConfig, SSLConfig

MONITORING_PATH = "/monitoring/prometheus/metrics"


def read_text(path: Path) -> str:
    """Reads a configuration file.

    Raises:
        StartupError: It can't be read, or isn't UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise StartupError(f"can't read {path}: {error.strerror}") from error
    except UnicodeError as error:
        raise StartupError(f"{path}: not a text protobuf: not UTF-8") from error


def parse_text(text: str, message_class: Any, where: str) -> Any:
    """Parses a text protobuf.

    Args:
        text: What the file holds.
        message_class: The message that it must be.
        where: The file's name, for the error.

    Raises:
        StartupError: It is no such message.
    """
    try:
        return text_format.Parse(text, message_class())
    except (text_format.ParseError, UnicodeError, ValueError, TypeError) as error:
        name = message_class.DESCRIPTOR.name
        raise StartupError(f"{where}: not a text {name}: {str(error).splitlines()[0]}") from error


@dataclasses.dataclass(frozen=True)
class Batching:
    """BatchingParameters with TensorFlow Serving's defaults; see `serving.server.batching.BatchingOptions`.

    Kept apart from the code that batches: the front reads the file, and only the processes of models run batches.
    """

    max_batch_size: int = 1000
    timeout: float = 0.0
    max_enqueued_batches: int = 10
    threads: int = dataclasses.field(default_factory=lambda: os.cpu_count() or 1)
    allowed_sizes: tuple[int, ...] = ()
    pad: bool = False
    split: bool = False


def batching(text: str, where: str = "batching_parameters.txt") -> Batching:
    """Reads a BatchingParameters file.

    Raises:
        StartupError: It is no such file, or TensorFlow Serving would refuse a value.
    """
    message = parse_text(text, BatchingParameters, where)
    default = Batching()

    def value(field: str, otherwise: int, least: int) -> int:
        given = getattr(message, field).value if message.HasField(field) else otherwise
        if given < least:
            raise StartupError(f"{where}: {field} is {given}; it must be at least {least}")
        return given

    size = value("max_batch_size", default.max_batch_size, 1)
    allowed = tuple(message.allowed_batch_sizes)
    if any(first >= second for first, second in itertools.pairwise(allowed)) or any(each < 1 for each in allowed):
        raise StartupError(f"{where}: allowed_batch_sizes must be positive and in increasing order")
    if allowed and allowed[-1] != size:
        raise StartupError(
            f"{where}: the last entry of allowed_batch_sizes must equal max_batch_size; last entry was {allowed[-1]}; "
            f"expected {size}"
        )
    return Batching(
        max_batch_size=size,
        timeout=value("batch_timeout_micros", 0, 0) / 1e6,
        max_enqueued_batches=value("max_enqueued_batches", default.max_enqueued_batches, 1),
        threads=value("num_batch_threads", default.threads, 1),
        allowed_sizes=allowed,
        pad=message.pad_variable_length_inputs,
        split=message.enable_large_batch_splitting.value,
    )


def monitoring(text: str, where: str = "monitoring.config") -> str | None:
    """Reads a MonitoringConfig file.

    Returns:
        The path of the metrics, or None where they are not enabled.

    Raises:
        StartupError: It is no such file, or the path doesn't begin with a slash.
    """
    prometheus = parse_text(text, MonitoringConfig, where).prometheus_config
    path = prometheus.path or MONITORING_PATH
    if not path.startswith("/"):
        raise StartupError(f"{where}: path {path!r} must begin with a slash")
    return path if prometheus.enable else None


@dataclasses.dataclass(frozen=True)
class Tls:
    """An SSLConfig: PEM texts as bytes.

    Args:
        key: The server's private key.
        certificate: Its certificate chain.
        client_ca: Authorities that client certificates are checked by; None for the system's.
        verify_client: Whether clients must show a certificate.
    """

    key: bytes
    certificate: bytes
    client_ca: bytes | None
    verify_client: bool


def tls(text: str, where: str = "ssl.config") -> Tls:
    """Reads an SSLConfig file.

    Raises:
        StartupError: It is no such file, or a part is missing.
    """
    message = parse_text(text, SSLConfig, where)
    for field in ("server_key", "server_cert"):
        if "-----BEGIN" not in getattr(message, field):
            raise StartupError(f"{where}: {field} must hold the PEM text itself (-----BEGIN ...), not a file's name")
    if message.client_verify and not message.custom_ca:
        raise StartupError(f"{where}: client_verify needs custom_ca, by which client certificates are checked")
    return Tls(
        key=message.server_key.encode(),
        certificate=message.server_cert.encode(),
        client_ca=message.custom_ca.encode() or None,
        verify_client=message.client_verify,
    )
