"""Numbers and files as TensorFlow Serving's interfaces carry them: JSON of REST, TensorProto of gRPC."""

import base64
from typing import Any

import numpy as np

STRING, FLOAT, INT = 7, 1, 3  # numbers of types in tensorflow/core/framework/types.proto


def as_json(values: Any) -> list[Any]:
    """Numbers, or files in base64, as REST takes them."""
    if len(values) and isinstance(values[0], bytes):
        return [{"b64": base64.b64encode(data).decode("ascii")} for data in values]
    return np.asarray(values).tolist()


def fill(tensor: Any, values: Any) -> None:
    """Writes numbers [...] or files [N] into a TensorProto."""
    if len(values) and isinstance(values[0], bytes):
        tensor.dtype = STRING
        tensor.tensor_shape.dim.add().size = len(values)
        tensor.string_val.extend(values)
        return
    whole = np.asarray(values).dtype.kind in "iu"
    tensor.dtype = INT if whole else FLOAT
    for side in values.shape:
        tensor.tensor_shape.dim.add().size = side
    tensor.tensor_content = values.astype("<i4" if whole else "<f4").tobytes()


def as_array(tensor: Any) -> np.ndarray:
    """A TensorProto of numbers as an array; a server may fill either of two fields. Raises ValueError for others."""
    if tensor.dtype not in (FLOAT, INT):
        raise ValueError(f"type {tensor.dtype}, expected float32 or int32")
    dtype, listed = (np.float32, tensor.float_val) if tensor.dtype == FLOAT else (np.int32, tensor.int_val)
    shape = [side.size for side in tensor.tensor_shape.dim]
    values = np.frombuffer(tensor.tensor_content, dtype) if tensor.tensor_content else listed
    return np.asarray(values, dtype).reshape(shape)
