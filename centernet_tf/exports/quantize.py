"""Eight bits for the trunk and the heads of a TFLite model, float for what they would destroy, see `flow`.

TensorFlow's quantiser takes every operator it can; its debugger lets some out, and is the public way to say which.
They are found in the calibrated graph.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.lite.tools import flatbuffer_utils

from centernet_tf.exports.flow import Flow, float_operators
from centernet_tf.exports.rounding import without_needless_rounding

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")


class Operators:
    """The operators of a TFLite model's only graph.

    Args:
        model: What `flatbuffer_utils.read_model_from_bytearray` returned.

    Attributes:
        kinds: Their names in TFLite, such as "CONV_2D", in an order in which they can run.
        outputs: Per operator, the names of its outputs.
        flow: How they are connected.
    """

    def __init__(self, model: Any):
        (graph,) = model.subgraphs
        self.kinds = [flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex) for operator in graph.operators]
        self.outputs = [[graph.tensors[output].name.decode() for output in op.outputs] for op in graph.operators]
        makers = {output: number for number, op in enumerate(graph.operators) for output in op.outputs}
        before = [[makers[tensor] for tensor in op.inputs if tensor in makers] for op in graph.operators]
        others = {number for number in graph.inputs if len(graph.tensors[number].shape) != 4}
        aside = {number for number, op in enumerate(graph.operators) if others & set(op.inputs)}
        self.flow = Flow(self.are(*CONVOLUTIONS), self.are("FLOOR"), aside, before)

    def are(self, *kinds: str) -> set[int]:
        """Numbers of all operators of these kinds."""
        return {number for number, kind in enumerate(self.kinds) if kind in kinds}


def quantized(converter: tf.lite.TFLiteConverter, inputs: Callable[[], Iterator[dict[str, np.ndarray]]]) -> bytes:
    """Converts with eight-bit weights and activations.

    Args:
        converter: For a model with one signature.
        inputs: Function that begins an iteration over representative inputs, {name: array}.

    Returns:
        The TFLite model; its inputs and outputs stay float32.
    """
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = inputs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The debugger's interpreter asks to be replaced.
        debugger = tf.lite.experimental.QuantizationDebugger(converter=converter)
        operators = Operators(flatbuffer_utils.read_model_from_bytearray(bytearray(debugger.calibrated_model)))
        kept = float_operators(operators.flow)
        others = {kind for number, kind in enumerate(operators.kinds) if number not in kept}
        debugger.options = tf.lite.experimental.QuantizationDebugOptions(
            denylisted_nodes=[name for number in sorted(kept) for name in operators.outputs[number]],
            # By name, operators of several outputs such as top-k are not found.
            denylisted_ops=sorted({operators.kinds[number] for number in kept} - others),
        )
    return without_needless_rounding(debugger.get_nondebug_quantized_model())
