"""MobileNetV2 with a feature pyramid, for phones: every operator has a fast kernel there."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from centernet_tf.backbones.blocks import BATCH_NORM, he_normal

# Expansion, channels, blocks, stride of the first block (MobileNetV2, table 2).
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
PYRAMID = {1: 4, 2: 8, 4: 16, 6: 32}  # stage -> stride of its output; the deepest stage of each stride


def _channels(count: int, width: float) -> int:
    """Multiples of eight keep vector units busy; never below 90 % of what was asked."""
    rounded = max(8, int(count * width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * count * width else rounded


def _unit(x: Any, layer: keras.layers.Layer, name: str, active: bool = True) -> Any:
    """A convolution, its normalisation, and ReLU6 where active."""
    x = layers.BatchNormalization(name=f"{name}_norm", **BATCH_NORM)(layer(x))
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if active else x


def _pointwise(filters: int, name: str) -> keras.layers.Layer:
    return layers.Conv2D(filters, 1, use_bias=False, kernel_initializer=he_normal(), name=f"{name}_conv")


def _depthwise(stride: int, name: str) -> keras.layers.Layer:
    # Fan out of a depthwise kernel is its 9 taps; "fan_in" is how Keras counts them.
    start = keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")
    return layers.DepthwiseConv2D(
        3, stride, "same", use_bias=False, depthwise_initializer=start, name=f"{name}_depthwise"
    )


def inverted_residual(x: Any, filters: int, expansion: int, stride: int, name: str) -> Any:
    """Widen, filter each channel, narrow; with a shortcut where the shape stays (MobileNetV2, section 3.3)."""
    shortcut, channels = x, x.shape[-1]
    if expansion > 1:
        x = _unit(x, _pointwise(expansion * channels, f"{name}_expand"), f"{name}_expand")
    x = _unit(x, _depthwise(stride, name), f"{name}_depthwise")
    x = _unit(x, _pointwise(filters, f"{name}_project"), f"{name}_project", active=False)
    return layers.Add(name=f"{name}_add")([x, shortcut]) if stride == 1 and channels == filters else x


def mobilenetv2_fpn(inputs: Mapping[str, int], width: float = 1.0, pyramid: int = 64) -> keras.Model:
    """MobileNetV2 brought back up to a quarter of the input size by a light feature pyramid.

    Args:
        inputs: Channels of each named input. Their stems are summed.
        width: Factor on the channels of the trunk.
        pyramid: Channels of the pyramid and of the output.

    Returns:
        Model from {name: [B, H, W, channels]}, sides multiples of 32, to {"stack1": [B, H/4, W/4, pyramid]}.
    """
    images = {name: keras.Input((None, None, channels), name=name) for name, channels in inputs.items()}
    stems = [
        layers.Conv2D(
            _channels(32, width), 3, 2, "same", use_bias=False, kernel_initializer=he_normal(), name=f"stem_{name}_conv"
        )(image)
        for name, image in images.items()
    ]
    x = layers.Add(name="stem_add")(stems) if len(stems) > 1 else stems[0]
    x = layers.ReLU(6.0, name="stem_relu")(layers.BatchNormalization(name="stem_norm", **BATCH_NORM)(x))
    levels = {}
    for stage, (expansion, channels, blocks, stride) in enumerate(STAGES):
        for block in range(blocks):
            name = f"stage{stage + 1}_block{block + 1}"
            x = inverted_residual(x, _channels(channels, width), expansion, stride if block == 0 else 1, name)
        if stage in PYRAMID:
            levels[PYRAMID[stage]] = x
    y = None
    for stride in sorted(levels, reverse=True):
        side = _unit(levels[stride], _pointwise(pyramid, f"pyramid{stride}_side"), f"pyramid{stride}_side")
        if y is not None:
            y = layers.UpSampling2D(2, name=f"pyramid{stride}_up")(y)
            side = layers.Add(name=f"pyramid{stride}_add")([side, y])
            side = _unit(side, _depthwise(1, f"pyramid{stride}"), f"pyramid{stride}_depthwise")
            side = _unit(side, _pointwise(pyramid, f"pyramid{stride}_mix"), f"pyramid{stride}_mix")
        y = side
    return keras.Model(images, {"stack1": y}, name="mobilenetv2_fpn")
