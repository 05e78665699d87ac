"""JSON values to arrays and back, as TensorFlow Serving's REST API understands them."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from serving import tensors
from serving.server.errors import Code, StatusError, invalid_argument
from serving.server.servable import Signature, TensorSpec

_BASE64_KEY = "b64"
_BYTES_SUFFIX = "_bytes"
_INTEGERS: dict[str, Any] = {
    "int32": np.int32,
    "int16": np.int32,
    "int8": np.int32,
    "uint8": np.int32,
}  # read as int32, then narrowed
_WIDE: dict[str, Any] = {"int64": np.int64, "uint32": np.uint32, "uint64": np.uint64}
_FLOATS: dict[str, Any] = {"float": np.float32, "double": np.float64}
_MAX_SHOWN = 200


def parse(body: bytes) -> dict[str, Any]:
    """Parses a request's body.

    Raises:
        StatusError: It is no JSON object.
    """
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    try:
        document = json.loads(body)
    except RecursionError as error:
        raise invalid_argument("JSON Parse error: The document is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise invalid_argument(f"JSON Parse error: {error.msg} at offset: {error.pos}") from error
    except ValueError as error:  # not UTF-8, or a number of thousands of digits
        raise invalid_argument(f"JSON Parse error: {error}") from error
    if not isinstance(document, dict):
        raise invalid_argument(f"JSON Value: {shown(document)} Is not object")
    return document


def shown(value: Any) -> str:
    """Returns a value as JSON for an error message, cut to a readable length."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."


def type_name(value: Any) -> str:
    """Returns JSON's name of a value's type."""
    names = {type(None): "Null", bool: str(value), dict: "Object", list: "Array", str: "String"}
    return names.get(type(value), "Number")


def is_base64(value: Any) -> bool:
    """Tells `{"b64": "..."}` from other objects."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(_BASE64_KEY), str)


def text_bytes(value: Any) -> bytes:
    """Returns the bytes of a string or of a base64 object.

    Raises:
        StatusError: It is another object, not base64, or half a surrogate pair.
    """
    if isinstance(value, dict):
        if not is_base64(value):
            raise invalid_argument(f"JSON Value: {shown(value)} not formatted correctly for base64 data")
        try:
            return base64.b64decode(value[_BASE64_KEY], validate=True)
        except (binascii.Error, ValueError) as error:
            raise invalid_argument("Unable to base64 decode") from error
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise invalid_argument(f"JSON Value: {value!a} is not valid Unicode") from error


def _shape(value: Any) -> list[int]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return shape


def _leaves(value: Any, shape: list[int], level: int, found: list[Any]) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid_argument(
                f"JSON Value: {shown(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        found.append(value)
        return
    if level >= len(shape):
        raise invalid_argument(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid_argument(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for element in value:
        _leaves(element, shape, level + 1, found)


def _number_check(name: str) -> Callable[[Any], bool]:
    if name in _FLOATS:
        return lambda value: isinstance(value, int | float) and not isinstance(value, bool)
    if name == "bool":
        return lambda value: isinstance(value, bool)
    bounds = np.iinfo(_INTEGERS.get(name) or _WIDE[name])
    low, high = int(bounds.min), int(bounds.max)
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _check_lossless(values: list[Any], name: str) -> None:
    info = np.finfo(_FLOATS[name])
    largest_int = (1 << (info.nmant + 1)) - 1
    for value in values:
        if isinstance(value, int):
            exact = abs(value) <= largest_int
        else:
            exact = not np.isfinite(value) or abs(value) <= float(info.max)
        if not exact:
            raise invalid_argument(f"Cannot convert JSON value: {shown(value)} to {name} without loss of precision.")


def to_array(value: Any, spec: TensorSpec) -> np.ndarray:
    """Makes an array of a scalar or of nested lists.

    Args:
        value: What the JSON holds; strings may be `{"b64": ...}`.
        spec: The input, which gives the dtype.

    Returns:
        The array; strings are an object array of bytes.

    Raises:
        StatusError: The lists are ragged, or a value doesn't fit the dtype.
    """
    name = tensors.dtype_name(spec.dtype)
    shape = _shape(value)
    values: list[Any] = []
    _leaves(value, shape, 0, values)

    def wrong(found: Any) -> StatusError:
        return invalid_argument(f"JSON Value: {shown(found)} Type: {type_name(found)} is not of expected type: {name}")

    if name == "string":
        array = np.empty(len(values), dtype=object)
        for index, item in enumerate(values):
            if not isinstance(item, str | dict):
                raise wrong(item)
            array[index] = text_bytes(item)
        return array.reshape(shape)
    if name not in _FLOATS and name not in _INTEGERS and name not in _WIDE and name != "bool":
        raise StatusError(Code.UNIMPLEMENTED, f"Conversion of JSON Value: {shown(value)} to type: {name}")
    fits = _number_check(name)
    for item in values:
        if not fits(item):
            raise wrong(item)
    if name in _FLOATS:
        _check_lossless(values, name)
    wide = _INTEGERS.get(name)
    dtype = tensors.DTYPES[spec.dtype].numpy
    array = np.array(values, dtype=wide).astype(dtype) if wide else np.array(values, dtype=dtype)
    return array.reshape(shape)


def row_inputs(instances: Any, signature: Signature) -> dict[str, np.ndarray]:
    """Reads `instances`: one value or one object for each row of the batch.

    Raises:
        StatusError: The rows don't fit the signature or each other.
    """
    if not isinstance(instances, list):
        raise invalid_argument(f"JSON Value: {shown(instances)} Excepting 'instances' to be an list/array")
    if not instances:
        raise invalid_argument("JSON Value: {\"instances\": []} No values in 'instances' array")
    names = sorted(signature.inputs)
    named = isinstance(instances[0], dict) and not is_base64(instances[0])
    if not named and len(names) > 1:
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    columns: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for index, row in enumerate(instances):
        _add_row(index, row, named, signature, columns)
    return {name: np.stack(rows) for name, rows in columns.items()}


def _add_row(index: int, row: Any, named: bool, signature: Signature, columns: dict[str, list[np.ndarray]]) -> None:
    is_object = isinstance(row, dict) and not is_base64(row)
    if named and not is_object:
        raise invalid_argument(f"Expecting object but got list at item {index} of input list")
    if not named and is_object:
        raise invalid_argument(f"Expecting value/list but got object at item {index} of input list")
    for name, value in row.items() if named else [(next(iter(columns)), row)]:
        where = f"element: {index} key: {name}" if named else f"element: {index}"
        try:
            if name not in signature.inputs:
                raise invalid_argument(f"JSON object: does not have named input: {name}")
            array = to_array(value, signature.inputs[name])
            if columns[name] and array.shape != columns[name][0].shape:
                raise invalid_argument(_other_shape(columns[name][0], array))
        except StatusError as error:
            raise invalid_argument(
                f"Failed to process {where} of 'instances' list. Error: {error.code.name}: {error.message}"
            ) from error
        columns[name].append(array)
    if named and set(row) != set(columns):
        raise invalid_argument(
            f"Failed to process element: {index} of 'instances' list. JSON object: {shown(row)} keys must be equal to: "
            f"{','.join(columns)}"
        )


def _other_shape(expected: np.ndarray, found: np.ndarray) -> str:
    if expected.size != found.size:
        return f"Expecting tensor size: {expected.size} but got: {found.size}"
    first, second = (f"[{','.join(map(str, array.shape))}]" for array in (expected, found))
    return f"Expecting shape {first} but got: {second}"


def column_inputs(inputs: Any, signature: Signature) -> dict[str, np.ndarray]:
    """Reads `inputs`: the whole tensor of the one input, or an object of the tensors of several.

    Raises:
        StatusError: The tensors don't fit the signature.
    """
    names = sorted(signature.inputs)
    if not isinstance(inputs, dict) or is_base64(inputs):
        if len(names) > 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        return {names[0]: to_array(inputs, signature.inputs[names[0]])}
    for name in names:
        if name not in inputs:
            raise invalid_argument(f"Missing named input: {name} in 'inputs' object.")
    return {name: to_array(inputs[name], signature.inputs[name]) for name in names}


def _decimals(array: np.ndarray) -> list[float]:
    """Floats whose JSON is as short as float32 allows: 0.2 and not 0.20000000298023224."""
    if array.dtype == np.float64:
        return array.ravel().tolist()
    single = array.astype(np.float32).ravel()
    values = single.tolist()
    short = [float(f"{value:.6g}") for value in values]
    with np.errstate(over="ignore"):
        exact = (np.array(short, np.float64).astype(np.float32) == single) | ~np.isfinite(single)
    return [
        value if keeps else float(f"{full:.9g}")
        for value, keeps, full in zip(short, exact.tolist(), values, strict=True)
    ]


def _nested(flat: list[Any], shape: tuple[int, ...]) -> Any:
    if not shape:
        return flat[0]
    for size in reversed(shape[1:]):
        flat = [flat[at : at + size] for at in range(0, len(flat), size)] if size else [[]] * shape[0]
    return flat


def from_array(array: np.ndarray, alias: str) -> Any:
    """Makes JSON values of an output.

    Args:
        array: The output.
        alias: Its name; strings of one that ends in `_bytes` are written as `{"b64": ...}`.

    Raises:
        StatusError: JSON has no form for the dtype.
    """
    kind = array.dtype.kind
    if kind == "c":
        raise invalid_argument(f"Failed to write JSON value for tensor type: {array.dtype}")
    if kind == "O":
        raw = array.ravel().tolist()
        if alias.endswith(_BYTES_SUFFIX):
            flat: list[Any] = [{_BASE64_KEY: base64.b64encode(item).decode()} for item in raw]
        else:
            flat = [item.decode(errors="replace") for item in raw]
    elif kind in "fV" or array.dtype.name == "bfloat16":
        flat = _decimals(array)
    else:
        flat = array.ravel().tolist()
    if not array.size:
        return array.tolist()
    return _nested(flat, array.shape)


def rows_of(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Writes outputs in the row format: one value or one object for each row.

    Raises:
        StatusError: An output has no batch axis, or another batch size.
    """
    size = -1
    for alias, array in outputs.items():
        if not array.ndim:
            raise invalid_argument(f"Tensor name: {alias} has no shape information ")
        if size not in (-1, len(array)):
            raise invalid_argument(f"Tensor name: {alias} has inconsistent batch size: {len(array)} expecting: {size}")
        size = len(array)
    columns = {alias: from_array(array, alias) for alias, array in outputs.items()}
    if len(columns) == 1:
        return {"predictions": next(iter(columns.values()))}
    return {"predictions": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]}


def columns_of(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Writes outputs in the column format: each tensor whole.

    Raises:
        StatusError: JSON has no form for a dtype.
    """
    columns = {alias: from_array(array, alias) for alias, array in outputs.items()}
    return {"outputs": next(iter(columns.values())) if len(columns) == 1 else columns}
