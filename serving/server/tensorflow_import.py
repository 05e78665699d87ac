"""Importing TensorFlow as a server needs it: without Keras, and without its greetings on stderr."""

import contextlib
import faulthandler
import importlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


@contextlib.contextmanager
def _held_stderr() -> Iterator[None]:
    """Holds back what C++ writes to stderr, and gives it out after all if the block fails."""
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as held, os.fdopen(original, "wb", closefd=True) as stderr:
        # A crash in here, such as a processor without AVX, would take its words along: let at least the stack show.
        faulthandler.enable(file=stderr)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            stderr.write(held.read())
            raise
        finally:
            faulthandler.disable()
            os.dup2(original, 2)


def import_tensorflow() -> None:
    """Imports TensorFlow.

    A server runs graphs and needs no Keras, whose import takes nearly as long as TensorFlow's own: 2.0 s become 3.7 s.
    TensorFlow writes half a dozen lines about oneDNN and CUDA before any log level counts; they are held back unless
    the environment sets TF_CPP_MIN_LOG_LEVEL=0.
    """
    modules: dict[str, Any] = sys.modules
    for name in ("keras", "tf_keras"):
        if name not in modules:
            modules[name] = None
    level = os.environ.setdefault(_LEVEL, "3")
    with contextlib.nullcontext() if level == "0" else _held_stderr():
        importlib.import_module("tensorflow")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
