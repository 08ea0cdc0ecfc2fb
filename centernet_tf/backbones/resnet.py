"""Residual networks brought back up to a quarter of the input, by plain or by deformable convolutions or by a pyramid.

The trunk is torchvision's; the first two necks are the official code's `msra_resnet` (Simple Baselines for Human Pose
Estimation) and `resnet_dcn` (Objects as Points, section 5). The pyramid is later practice (TTFNet, too, joins the
trunk's maps on the way up): fine maps say where edges are, and it costs a fraction of transposed convolutions.
"""

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from centernet_tf.backbones.blocks import batch_norm, convolution, torch_uniform, upsample
from centernet_tf.backbones.pyramid import feature_pyramid
from centernet_tf.layers.deformable import DeformableConv2D
from centernet_tf.layers.upsampling import FirstBilinear

# Depth: blocks of each stage (Deep Residual Learning, table 1). From 50 layers on a block narrows before it filters.
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
BOTTLENECK_FROM = 50
EXPANSION = 4


def basic_block(x: Any, filters: int, stride: int, name: str, **options: Any) -> Any:
    """Two 3x3 convolutions and a shortcut; options are those of the convolutions."""
    shortcut = _shortcut(x, filters, stride, name, **options)
    x = batch_norm(convolution(x, filters, 3, stride, f"{name}_conv1", **options), f"{name}_norm1")
    x = layers.ReLU(name=f"{name}_relu1")(x)
    x = batch_norm(convolution(x, filters, 3, 1, f"{name}_conv2", **options), f"{name}_norm2")
    return layers.ReLU(name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([x, shortcut]))


def bottleneck(x: Any, filters: int, stride: int, name: str) -> Any:
    """Narrows, filters by 3x3, widens to four times the filters, and a shortcut; the 3x3 convolution has the stride."""
    shortcut = _shortcut(x, EXPANSION * filters, stride, name)
    x = batch_norm(convolution(x, filters, 1, 1, f"{name}_conv1"), f"{name}_norm1")
    x = layers.ReLU(name=f"{name}_relu1")(x)
    x = batch_norm(convolution(x, filters, 3, stride, f"{name}_conv2"), f"{name}_norm2")
    x = layers.ReLU(name=f"{name}_relu2")(x)
    x = batch_norm(convolution(x, EXPANSION * filters, 1, 1, f"{name}_conv3"), f"{name}_norm3")
    return layers.ReLU(name=f"{name}_relu3")(layers.Add(name=f"{name}_add")([x, shortcut]))


def _shortcut(x: Any, filters: int, stride: int, name: str, **options: Any) -> Any:
    """The input itself where it has the block's shape, else brought to it."""
    if stride == 1 and x.shape[-1] == filters:
        return x
    x = convolution(x, filters, 1, stride, f"{name}_shortcut_conv", **options)
    return batch_norm(x, f"{name}_shortcut_norm")


def trunk(images: Mapping[str, Any], depth: int) -> dict[int, Any]:
    """Residual network without its classifier.

    Args:
        images: {input: [B, H, W, channels]}. Their stems are summed, so a second input costs one convolution.
        depth: Key of `BLOCKS`.

    Returns:
        {stride: [B, H/stride, W/stride, 16 x stride channels]} for strides 4 to 32, thus 64 to 512; four times as
        many channels where the blocks are bottlenecks.
    """
    stems = [convolution(image, 64, 7, 2, f"stem_{name}_conv") for name, image in images.items()]
    x = layers.Add(name="stem_add")(stems) if len(stems) > 1 else stems[0]
    x = layers.ReLU(name="stem_relu")(batch_norm(x, "stem_norm"))
    # Zeros stand for minus infinity here: nothing is below zero after ReLU.
    x = layers.MaxPooling2D(3, 2, name="stem_pool")(layers.ZeroPadding2D(1, name="stem_pad")(x))
    block_of = bottleneck if depth >= BOTTLENECK_FROM else basic_block
    levels = {}
    for stage, count in enumerate(BLOCKS[depth]):
        for block in range(count):
            stride = 2 if stage > 0 and block == 0 else 1
            x = block_of(x, 64 * 2**stage, stride, f"stage{stage + 1}_block{block + 1}")
        levels[4 * 2**stage] = x
    return levels


def resnet(inputs: Mapping[str, int], depth: int, deformable: bool = False) -> keras.Model:
    """Residual network at a quarter of the input size.

    Args:
        inputs: Channels of each named input.
        depth: Number of weighted layers, a key of `BLOCKS`.
        deformable: Put a deformable convolution before each of the three transposed ones, and shrink the channels from
            256 to 128 to 64 on the way up, instead of 256 throughout.

    Returns:
        Model from {name: [B, H, W, channels]}, sides multiples of 32, to {"stack1": [B, H/4, W/4, 64 or 256]}.
    """
    images = {name: keras.Input((None, None, channels), name=name) for name, channels in inputs.items()}
    x = trunk(images, depth)[32]
    small = keras.initializers.RandomNormal(stddev=0.001)
    for level, filters in enumerate((256, 128, 64) if deformable else (256, 256, 256), start=1):
        if deformable:
            x = DeformableConv2D(filters, name=f"up{level}_deformable")(x)
            x = layers.ReLU(name=f"up{level}_deformable_relu")(batch_norm(x, f"up{level}_deformable_norm"))
        x = upsample(x, filters, f"up{level}", FirstBilinear(torch_uniform()) if deformable else small)
    return keras.Model(images, {"stack1": x}, name=f"resnet{depth}{'_dcn' if deformable else ''}")


def resnet_fpn(inputs: Mapping[str, int], depth: int) -> keras.Model:
    """Residual network whose maps at four strides are joined from the coarsest to the finest.

    Args:
        inputs: Channels of each named input.
        depth: Number of weighted layers, a key of `BLOCKS`.

    Returns:
        Model from {name: [B, H, W, channels]}, sides multiples of 32, to {"stack1": [B, H/4, W/4, 64]}.
    """
    images = {name: keras.Input((None, None, channels), name=name) for name, channels in inputs.items()}
    x = feature_pyramid(trunk(images, depth), separable=False)
    return keras.Model(images, {"stack1": x}, name=f"resnet{depth}_fpn")
