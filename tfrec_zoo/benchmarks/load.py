"""A load of PredictRequests from a process of its own: closed loop at a concurrency, or open loop at a rate.

    python -m tfrec_zoo.benchmarks.load ADDRESS REQUESTS.bin --seconds 5 --concurrency 8 > result.json

The requests are sent as the bytes that they are and answers aren't parsed, so that little of what is measured is the
load itself. In an open loop a request's latency counts from the moment at which it was due: a server that stalls can't
hide the requests that it kept from being sent. SIGTERM ends a load before its time.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import dataclasses
import json
import signal
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import grpc

_METHOD = "/tensorflow.serving.PredictionService/Predict"
_LENGTH = struct.Struct("<I")


@dataclasses.dataclass
class Load:
    """What came of a load.

    Attributes:
        began: Of every request, seconds on the monotonic clock.
        latency: Of every answered request, seconds.
        errors: Status code -> number of requests that got it.
        seconds: How long it took altogether.
    """

    began: list[float] = dataclasses.field(default_factory=list)
    latency: list[float] = dataclasses.field(default_factory=list)
    errors: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    seconds: float = 0.0


def write_requests(path: Path, requests: Sequence[bytes]) -> None:
    """Writes serialized requests, each after its length."""
    path.write_bytes(b"".join(_LENGTH.pack(len(request)) + request for request in requests))


def read_requests(path: Path) -> list[bytes]:
    """Reads what `write_requests` wrote."""
    data, at, requests = path.read_bytes(), 0, []
    while at < len(data):
        (size,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size + size
        requests.append(data[at - size : at])
    return requests


async def _one(call: grpc.aio.UnaryUnaryMultiCallable, request: bytes, due: float, load: Load) -> None:
    try:
        await call(request, timeout=30)
    except grpc.aio.AioRpcError as error:
        load.errors[error.code().name] += 1
        return
    load.began.append(due)
    load.latency.append(time.monotonic() - due)


def _told_to_end() -> asyncio.Event:
    """Set by SIGTERM."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    return told


async def closed_loop(address: str, requests: Sequence[bytes], concurrency: int, seconds: float) -> Load:
    """Keeps `concurrency` requests under way for some seconds."""
    load, told = Load(), _told_to_end()
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(_METHOD)
        for request in requests[: 2 * concurrency]:
            await call(request, timeout=30)  # the connection, and the first runs
        began = time.monotonic()

        async def keep_asking(offset: int) -> None:
            number = offset
            while time.monotonic() < began + seconds and not told.is_set():
                await _one(call, requests[number % len(requests)], time.monotonic(), load)
                number += concurrency

        await asyncio.gather(*(keep_asking(offset) for offset in range(concurrency)))
        load.seconds = time.monotonic() - began
    return load


async def open_loop(address: str, requests: Sequence[bytes], rate: float, seconds: float) -> Load:
    """Sends `rate` requests a second, whether they are answered or not."""
    load, told, running = Load(), _told_to_end(), set()
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(_METHOD)
        await call(requests[0], timeout=30)
        began = time.monotonic()
        for number in range(int(rate * seconds)):
            if told.is_set():
                break
            due = began + number / rate
            if due > time.monotonic():
                await asyncio.sleep(due - time.monotonic())
            task = asyncio.create_task(_one(call, requests[number % len(requests)], due, load))
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.gather(*running)
        load.seconds = time.monotonic() - began
    return load


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a load and prints it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tfrec_zoo.benchmarks.load")
    parser.add_argument("address")
    parser.add_argument("requests", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--concurrency", type=int)
    kind.add_argument("--rate", type=float)
    args = parser.parse_args(argv)
    requests = read_requests(args.requests)
    if args.rate:
        load = asyncio.run(open_loop(args.address, requests, args.rate, args.seconds))
    else:
        load = asyncio.run(closed_loop(args.address, requests, args.concurrency, args.seconds))
    json.dump(dataclasses.asdict(load), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
