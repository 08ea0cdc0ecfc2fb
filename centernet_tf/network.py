"""Backbone plus heads: the only place where they meet."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers

from centernet_tf.backbones import find_backbone
from centernet_tf.backbones.blocks import torch_uniform
from centernet_tf.task import Head


def head_map(features: Any, head: Head, channels: int, name: str) -> Any:
    """One head on one stack: 3x3 convolution, ReLU, 1x1 convolution (official code, every architecture but hourglass).

    Args:
        features: [B, h, w, C].
        head: What to predict.
        channels: Width of the 3x3 convolution; 0 leaves it out.
        name: Start of the layers' names.

    Returns:
        [B, h, w, head.channels] float32, without activation.
    """
    if channels:
        features = layers.Conv2D(
            channels, 3, padding="same", activation="relu", kernel_initializer=torch_uniform(), name=f"{name}_conv"
        )(features)
    start = torch_uniform() if head.heatmap else keras.initializers.RandomNormal(stddev=0.001)
    bias = keras.initializers.Constant(head.bias)
    # float32 whatever the policy: losses and peaks need it, and 16 bits move the bias of -2.19.
    return layers.Conv2D(
        head.channels, 1, kernel_initializer=start, bias_initializer=bias, dtype="float32", name=f"{name}_out"
    )(features)


def build_network(
    backbone: str,
    heads: Sequence[Head],
    inputs: Mapping[str, int] | None = None,
    head_channels: int | None = None,
) -> keras.Model:
    """Builds a network.

    Args:
        backbone: Name in the table of backbones, or its official name.
        heads: What to predict.
        inputs: Channels of each named input; an image of three if left out.
        head_channels: Width of the 3x3 convolution of each head, 0 for none; the backbone's own if left out.

    Returns:
        Model from normalised images [B, H, W, 3] (a dict of them where there are several inputs) to
        {head: [map [B, H/4, W/4, channels] per stack]} without activation.

    Raises:
        UsageError: Unknown backbone.
    """
    entry = find_backbone(backbone)
    trunk = entry.build(inputs or {"image": 3})
    images = {tensor.name: keras.Input(tensor.shape[1:], name=tensor.name) for tensor in trunk.inputs}
    stacks = trunk(images)
    width = entry.head_channels if head_channels is None else head_channels
    outputs = {
        head.name: [head_map(features, head, width, f"{head.name}_{stack}") for stack, features in stacks.items()]
        for head in heads
    }
    return keras.Model(images if len(images) > 1 else next(iter(images.values())), outputs, name="centernet")
