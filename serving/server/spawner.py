"""A process that has imported TensorFlow and nothing else: every version's process is forked from it.

So a version starts in the time of loading it, without the two seconds and the memory of another import. Run by the
front as `python -m serving.server.spawner FD`, with one end of a socket pair.
"""

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import sys

from serving.server.tensorflow_import import import_tensorflow

_MAX_MESSAGE = 1 << 16


def _fork(message: bytes, connection: socket.socket, control: socket.socket) -> int:
    from serving.server import worker

    child = os.fork()
    if child:
        return child
    control.close()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        worker.main(connection, worker.WorkerSettings.from_json(message))
    finally:
        os._exit(1)


def _reap(control: socket.socket) -> None:
    while True:
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not child:
            return
        code = os.waitstatus_to_exitcode(status)
        with contextlib.suppress(OSError):  # the front has gone
            control.send(json.dumps({"ended": child, "code": code}).encode())


def main(descriptor: int) -> int:
    """Forks a process for every message until the front hangs up.

    A message is the JSON of a WorkerSettings with the process's end of a socket pair. Back come `{"ready": true}` when
    TensorFlow is there, `{"started": pid}` for every message, and `{"ended": pid, "code": n}` for every end.

    Args:
        descriptor: Of a SOCK_SEQPACKET socket.

    Returns:
        Exit status 0.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Its threads would be missing in the forked processes, and a session has its own.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import_tensorflow()
    from serving.server import worker  # noqa: F401  imported once, before the forks

    control = socket.socket(fileno=descriptor)
    wakeup, signalled = socket.socketpair()
    for each in (wakeup, signalled):
        each.setblocking(False)
    signal.set_wakeup_fd(signalled.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    gc.collect()
    gc.freeze()  # a collection would otherwise write to, and so copy, every page that the processes share
    control.send(b'{"ready": true}')
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(wakeup, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is wakeup:
                    wakeup.recv(_MAX_MESSAGE)
                    _reap(control)
                    continue
                message, descriptors, _, _ = socket.recv_fds(control, _MAX_MESSAGE, 1)
                if not message:
                    return 0
                with socket.socket(fileno=descriptors[0]) as connection:
                    child = _fork(message, connection, control)
                control.send(json.dumps({"started": child}).encode())


if __name__ == "__main__":
    status = main(int(sys.argv[1]))
    os._exit(status)
