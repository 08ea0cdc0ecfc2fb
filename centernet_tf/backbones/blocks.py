"""Blocks that several backbones are made of, padded as PyTorch pads and normalised as the published weights expect."""

from typing import Any

import keras
from keras import layers

BATCH_NORM = {"epsilon": 1e-5, "momentum": 0.9}


def batch_norm(x: Any, name: str) -> Any:
    """Batch normalisation with PyTorch's epsilon and momentum; Keras' own defaults give other numbers."""
    return layers.BatchNormalization(name=name, **BATCH_NORM)(x)


def convolution(x: Any, filters: int, kernel: int, stride: int = 1, name: str = "conv", **options: Any) -> Any:
    """Convolution padded by (kernel - 1) / 2 on every side.

    Keras' "same" pads less at the left and top of even sizes where the stride is 2, which moves every feature by a
    pixel; there zeros are added by hand.
    """
    options = {"use_bias": False, "kernel_initializer": he_normal(), **options}
    padding = "same"
    if stride > 1 and kernel > 1:
        x = layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
        padding = "valid"
    return layers.Conv2D(filters, kernel, stride, padding, name=name, **options)(x)


def upsample(x: Any, filters: int, name: str, initializer: Any) -> Any:
    """Doubles the resolution: transposed 4x4 convolution, stride 2, then batch normalisation and ReLU."""
    x = layers.Conv2DTranspose(
        filters, 4, 2, "same", use_bias=False, kernel_initializer=initializer, name=f"{name}_conv"
    )(x)
    return layers.ReLU(name=f"{name}_relu")(batch_norm(x, f"{name}_norm"))


def he_normal() -> keras.initializers.Initializer:
    """Start of a trunk's convolutions: variance 2 / fan out, as torchvision's ResNet."""
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")


def torch_uniform() -> keras.initializers.Initializer:
    """PyTorch's default start of a convolution: uniform within 1 / sqrt(fan in)."""
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
