"""How far networks look: what the layers say, and what changes where a pixel is changed."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from centernet_tf.backbones import find_backbone
from centernet_tf.detector.field import Field, receptive_field
from centernet_tf.layers import DeformableConv2D, DepthwiseUpsample
from centernet_tf.model.network import build_network
from centernet_tf.points.centers import Centers

SIDE = 96


def positive(network):
    """Weights that no sum cancels."""
    network.set_weights([np.full_like(value, 0.1) for value in network.get_weights()])
    return network


def stack(*parts):
    """A network to a quarter of its input."""
    image = keras.Input((None, None, 1))
    x = image
    for part in parts:
        x = part(x)
    return positive(keras.Model(image, x))


def skipped(x):
    """A short way and a long one."""
    deep = layers.Conv2D(1, 3, 2, "same")(x)
    deep = layers.UpSampling2D(2)(layers.Conv2D(1, 3, 1, "same")(deep))
    return layers.Add()([deep, layers.Conv2D(1, 1)(x)])


def measured(network):
    """The span of columns that change an output column of the middle, from changing one column at a time."""
    image = np.ones((1, SIDE, SIDE, 1), np.float32)
    images = np.concatenate([image] * (SIDE + 1))
    for column in range(SIDE):
        images[column, :, column] = 2
    made = ops.convert_to_numpy(network(images))
    changed = np.abs(made[:-1] - made[-1:]).max(axis=(1, 3)) > 1e-7  # [column of the image, column of the output]
    middle = range(made.shape[2] // 2 - 4, made.shape[2] // 2 + 4)
    spans = [np.flatnonzero(changed[:, cell]) - 4 * cell for cell in middle]
    return min(span[0] for span in spans), max(span[-1] for span in spans)


HALF = layers.AveragePooling2D(2)


@pytest.mark.parametrize(
    "parts",
    [
        (layers.AveragePooling2D(4),),
        (layers.Conv2D(1, 3, 2, "same"), layers.Conv2D(1, 5, 2, "same")),
        (layers.ZeroPadding2D(3), layers.Conv2D(1, 7, 2, "valid"), HALF),
        (layers.Conv2D(1, 3, 1, "same", dilation_rate=2), layers.AveragePooling2D(4)),
        (layers.AveragePooling2D(4), layers.DepthwiseConv2D(5, 1, "same")),
        (layers.AveragePooling2D(8), layers.UpSampling2D(2)),
        (layers.AveragePooling2D(8), layers.UpSampling2D(2, interpolation="bilinear")),
        (layers.AveragePooling2D(8), layers.Conv2DTranspose(1, 4, 2, "same")),
        (layers.AveragePooling2D(8), layers.Conv2DTranspose(1, 3, 2, "same")),
        (layers.AveragePooling2D(8), layers.Conv2DTranspose(1, 2, 2)),
        (layers.AveragePooling2D(8), DepthwiseUpsample(2)),
        (layers.AveragePooling2D(16), DepthwiseUpsample(4)),
        (layers.ZeroPadding2D(1), layers.MaxPooling2D(3, 2), layers.MaxPooling2D(2)),
        (HALF, skipped, HALF, layers.BatchNormalization(), layers.ReLU()),
    ],
    ids=lambda parts: "-".join(getattr(part, "name", "skipped") for part in parts),
)
def test_spans_are_those_that_are_measured(parts):
    network = stack(*parts)
    field = receptive_field(network)
    low, high = measured(network)
    assert field.beyond == {}
    assert field.low <= low and high <= field.high
    # Bilinear upsampling, odd transposed kernels: a bound, not the number.
    assert low - field.low <= 8 and field.high - high <= 8
    if not any(isinstance(part, layers.UpSampling2D | layers.Conv2DTranspose) for part in parts):
        assert (field.low, field.high) == pytest.approx((low, high), abs=4)


@pytest.mark.parametrize(
    ("layer", "beyond"),
    [
        (lambda x: x * layers.GlobalAveragePooling2D(keepdims=True)(x), {"GlobalAveragePooling2D": 1}),
        (DeformableConv2D(1), {"DeformableConv2D": 1}),
        (layers.GroupNormalization(1), {"GroupNormalization": 1}),
    ],
    ids=["mean", "deformable", "unknown"],
)
def test_layers_without_bound_are_named(layer, beyond):
    field = receptive_field(stack(layers.AveragePooling2D(4), layer))
    assert field.beyond == beyond
    assert field.low <= 0 and field.high >= 3


@pytest.mark.parametrize(
    ("name", "expected", "halo"),
    [
        ("mobilenetv2_fpn", Field(-274, 308, {}), 320),
        ("resnet18", Field(-277, 249, {}), 288),
        ("mobilenetv3_fpn:0.25", Field(-326, 360, {"GlobalAveragePooling2D": 8}), 384),
    ],
)
def test_backbones(name, expected, halo):
    field = receptive_field(build_network(name, Centers(2).heads()))
    assert field == expected
    assert field.halo(find_backbone(name).stride) == halo


@pytest.mark.parametrize(
    ("low", "high", "stride", "halo"),
    [(0, 3, 4, 4), (-4, 3, 4, 8), (0, 3, 32, 32), (-28, 31, 32, 32), (-29, 3, 32, 64)],
)
def test_halo_holds_the_neighbours_too(low, high, stride, halo):
    assert Field(low, high, {}).halo(stride) == halo


def test_models_that_are_no_graph():
    class Other(keras.Model):
        pass

    assert receptive_field(Other()) is None
