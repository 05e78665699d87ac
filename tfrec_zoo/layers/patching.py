"""Places of a network where a patch may be put, and what a layer does there.

A network lists its places in the order in which its call passes them (`patch_places`), and takes as many patches, None
where there is none. The patches belong to whoever passes them: one network serves many tasks at once.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

LAYER, NORM = "layer", "norm"

Patches = Sequence[Any]
"""A layer with the call (output, inputs), or None, for every place."""


class Place(NamedTuple):
    """One place.

    Attributes:
        kind: `LAYER`, after a convolution, an attention or a dense layer; `NORM`, after a normalisation.
        inputs: Width of what the patched layer reads.
        output: Width of its output.
    """

    kind: str
    inputs: int
    output: int


def patched(patch: Any, output: Any, inputs: Any) -> Any:
    """The output of a layer, through its patch where there is one."""
    return output if patch is None else patch(output, inputs)
