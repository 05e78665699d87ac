"""One user's inputs by name, of texts: what `tfrec query --input NAME=VALUE` sends."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from serving import histories

_HISTORY = "history"
_NUMPY = {"string": object, "float": np.float32, "double": np.float64}
_UNKNOWN = {"string": "", "float": "nan", "double": "nan"}
"""What stands for an input that isn't given; 0 of any other dtype."""

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def one_row(declared: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Makes the inputs of a signature for one user.

    Args:
        declared: Alias -> (dtype, shape), as `Client.metadata` gives them.
        given: Alias -> value; several values are separated by commas.

    Returns:
        Alias -> array of one row, for every declared input; what isn't given is unknown.

    Raises:
        ValueError: A name that the signature hasn't, or a value that is no number where one is wanted.
    """
    for alias in given:
        if alias not in declared:
            raise ValueError(f"the signature has no input {alias!r}; it has {', '.join(declared)}")
    return {alias: _array(alias, dtype, shape, given.get(alias)) for alias, (dtype, shape) in declared.items()}


def _array(alias: str, dtype: str, shape: tuple[int, ...] | None, text: str | None) -> np.ndarray:
    if shape is not None and len(shape) > 1:
        values = [value for value in (text or "").split(",") if value]
        return histories.pad_left([values]) if alias == _HISTORY else histories.pad_right([values], least=1)
    value = _UNKNOWN.get(dtype, "0") if text is None else text
    if dtype == "bool":
        if value.lower() not in _BOOLEANS:
            raise ValueError(f"--input {alias}={value}: {value!r} is neither true nor false")
        return np.array([_BOOLEANS[value.lower()]])
    try:
        return np.array([value]).astype(_NUMPY.get(dtype, dtype))
    except ValueError:
        raise ValueError(f"--input {alias}={value}: {value!r} is no {dtype}") from None
