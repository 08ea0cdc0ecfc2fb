"""A light feature pyramid that brings a trunk's maps back up to a quarter of the input, and the units it is made of.

Feature Pyramid Networks (section 3), for phones with depthwise separable convolutions: every operator has a fast kernel
there and may be quantised to 8 bits. Strided convolutions pad as Keras pads, "same".
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import layers

from centernet_tf.backbones.blocks import BATCH_NORM, he_normal
from centernet_tf.layers.upsampling import NearestUpsample

STRIDES = (4, 8, 16, 32)

# What the layer's name ends in: the layer. TensorFlow Lite has one operator for each.
ACTIVATIONS: Mapping[str, Callable[[str], keras.layers.Layer]] = {
    "relu": lambda name: layers.ReLU(6.0, name=name),
    "hard_swish": lambda name: layers.Activation("hard_silu", name=name),
}


def unit(x: Any, layer: keras.layers.Layer, name: str, activation: str = "relu") -> Any:
    """A convolution, its normalisation and a key of `ACTIVATIONS`, or "" for none; "relu" stops at 6."""
    x = layers.BatchNormalization(name=f"{name}_norm", **BATCH_NORM)(layer(x))
    return ACTIVATIONS[activation](f"{name}_{activation}")(x) if activation else x


def pointwise(filters: int, name: str) -> keras.layers.Layer:
    """Mixes channels: a 1x1 convolution."""
    return layers.Conv2D(filters, 1, use_bias=False, kernel_initializer=he_normal(), name=f"{name}_conv")


def depthwise(kernel: int, stride: int, name: str, padding: str = "same") -> keras.layers.Layer:
    """Filters each channel by itself."""
    # Fan out of a depthwise kernel is its taps; "fan_in" is how Keras counts them.
    start = keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")
    return layers.DepthwiseConv2D(
        kernel, stride, padding, use_bias=False, depthwise_initializer=start, name=f"{name}_depthwise"
    )


def full(kernel: int, filters: int, name: str) -> keras.layers.Layer:
    """Mixes channels and neighbours at once: where multiplications are cheap and memory is not, as on a server."""
    return layers.Conv2D(
        filters, kernel, padding="same", use_bias=False, kernel_initializer=he_normal(), name=f"{name}_conv"
    )


def feature_pyramid(levels: Mapping[int, Any], channels: int = 64, separable: bool = True) -> Any:
    """Adds each deeper map, doubled in size, to the one above it.

    Args:
        levels: {stride: [B, H/stride, W/stride, any channels]} of the strides in `STRIDES`.
        channels: Of every level of the pyramid.
        separable: Filter what was added channel by channel, then mix; otherwise by one 3x3 convolution.

    Returns:
        [B, H/4, W/4, channels].
    """
    y = None
    for stride in sorted(levels, reverse=True):
        side = unit(levels[stride], pointwise(channels, f"pyramid{stride}_side"), f"pyramid{stride}_side")
        if y is not None:
            y = NearestUpsample(name=f"pyramid{stride}_up")(y)
            side = layers.Add(name=f"pyramid{stride}_add")([side, y])
            if separable:
                side = unit(side, depthwise(3, 1, f"pyramid{stride}"), f"pyramid{stride}_depthwise")
            mix = (
                pointwise(channels, f"pyramid{stride}_mix") if separable else full(3, channels, f"pyramid{stride}_mix")
            )
            side = unit(side, mix, f"pyramid{stride}_mix")
        y = side
    return y
