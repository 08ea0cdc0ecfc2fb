"""Eight bits for the trunk and the heads of an ONNX model, float for what they would destroy, see `flow`.

Activations are unsigned and weights signed, each channel with its own range: the pair for which ONNX Runtime has its
fastest kernels on processors of servers. Measured on one core with VNNI at 512x512, both signed instead: no faster than
float32.
"""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from centernet_tf.exports.flow import Flow, float_operators

if TYPE_CHECKING:
    import onnx

IMAGE = "input"
CONVOLUTIONS = ("Conv", "ConvTranspose")
# Kinds that ONNX Runtime computes in eight bits on processors, and those that only move numbers; each conversion
# between two kinds of numbers is a pass over a map. Of transposed convolutions and padding it has no such kernels.
EIGHT_BITS = (
    "Add",
    "AveragePool",
    "Clip",
    "Concat",
    "Conv",
    "GlobalAveragePool",
    "MaxPool",
    "Relu",
    "Reshape",
    "Resize",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
)


class _Reader:
    """Representative inputs as ONNX Runtime asks for them: one after the other, then None."""

    def __init__(self, inputs: Iterator[Mapping[str, np.ndarray]]):
        self.inputs = inputs

    def get_next(self) -> dict[str, np.ndarray] | None:
        one = next(self.inputs, None)
        return None if one is None else dict(one)


def flow_of(model: "onnx.ModelProto") -> Flow:
    """How the nodes of a model are connected; what reads only the shape of a map reads none of its numbers."""
    nodes, others = model.graph.node, {one.name for one in model.graph.input} - {IMAGE}
    makers = {output: number for number, node in enumerate(nodes) for output in node.output}
    shapes = _are(model, "Shape")
    return Flow(
        convolutions=_are(model, *CONVOLUTIONS),
        floors=_are(model, "Floor"),
        aside={number for number, node in enumerate(nodes) if others & set(node.input)},
        before=[
            [] if number in shapes else [makers[name] for name in node.input if name in makers]
            for number, node in enumerate(nodes)
        ],
    )


def of_no_pixels(model: "onnx.ModelProto") -> set[int]:
    """Numbers of the nodes that compute with sizes of maps and constants alone.

    Sizes of other images than those of the calibration would be cut to its range.
    """
    found, pixels = set(), {one.name for one in model.graph.input}
    for number, node in enumerate(model.graph.node):
        if node.op_type != "Shape" and pixels.intersection(node.input):
            pixels.update(node.output)
        else:
            found.add(number)
    return found


def quantized(model: "onnx.ModelProto", inputs: Iterator[Mapping[str, np.ndarray]]) -> "onnx.ModelProto":
    """The model with eight-bit weights and activations; inputs and outputs stay as they are.

    Args:
        model: With the image as "input".
        inputs: Representative ones, {name: array}.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quant_utils, quantize_static

    kept = float_operators(flow_of(model)) | of_no_pixels(model)
    # Its simplifications are the converter's already; without the mark, it advises everybody to run them.
    quant_utils.add_pre_process_metadata(model)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.onnx"
        quantize_static(
            model,
            path,
            _Reader(inputs),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(EIGHT_BITS),
            nodes_to_exclude=[model.graph.node[number].name for number in sorted(kept)],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(path)


def _are(model: "onnx.ModelProto", *kinds: str) -> set[int]:
    """Numbers of all nodes of these kinds."""
    return {number for number, node in enumerate(model.graph.node) if node.op_type in kinds}
