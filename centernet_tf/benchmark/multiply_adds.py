"""Multiply-adds of a network, counted from its layers."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from centernet_tf.layers.upsampling import DepthwiseUpsample
from centernet_tf.points.task import Head

# Their kernels run once for every position of the input, those of all others for every position of the output.
TRANSPOSED = (keras.layers.Conv2DTranspose, DepthwiseUpsample)


def multiply_adds(model: keras.Model, *shapes: tuple[int, ...]) -> int:
    """Products with a kernel in convolutions of every kind and dense layers, for one image.

    A deformable convolution counts as the plain one, and the one that predicts its offsets; its bilinear sampling does
    not count, nor does anything else that has no kernel.

    Args:
        model: Functional model, channels last. Its sizes may be open and models may be nested in it.
        shapes: Of each input without the batch, as (height, width, channels).
    """
    total = 0

    def call(layer: keras.layers.Layer, *inputs: Any, **options: Any) -> Any:
        nonlocal total
        outputs = layer(*inputs, **options)
        read, written = keras.tree.flatten(inputs), keras.tree.flatten(outputs)
        if isinstance(layer, keras.Model):
            total += multiply_adds(layer, *(tensor.shape[1:] for tensor in read))
        else:
            positions = (read if isinstance(layer, TRANSPOSED) else written)[0].shape[1:-1]
            kernels = [weight.shape for weight in layer.weights if weight.name.endswith("kernel")]
            total += math.prod(positions) * sum(math.prod(shape) for shape in kernels) if kernels else 0
        return outputs

    fixed = [keras.Input(shape, dtype=tensor.dtype, name=tensor.name) for shape, tensor in zip(shapes, model.inputs)]
    # The same layers, called once more on inputs of a fixed size: no weight is made.
    fixed = keras.tree.pack_sequence_as(model.input, fixed)
    keras.models.clone_model(model, fixed, clone_function=lambda layer: layer, call_function=call)
    return total


def whole_maps(network: keras.Model, heads: Sequence[Head]) -> keras.Model:
    """The part of a network that detection and training compute at every cell, see `model.cells`.

    Args:
        network: As `build_network` makes it.
        heads: Its heads.

    Returns:
        The same layers without the heads that are read at single cells, whose few products nobody would notice.
    """
    read = {head.name for head in heads if head.at_cells or head.at_centers}
    return keras.Model(network.input, {name: maps for name, maps in network.output.items() if name not in read})
