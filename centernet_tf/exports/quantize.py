"""Eight bits for the trunk and the heads, float for what eight bits destroy: the decode and moving samples.

A box needs finer coordinates than 256 steps, and scores in 256 steps tie. Positions at which deformable convolutions
sample are such coordinates too.

TensorFlow's quantiser takes every operator it can; its debugger lets some out, and is the public way to say which.
They are found in the calibrated graph by how it flows, not by names of layers, which the converter mixes when it fuses
operators.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.lite.tools import flatbuffer_utils

from centernet_tf.exports.rounding import without_needless_rounding

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")


class Operators:
    """The operators of a TFLite model's only graph.

    Args:
        model: What `flatbuffer_utils.read_model_from_bytearray` returned.

    Attributes:
        kinds: Their names in TFLite, such as "CONV_2D", in an order in which they can run.
        outputs: Per operator, the names of its outputs.
        before: Per operator, the numbers of those whose outputs it reads.
        after: Likewise, of those that read its outputs.
        aside: Numbers of the operators that read an input which is no image.
    """

    def __init__(self, model: Any):
        (graph,) = model.subgraphs
        self.kinds = [flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex) for operator in graph.operators]
        self.outputs = [[graph.tensors[output].name.decode() for output in op.outputs] for op in graph.operators]
        makers = {output: number for number, op in enumerate(graph.operators) for output in op.outputs}
        self.before = [[makers[tensor] for tensor in op.inputs if tensor in makers] for op in graph.operators]
        others = {number for number in graph.inputs if len(graph.tensors[number].shape) != 4}
        self.aside = {number for number, op in enumerate(graph.operators) if others & set(op.inputs)}
        self.after: list[list[int]] = [[] for _ in graph.operators]
        for number, sources in enumerate(self.before):
            for source in sources:
                self.after[source].append(number)

    def reached(self, starts: Iterable[int], neighbours: list[list[int]]) -> set[int]:
        """Operators on paths from these, which end before or at a convolution that is not a start."""
        found, waiting = set(), list(starts)
        while waiting:
            for number in neighbours[waiting.pop()]:
                if number not in found:
                    found.add(number)
                    if self.kinds[number] not in CONVOLUTIONS:
                        waiting.append(number)
        return found

    def are(self, *kinds: str) -> set[int]:
        """Numbers of all operators of these kinds."""
        return {number for number, kind in enumerate(self.kinds) if kind in kinds}


def float_operators(operators: Operators) -> set[int]:
    """Which operators must stay in float.

    The last convolutions, and what follows: the decode. With the last in eight bits, neighbours of a peak tie with it
    (a ResNet-18 of BCCD's three classes lost 0.013 AP so, and nothing otherwise), and they take little time.

    Then those of deformable convolutions, the only ones that round positions down: the convolution that predicts
    positions, and what follows it up to the next convolution.

    And what is computed of inputs beside the image, whose numbers are nothing like its own.
    """
    convolutions = operators.are(*CONVOLUTIONS)
    last = {number for number in convolutions if not operators.reached([number], operators.after) & convolutions}
    moving = operators.reached(operators.are("FLOOR"), operators.before) & convolutions
    return (
        last
        | operators.reached(last, operators.after)
        | moving
        | operators.reached(moving, operators.after) - convolutions
        | operators.aside
        | operators.reached(operators.aside, operators.after)
    )


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
        kept = float_operators(operators)
        others = {kind for number, kind in enumerate(operators.kinds) if number not in kept}
        debugger.options = tf.lite.experimental.QuantizationDebugOptions(
            denylisted_nodes=[name for number in sorted(kept) for name in operators.outputs[number]],
            # By name, operators of several outputs such as top-k are not found.
            denylisted_ops=sorted({operators.kinds[number] for number in kept} - others),
        )
    return without_needless_rounding(debugger.get_nondebug_quantized_model())
