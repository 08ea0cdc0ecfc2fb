import math

import keras
import numpy as np
import pytest

from centernet_tf.backbones.resnet import BLOCKS, resnet, resnet_fpn
from centernet_tf.checkpoints.resnet import modules


@pytest.mark.parametrize(("deformable", "channels"), [(False, 256), (True, 64)])
def test_channels_of_the_neck(deformable, channels):
    backbone = resnet({"image": 3}, 18, deformable)
    assert backbone.output["stack1"].shape == (None, None, None, channels)


def test_a_pyramid_reads_the_last_map_of_every_stage():
    backbone = resnet_fpn({"image": 3}, 18)
    assert backbone.output["stack1"].shape == (None, None, None, 64)
    sides = {layer.name: layer for layer in backbone.layers if layer.name.endswith("_side_conv")}
    assert {name: layer.input.shape[-1] for name, layer in sides.items()} == {
        f"pyramid{stride}_side_conv": 16 * stride for stride in (4, 8, 16, 32)
    }
    known = modules("resnet18_fpn")
    assert {layer.name for layer in backbone.layers if layer.weights and layer.name not in known} == {
        f"pyramid{stride}_{part}_{kind}"
        for stride in (4, 8, 16, 32)
        for part in (("side", "mix") if stride < 32 else ("side",))
        for kind in ("conv", "norm")
    }


@pytest.mark.parametrize(
    ("depth", "deformable"),
    [
        (18, True),
        (50, False),
        *(pytest.param(*one, marks=pytest.mark.long) for one in ((18, False), (50, True))),
        *(
            pytest.param(depth, deformable, marks=[pytest.mark.long, pytest.mark.release])
            for depth in BLOCKS
            for deformable in (False, True)
            if depth not in (18, 50)
        ),
    ],
)
def test_every_layer_with_weights_has_an_official_name(depth, deformable):
    layers = {layer.name for layer in resnet({"image": 3}, depth, deformable).layers if layer.weights}
    known = modules(f"resnet{depth}{'_dcn' if deformable else ''}")
    assert layers <= set(known)
    assert len({known[name] for name in layers}) == len(layers)


def fill_up_weights(weight):
    """Section 2.4: of [in, out, kh, kw], out 0 of every in is bilinear; the rest stays."""
    _, _, height, width = weight.shape
    f = math.ceil(height / 2)
    c = (2 * f - 1 - f % 2) / (2 * f)
    for channel in range(weight.shape[0]):
        for i in range(height):
            for j in range(width):
                weight[channel, 0, i, j] = (1 - abs(i / f - c)) * (1 - abs(j / f - c))
    return weight


def test_transposed_convolutions_start_as_the_originals():
    keras.utils.set_random_seed(0)
    backbone = resnet({"image": 3}, 18, deformable=True)
    for level, channels in enumerate((256, 128, 64), start=1):
        (kernel,) = backbone.get_layer(f"up{level}_conv").get_weights()
        weight = kernel.transpose(3, 2, 0, 1)  # [in, out, kh, kw]
        assert weight.shape == (channels, channels, 4, 4)
        np.testing.assert_array_equal(weight, fill_up_weights(weight.copy()))
        limit = 1 / math.sqrt(16 * channels)
        assert np.abs(weight[:, 1:]).max() <= limit and weight[:, 1:].std() == pytest.approx(
            limit / math.sqrt(3), rel=0.01
        )
    for level in (1, 2, 3):
        (kernel,) = resnet({"image": 3}, 18).get_layer(f"up{level}_conv").get_weights()
        assert kernel.std() == pytest.approx(0.001, rel=0.01) and kernel[:, :, 0].std() == pytest.approx(0.001, rel=0.1)


def test_the_start_is_part_of_a_saved_network():
    layer = resnet({"image": 3}, 18, deformable=True).get_layer("up1_conv")
    again = type(layer).from_config(layer.get_config())
    again.build((None, 8, 8, 256))
    np.testing.assert_array_equal(again.get_weights()[0][:, :, 0], layer.get_weights()[0][:, :, 0])
