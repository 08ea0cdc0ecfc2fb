"""What is particular to DLA-34; that it computes what the official ones do is tested with all checkpoints."""

import re

import keras
import numpy as np
import pytest
from keras import layers

from centernet_tf.backbones.dla import dla34
from centernet_tf.checkpoints.dla import UNUSED, modules
from centernet_tf.layers import DeformableConv2D, DepthwiseUpsample
from centernet_tf.layers.upsampling import bilinear_kernel


@pytest.fixture(scope="module", params=["dla34", "dla34_dcn"])
def network(request):
    return dla34({"image": 3}, deformable=request.param == "dla34_dcn")


def of_type(network, kind):
    return [layer for layer in network.layers if isinstance(layer, kind)]


def test_one_map_at_a_quarter(network):
    assert {name: output.shape for name, output in network.output.items()} == {"stack1": (None, None, None, 64)}
    sizes = network.compute_output_spec({"image": keras.KerasTensor((2, 64, 96, 3))})
    assert sizes["stack1"].shape == (2, 16, 24, 64)


def test_every_layer_with_weights_has_its_official_module(network):
    names = modules(network.name)
    assert sorted(names) == sorted(layer.name for layer in network.layers if layer.weights)
    assert len(set(names.values())) == len(names)


@pytest.mark.parametrize(
    ("key", "unused"),
    [
        ("base.fc.weight", True),
        ("fc.bias", True),
        ("base.level3.project.0.weight", True),
        ("base.level4.project.1.running_mean", True),
        ("base.level3.tree1.project.0.weight", False),
        ("base.level2.project.0.weight", False),
        ("base.level5.project.1.bias", False),
    ],
)
def test_unused_tensors(key, unused):
    assert any(re.match(pattern, key) for pattern, _ in UNUSED) == unused


def test_channels_of_the_roots(network):
    """A root reads both blocks; those of level 3 to 5 also the level's pooled input and what its first tree made."""
    found = {layer.name[:-5]: layer.kernel.shape[2:] for layer in network.layers if layer.name.endswith("root_conv")}
    assert found == {
        "level2_root": (128, 64),
        "level3_tree1_root": (256, 128),
        "level3_tree2_root": (448, 128),
        "level4_tree1_root": (512, 256),
        "level4_tree2_root": (896, 256),
        "level5_root": (1280, 512),
    }


def test_layers_of_the_neck(network):
    deformable = network.name == "dla34_dcn"
    assert len(of_type(network, DeformableConv2D)) == (16 if deformable else 0)
    assert [layer.factor for layer in of_type(network, DepthwiseUpsample)].count(4) == deformable
    assert len(of_type(network, DepthwiseUpsample)) == (8 if deformable else 6)
    node = network.get_layer("joint3_node3_deformable" if deformable else "joint3_node3_conv")
    assert node.kernel.shape == (3, 3, 64 if deformable else 128, 64)


def test_start_of_the_weights(network):
    deformable = network.name == "dla34_dcn"
    for layer in of_type(network, DepthwiseUpsample):
        kernel = layer.get_weights()[0]
        assert layer.trainable
        np.testing.assert_array_equal(kernel[:, :, 0, -1], bilinear_kernel(layer.factor))
    convolutions = of_type(network, layers.Conv2D)
    assert not any(layer.use_bias for layer in convolutions)
    for layer in convolutions:
        kernel = layer.get_weights()[0]
        rows, columns, channels, filters = kernel.shape
        if deformable:  # PyTorch's own: uniform
            limit = 1 / np.sqrt(rows * columns * channels)
            assert np.abs(kernel).max() == pytest.approx(limit, rel=0.05)
            assert kernel.std() == pytest.approx(limit / np.sqrt(3), rel=0.1)
        else:
            assert kernel.std() == pytest.approx(np.sqrt(2 / (rows * columns * filters)), rel=0.1)


def test_each_input_has_a_stem_with_its_own_normalisation():
    several = dla34({"image": 3, "previous": 3, "prior": 1})
    stems = {layer.name for layer in several.layers if layer.name.startswith("stem_") and layer.weights}
    assert stems == {f"stem_{name}_{part}" for name in ("image", "previous", "prior") for part in ("conv", "norm")}
    # Tracking's file: 2352 and 784 weights more, and two normalisations of 16 channels.
    single = dla34({"image": 3})
    assert several.count_params() - single.count_params() == 2352 + 784 + 2 * 4 * 16
    added = several.get_layer("stem_add")
    assert [tensor._keras_history.operation.name for tensor in added.input] == [
        "stem_image_relu",
        "stem_previous_relu",
        "stem_prior_relu",
    ]
