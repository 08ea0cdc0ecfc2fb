"""Hourglass-104: two networks that go down to 1/128 of the input and up again, one after the other.

Stacked Hourglass Networks for Human Pose Estimation in the form of CornerNet (section 3.4): strided convolutions
instead of pooling, residual blocks throughout. Both stacks are trained; the last one is used.
"""

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from centernet_tf.backbones.blocks import batch_norm, convolution, torch_uniform
from centernet_tf.backbones.resnet import basic_block
from centernet_tf.backbones.wider import center_pooling
from centernet_tf.layers.upsampling import NearestUpsample

STACKS = 2
# Of each level, outermost first: channels outside and inside; two blocks for each part.
LEVELS = ((256, 256), (256, 384), (384, 384), (384, 384), (384, 512))
INNER_BLOCKS = 4


def _convolution(x: Any, filters: int, kernel: int, stride: int, name: str) -> Any:
    """Convolution and its normalisation, without activation."""
    x = convolution(x, filters, kernel, stride, f"{name}_conv", kernel_initializer=torch_uniform())
    return batch_norm(x, f"{name}_norm")


def residual(x: Any, filters: int, stride: int, name: str) -> Any:
    """The residual network's block from PyTorch's default start."""
    return basic_block(x, filters, stride, name, kernel_initializer=torch_uniform())


def level(x: Any, depth: int, name: str) -> Any:
    """One halving of the resolution with all that lies inside it, added to what stays at this resolution.

    Args:
        x: [B, h, w, C], C being the first of `LEVELS[depth]`.
        depth: Index into `LEVELS`, 0 for the outermost.
        name: Start of the layers' names.

    Returns:
        [B, h, w, C].
    """
    outside, inside = LEVELS[depth]
    here = f"{name}_level{depth + 1}"
    side = residual(residual(x, outside, 1, f"{here}_side_block1"), outside, 1, f"{here}_side_block2")
    x = residual(residual(x, inside, 2, f"{here}_down_block1"), inside, 1, f"{here}_down_block2")
    if depth + 1 < len(LEVELS):
        x = level(x, depth + 1, name)
    else:
        for block in range(INNER_BLOCKS):
            x = residual(x, inside, 1, f"{here}_inner_block{block + 1}")
    x = residual(residual(x, inside, 1, f"{here}_up_block1"), outside, 1, f"{here}_up_block2")
    return layers.Add(name=f"{here}_add")([side, NearestUpsample(name=f"{here}_up")(x)])


def hourglass(inputs: Mapping[str, int], pooled: bool = False) -> keras.Model:
    """Two stacked hourglasses at a quarter of the input size.

    Args:
        inputs: Channels of each named input. Their stems are summed.
        pooled: Center pooling behind each stack; the next stack reads what was before it (IP-Net, section 4.1).

    Returns:
        Model from {name: [B, H, W, channels]}, sides multiples of 128, to
        {"stack1": [B, H/4, W/4, 256], "stack2": [B, H/4, W/4, 256]}.
    """
    images = {name: keras.Input((None, None, channels), name=name) for name, channels in inputs.items()}
    start = {"kernel_initializer": torch_uniform()}
    stems = [convolution(image, 128, 7, 2, f"stem_{name}_conv", **start) for name, image in images.items()]
    x = layers.Add(name="stem_add")(stems) if len(stems) > 1 else stems[0]
    x = layers.ReLU(name="stem_relu")(batch_norm(x, "stem_norm"))
    x = residual(x, 256, 2, "stem_block")
    outputs = {}
    for number in range(1, STACKS + 1):
        name = f"stack{number}"
        features = _convolution(level(x, 0, name), 256, 3, 1, f"{name}_out")
        features = layers.ReLU(name=f"{name}_out_relu")(features)
        outputs[name] = center_pooling(features, f"{name}_center") if pooled else features
        if number < STACKS:
            # Before the activation, what entered the stack and what came out of it.
            both = [_convolution(part, 256, 1, 1, f"{name}_{end}") for end, part in (("first", x), ("last", features))]
            x = layers.ReLU(name=f"{name}_next_relu")(layers.Add(name=f"{name}_next_add")(both))
            x = residual(x, 256, 1, f"{name}_next_block")
    return keras.Model(images, outputs, name=f"hourglass104{'_pooled' if pooled else ''}")
