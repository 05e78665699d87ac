"""`python -m serving.server`: the command-line face of the embedded server."""

import argparse
import logging
import os
import sys

from serving.server import options


def main(argv: list[str] | None = None) -> int:
    """Runs the server until a signal ends it.

    Args:
        argv: Arguments without the program's name; those of the process if None.

    Returns:
        Exit status: 0 after a signal, 1 with one clear line on stderr if the server can't start.
    """
    parser = argparse.ArgumentParser(
        prog="python -m serving.server",
        description="Serve SavedModels through TensorFlow Serving's API, gRPC and REST.",
    )
    options.add_arguments(parser)
    args = parser.parse_args(argv)
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # read when gRPC is imported; its errors are raised as well

    from serving.server import lifecycle
    from serving.server.errors import StartupError

    try:
        return lifecycle.run(args)
    except StartupError as error:
        print(f"serving.server: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: it would wait for every thread, and a session run that outlasts the drain can't be interrupted.
    os._exit(status)
