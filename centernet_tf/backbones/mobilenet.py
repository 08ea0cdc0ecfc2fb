"""MobileNetV2 and MobileNetV3 with a feature pyramid, for phones: every operator has a fast kernel there.

And MobileNetV2 with the joints of DLA-34, as CenterTrack has it.
"""

import math
from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from centernet_tf.backbones.blocks import BATCH_NORM, batch_norm, convolution, he_normal
from centernet_tf.backbones.dla import neck
from centernet_tf.backbones.pyramid import ACTIVATIONS, depthwise, feature_pyramid, pointwise, unit
from centernet_tf.errors import UsageError

WIDEST = 4  # times the published channels; beyond it is a mistake, not a phone's network

# Expansion, channels, blocks, stride of the first block (MobileNetV2, table 2).
STAGES_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
# Kernel, expanded channels, channels, squeeze and excite, activation, stride (MobileNetV3, table 1, Large).
BLOCKS_V3 = (
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2),
    (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2),
    (5, 120, 40, True, "relu", 1),
    (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hard_swish", 2),
    (3, 200, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1),
    (3, 480, 112, True, "hard_swish", 1),
    (3, 672, 112, True, "hard_swish", 1),
    (5, 672, 160, True, "hard_swish", 2),
    (5, 960, 160, True, "hard_swish", 1),
    (5, 960, 160, True, "hard_swish", 1),
)


def parse_width(text: str) -> float:
    """The factor on the channels of a trunk, as users write it.

    Raises:
        UsageError: No number, or none above 0 and up to `WIDEST`.
    """
    try:
        width = float(text)
    except ValueError:
        width = math.nan
    if not 0 < width <= WIDEST:
        raise UsageError(f"{text!r} is not a valid width. Expected a number above 0 and up to {WIDEST}, such as 0.5.")
    return width


def scaled(count: int, width: float) -> int:
    """Multiples of eight keep vector units busy; never below 90 % of what was asked."""
    rounded = max(8, int(count * width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * count * width else rounded


def squeeze_excite(x: Any, name: str) -> Any:
    """Weighs each channel by what all channels are on average (Squeeze-and-Excitation Networks, section 3)."""
    # Biases, since no normalisation follows.
    options: dict[str, Any] = {"kernel_initializer": he_normal()}
    y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(x)
    y = layers.Conv2D(scaled(x.shape[-1], 1 / 4), 1, activation="relu", name=f"{name}_reduce", **options)(y)
    y = layers.Conv2D(x.shape[-1], 1, activation="hard_sigmoid", name=f"{name}_expand", **options)(y)
    return layers.Multiply(name=f"{name}_scale")([x, y])


def inverted_residual(
    x: Any,
    filters: int,
    expanded: int,
    stride: int,
    name: str,
    kernel: int = 3,
    squeeze: bool = False,
    activation: str = "relu",
    padding: str = "same",
) -> Any:
    """Widen, filter each channel, narrow; with a shortcut where the shape stays (MobileNetV2, section 3.3).

    Args:
        x: [B, h, w, C].
        filters: Channels of the result.
        expanded: Channels in between; C leaves the widening out.
        stride: Of the filter.
        name: Start of the layers' names.
        kernel: Side of the filter.
        squeeze: Weigh the channels after the filter (MobileNetV3, section 5.3).
        activation: Key of `ACTIVATIONS`.
        padding: Of the filter: "same", or "torch" for as much on every side.

    Returns:
        [B, h/stride, w/stride, filters].
    """
    shortcut, channels = x, x.shape[-1]
    if expanded != channels:
        x = unit(x, pointwise(expanded, f"{name}_expand"), f"{name}_expand", activation)
    if padding == "torch" and stride > 1:
        x, padding = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x), "valid"
    filtered = depthwise(kernel, stride, name, "valid" if padding == "valid" else "same")
    x = unit(x, filtered, f"{name}_depthwise", activation)
    if squeeze:
        x = squeeze_excite(x, f"{name}_squeeze")
    x = unit(x, pointwise(filters, f"{name}_project"), f"{name}_project", activation="")
    return layers.Add(name=f"{name}_add")([x, shortcut]) if stride == 1 and channels == filters else x


def _stem(inputs: Mapping[str, int], filters: int, activation: str) -> tuple[dict[str, Any], Any]:
    """The named inputs, and their 3x3 convolutions of stride 2 summed, [B, H/2, W/2, filters]."""
    images = {name: keras.Input((None, None, channels), name=name) for name, channels in inputs.items()}
    options: dict[str, Any] = {"use_bias": False, "kernel_initializer": he_normal()}
    stems = [
        layers.Conv2D(filters, 3, 2, "same", name=f"stem_{name}_conv", **options)(image)
        for name, image in images.items()
    ]
    x = layers.Add(name="stem_add")(stems) if len(stems) > 1 else stems[0]
    x = layers.BatchNormalization(name="stem_norm", **BATCH_NORM)(x)
    return images, ACTIVATIONS[activation](f"stem_{activation}")(x)


def mobilenetv2_fpn(inputs: Mapping[str, int], width: float = 1.0, pyramid: int = 64) -> keras.Model:
    """MobileNetV2 brought back up to a quarter of the input size by a light feature pyramid.

    Args:
        inputs: Channels of each named input. Their stems are summed.
        width: Factor on the channels of the trunk.
        pyramid: Channels of the pyramid and of the output.

    Returns:
        Model from {name: [B, H, W, channels]}, sides multiples of 32, to {"stack1": [B, H/4, W/4, pyramid]}.
    """
    images, x = _stem(inputs, scaled(32, width), "relu")
    levels = _trunk_v2(x, width)
    return keras.Model(images, {"stack1": feature_pyramid(levels, pyramid)}, name="mobilenetv2_fpn")


def _trunk_v2(x: Any, width: float = 1.0, padding: str = "same") -> dict[int, Any]:
    """{stride: map} at strides 4 to 32 of what the stem made, each the deepest of its stride."""
    reached, levels = 2, {}
    for stage, (expansion, channels, blocks, stride) in enumerate(STAGES_V2, start=1):
        for block in range(1, blocks + 1):
            name, step = f"stage{stage}_block{block}", stride if block == 1 else 1
            expanded, filters = expansion * x.shape[-1], scaled(channels, width)
            x = inverted_residual(x, filters, expanded, step, name, padding=padding)
        reached *= stride
        levels[reached] = x  # the deepest map of each stride is the one that stays
    del levels[2]
    return levels


def mobilenetv2_dla(inputs: Mapping[str, int]) -> keras.Model:
    """MobileNetV2 with the deformable joints of DLA-34 (CenterTrack, official code, `--backbone mobilenet`).

    Args:
        inputs: Channels of each named input. The first is the image, whose stem ends with ReLU6; those of the others
            end with their normalisation, and are added to it.

    Returns:
        Model from {name: [B, H, W, channels]}, sides multiples of 32, to {"stack1": [B, H/4, W/4, 24]}.
    """
    images = {name: keras.Input((None, None, channels), name=name) for name, channels in inputs.items()}
    stems = []
    for name, image in images.items():
        x = batch_norm(convolution(image, 32, 3, 2, f"stem_{name}_conv"), f"stem_{name}_norm")
        stems.append(x if stems else layers.ReLU(6.0, name=f"stem_{name}_relu")(x))
    x = layers.Add(name="stem_add")(stems) if len(stems) > 1 else stems[0]
    levels = [level for _, level in sorted(_trunk_v2(x, padding="torch").items())]
    junctions = [level.shape[-1] for level in reversed(levels[:-1])]
    return keras.Model(images, {"stack1": neck(levels, junctions, True)}, name="mobilenetv2_dla")


def mobilenetv3_fpn(inputs: Mapping[str, int], width: float = 1.0, pyramid: int = 64) -> keras.Model:
    """MobileNetV3-Large brought back up to a quarter of the input size by the same pyramid.

    The last 1x1 convolution of the trunk, to 960 channels, is left out: the pyramid would narrow them at once.

    Args:
        inputs: Channels of each named input. Their stems are summed.
        width: Factor on the channels of the trunk.
        pyramid: Channels of the pyramid and of the output.

    Returns:
        Model from {name: [B, H, W, channels]}, sides multiples of 32, to {"stack1": [B, H/4, W/4, pyramid]}.
    """
    images, x = _stem(inputs, scaled(16, width), "hard_swish")
    reached, levels = 2, {}
    for number, (kernel, expanded, channels, squeeze, activation, stride) in enumerate(BLOCKS_V3, start=1):
        filters, widened = scaled(channels, width), scaled(expanded, width)
        x = inverted_residual(x, filters, widened, stride, f"block{number}", kernel, squeeze, activation)
        reached *= stride
        levels[reached] = x
    del levels[2]
    return keras.Model(images, {"stack1": feature_pyramid(levels, pyramid)}, name="mobilenetv3_fpn")
