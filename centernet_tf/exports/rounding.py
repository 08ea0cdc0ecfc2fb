"""Takes needless rounding out of an eight-bit TFLite model.

TensorFlow's quantiser rounds the result of every sigmoid to 256 steps even where nothing computes in eight bits with
it, and some moves of numbers between float operators. Scores then tie, so that a peak's neighbours become peaks, and
a score that is moved beside coordinates takes on their steps.
"""

from typing import Any

from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

# Operators that only move numbers; their first input holds them.
_MOVES = ("STRIDED_SLICE", "SLICE", "GATHER", "GATHER_ND", "RESHAPE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS")


def without_needless_rounding(content: bytes) -> bytes:
    """The model with every number in float that is rounded and then made float again.

    Args:
        content: A TFLite model with one graph.

    Returns:
        The model; what is computed in eight bits stays so.
    """
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    (graph,) = model.subgraphs
    # Of an eight-bit number the float one it was rounded from; of a float one made again, the same.
    exact: dict[int, int] = {}
    for operator in graph.operators:
        kind, first, result = _kind(model, operator), operator.inputs[0], operator.outputs[0]
        if kind == "QUANTIZE":
            exact[result] = exact.get(first, first)
        elif first not in exact:
            continue
        elif kind == "DEQUANTIZE":
            exact[result] = exact[first]
        elif kind in _MOVES and _is_float(graph, exact[first]) and _made_float(model, graph, result):
            operator.inputs[0] = exact[first]
            graph.tensors[result].type = schema.TensorType.FLOAT32
            graph.tensors[result].quantization = None
            exact[result] = result
    # A requantised number was in eight bits before, so its source is none.
    exact = {one: source for one, source in exact.items() if _is_float(graph, one) and _is_float(graph, source)}
    for operator in graph.operators:
        operator.inputs = [exact.get(tensor, tensor) for tensor in operator.inputs]
    graph.outputs = [exact.get(tensor, tensor) for tensor in graph.outputs]
    _drop_unread(model, graph)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _kind(model: Any, operator: Any) -> str:
    return flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex)


def _made_float(model: Any, graph: Any, tensor: int) -> bool:
    """Whether a number is made float wherever it is read."""
    kinds = {_kind(model, operator) for operator in graph.operators if tensor in operator.inputs}
    return kinds == {"DEQUANTIZE"} and tensor not in graph.outputs


def _is_float(graph: Any, tensor: int) -> bool:
    return graph.tensors[tensor].type == schema.TensorType.FLOAT32


def _drop_unread(model: Any, graph: Any) -> None:
    """Leaves out conversions that nobody reads any more."""
    while True:
        read = {tensor for operator in graph.operators for tensor in operator.inputs} | set(graph.outputs)
        kept = [
            operator
            for operator in graph.operators
            if _kind(model, operator) not in ("QUANTIZE", "DEQUANTIZE") or read & set(operator.outputs)
        ]
        if len(kept) == len(graph.operators):
            return
        graph.operators = kept
