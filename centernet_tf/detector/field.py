"""How far a network looks: which pixels of its input an output cell can depend on, read off its layers.

Along each axis, cell j of a map depends on pixels step * j + low to step * j + high. Every layer widens that span by
its kernel, its stride and its padding; where maps are joined, the wider one counts.
"""

import dataclasses
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import keras

from centernet_tf.errors import UsageError
from centernet_tf.points.centers import STRIDE

# Layers whose output at a cell depends on the input at that cell alone.
# fmt: off
POINTWISE = frozenset((
    "Activation", "Add", "Average", "BatchNormalization", "CellKernel", "Concatenate", "Dense", "Dropout", "ELU",
    "GaussianNoise", "Identity", "InputLayer", "LayerNormalization", "LayerScale", "LeakyReLU", "Maximum", "Minimum",
    "Multiply", "Normalization", "PReLU", "ReLU", "Relu", "Relu6", "Rescaling", "Sigmoid", "Silu", "Softmax",
    "SpatialDropout2D", "StochasticDepth", "Subtract", "TrueDivide",
))
# fmt: on
GLOBAL = frozenset(("GlobalAveragePooling2D", "GlobalMaxPooling2D", "Flatten", "Mean", "Max", "ToNodes"))


@dataclasses.dataclass(frozen=True)
class Span:
    """Pixels that cell j depends on: step * j + low to step * j + high, the same for both axes."""

    step: Fraction = Fraction(1)
    low: Fraction = Fraction(0)
    high: Fraction = Fraction(0)

    def window(self, kernel: int, stride: int = 1, before: int = 0) -> "Span":
        """Behind a layer whose cell j reads its input from stride * j - before on, `kernel` cells."""
        low, high = self.low - self.step * before, self.high + self.step * (kernel - 1 - before)
        return Span(self.step * stride, low, high)

    def spread(self, kernel: int, factor: int, before: int) -> "Span":
        """Behind a transposed window: cell i of its input reaches `kernel` cells from factor * i - before on."""
        step = self.step / factor
        return Span(step, self.low + step * (before - kernel + 1), self.high + step * before)


@dataclasses.dataclass(frozen=True)
class Field:
    """The receptive field of an output cell.

    Attributes:
        low: First pixel it depends on, from the cell's own first pixel; negative.
        high: Last one, likewise.
        beyond: {layer type: number} of layers that look further than their kernel: at everything (averages over the
            whole map), or wherever their input sends them (deformable convolutions). The span leaves that out.
    """

    low: int
    high: int
    beyond: dict[str, int]

    def halo(self, stride: int) -> int:
        """Pixels around a region that hold all that its peaks depend on, a multiple of the network's stride.

        Whether a cell is a peak depends on the cells next to it too.
        """
        return -(-max(STRIDE - self.low, self.high + 1) // stride) * stride


def receptive_field(network: keras.Model) -> Field | None:
    """The field of a network's outputs, or None where it is no graph of layers and cannot be followed.

    Args:
        network: From images [B, H, W, C] to maps of a quarter of their sides.
    """
    if not getattr(network, "operations", None) or not getattr(network, "inputs", None):
        return None
    beyond: Counter[str] = Counter()
    spans = [span for span in _follow(network, [Span() for _ in network.inputs], beyond) if span is not None]
    whole = _widest(spans) or Span()
    return Field(math.floor(whole.low), math.ceil(whole.high), dict(beyond))


def find_halo(network: keras.Model, backbone: str, stride: int, wanted: int | None = None) -> int:
    """Margin of tiles in pixels, a multiple of the stride; warns where no margin makes them exact.

    Args:
        network: That searches them.
        backbone: Its name, for messages.
        stride: Sides of an input are multiples of it.
        wanted: Pixels that somebody asked for, which are then rounded up; None for as many as the network looks.

    Raises:
        UsageError: Nobody knows how far it looks.
    """
    if wanted is not None:
        return -(-wanted // stride) * stride
    field = receptive_field(network)
    if field is None:
        raise UsageError("The receptive field of this network is unknown. Give halo in pixels.")
    if field.beyond:
        kinds = ", ".join(f"{count} {kind}" for kind, count in field.beyond.items())
        warnings.warn(
            f"{backbone}: tiles only come near to one pass over the whole image, for some layers look further than any "
            f"margin ({kinds}). Give a larger tile to come nearer.",
            stacklevel=4,
        )
    return field.halo(stride)


def _follow(model: keras.Model, starts: Iterable[Span | None], beyond: Counter) -> list[Span | None]:
    """Spans of a model's outputs, from those of its inputs; None for what has no place in the image any more."""
    known: dict[int, Span | None] = {id(tensor): span for tensor, span in zip(model.inputs, starts)}
    calls = [(operation, node) for operation in model.operations for node in operation._inbound_nodes]
    # A layer that is called twice stands where it is called first, so some calls wait for the next round.
    while any(id(tensor) not in known for tensor in model.outputs):
        waiting = []
        for operation, node in calls:
            if not all(id(tensor) in known for tensor in node.input_tensors):
                waiting.append((operation, node))
            elif node.input_tensors:
                given = [known[id(tensor)] for tensor in node.input_tensors]
                if isinstance(operation, keras.Model):
                    made = _follow(operation, given, beyond)
                else:
                    made = [_behind(operation, _widest(given), beyond)] * len(node.output_tensors)
                known |= {id(tensor): span for tensor, span in zip(node.output_tensors, made)}
        calls = waiting
    return [known[id(tensor)] for tensor in model.outputs]


def _widest(spans: Iterable[Span | None]) -> Span | None:
    there = [span for span in spans if span is not None]
    if not there:
        return None
    return Span(max(s.step for s in there), min(s.low for s in there), max(s.high for s in there))


def _behind(layer: Any, span: Span | None, beyond: Counter) -> Span | None:
    """The span behind one layer; what is unknown is counted and taken for pointwise."""
    kind = type(layer).__name__
    if span is None or kind in POINTWISE:
        return span
    if kind in GLOBAL:
        beyond[kind] += 1
        return None
    if kind in RULES:
        return RULES[kind](layer, span, beyond)
    beyond[kind] += 1
    return span


def _convolution(layer: Any, span: Span, _: Counter) -> Span:
    reach = [(side - 1) * dilation + 1 for side, dilation in zip(layer.kernel_size, layer.dilation_rate)]
    return _padded(span, reach, layer.strides, layer.padding)


def _pooling(layer: Any, span: Span, _: Counter) -> Span:
    return _padded(span, layer.pool_size, layer.strides, layer.padding)


def _padded(span: Span, reach: Iterable[int], strides: Iterable[int], padding: str) -> Span:
    """Keras' "same" pads less in front of maps whose sides divide by the stride, as all of ours do."""
    both = [
        span.window(side, stride, max(side - stride, 0) // 2 if padding == "same" else 0)
        for side, stride in zip(reach, strides)
    ]
    return _widest(both)


def _transposed(layer: Any, span: Span, _: Counter) -> Span:
    side, factor = max(layer.kernel_size), max(layer.strides)
    return span.spread(side, factor, max(side - factor, 0) // 2 if layer.padding == "same" else 0)


def _zero_padding(layer: Any, span: Span, _: Counter) -> Span:
    return _widest([span.window(1, 1, before) for before, _ in layer.padding])


def _cropping(layer: Any, span: Span, _: Counter) -> Span:
    return _widest([span.window(1, 1, -before) for before, _ in layer.cropping])


def _upsampling(layer: Any, span: Span, _: Counter) -> Span:
    factor = max(layer.size)
    if layer.interpolation == "nearest":
        return span.spread(factor, factor, 0)
    return span.spread(2 * factor, factor, factor // 2)


def _depthwise_upsample(layer: Any, span: Span, _: Counter) -> Span:
    return span.spread(2 * layer.factor, layer.factor, layer.factor // 2)


def _deformable(layer: Any, span: Span, beyond: Counter) -> Span:
    beyond[type(layer).__name__] += 1
    return span.window(3, 1, 1)


RULES: dict[str, Callable[[Any, Span, Counter], Span]] = {
    "Conv2D": _convolution,
    "DepthwiseConv2D": _convolution,
    "SeparableConv2D": _convolution,
    "MaxPooling2D": _pooling,
    "AveragePooling2D": _pooling,
    "Conv2DTranspose": _transposed,
    "ZeroPadding2D": _zero_padding,
    "Cropping2D": _cropping,
    "UpSampling2D": _upsampling,
    "NearestUpsample": lambda layer, span, _: span.spread(2, 2, 0),
    "DepthwiseUpsample": _depthwise_upsample,
    "DeformableConv2D": _deformable,
}
