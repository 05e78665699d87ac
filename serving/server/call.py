"""A request that was checked against a signature: what the session is to run, and how its outputs become an answer."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from serving.server.servable import Signature

Outputs = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Call:
    """What a request comes to.

    Args:
        signature: The signature to run.
        inputs: One array for each of its inputs, in their order.
        outputs: Aliases to compute, in alphabetical order.
        answer: Makes the bytes for the client of the outputs; may raise StatusError.
    """

    signature: Signature
    inputs: Sequence[np.ndarray]
    outputs: tuple[str, ...]
    answer: Callable[[Outputs], bytes]
