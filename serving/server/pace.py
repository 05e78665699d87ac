"""How a version that loads leaves room for those that serve."""

import contextlib
import time
from collections.abc import Iterator


@contextlib.contextmanager
def pace(gently: bool) -> Iterator[None]:
    """Pauses after the block for as long as it took.

    A priority settles who gets a processor; caches and memory are shared all the same, until there is a pause.

    Args:
        gently: Whether to pause at all.
    """
    began = time.monotonic()
    yield
    if gently:
        time.sleep(time.monotonic() - began)
