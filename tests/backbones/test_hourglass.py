"""What is particular to the hourglass; that it computes what the official one does is tested with all checkpoints."""

import keras
import pytest
from keras import layers

from centernet_tf.backbones.hourglass import LEVELS, hourglass
from centernet_tf.checkpoints.hourglass import UNUSED, modules


@pytest.fixture(scope="module")
def network():
    return hourglass({"image": 3})


def weighted(network):
    return [layer.name for layer in network.layers if layer.weights]


@pytest.mark.long
def test_both_stacks_are_given_at_a_quarter(network):
    assert {name: output.shape for name, output in network.output.items()} == {
        "stack1": (None, None, None, 256),
        "stack2": (None, None, None, 256),
    }
    sizes = network.compute_output_spec({"image": keras.KerasTensor((2, 128, 384, 3))})
    assert [output.shape for output in sizes.values()] == [(2, 32, 96, 256)] * 2


def test_every_layer_with_weights_has_its_official_module(network):
    names = modules()
    assert sorted(names) == sorted(weighted(network))
    assert len(set(names.values())) == len(names)
    assert not UNUSED


def test_strides_and_channels_of_the_levels(network):
    """Down by strided convolutions to 1/128, five levels; the shortcut follows, even where the channels stay."""
    for stack in ("stack1", "stack2"):
        for number, (outside, inside) in enumerate(LEVELS, start=1):
            level = f"{stack}_level{number}"
            for name in ("down_block1_conv1", "down_block1_shortcut_conv"):
                layer = network.get_layer(f"{level}_{name}")
                assert (layer.strides, layer.filters) == ((2, 2), inside)
            assert network.get_layer(f"{level}_side_block2_conv2").filters == outside
            assert network.get_layer(f"{level}_up_block2_conv2").filters == outside
    assert not any(isinstance(layer, layers.MaxPooling2D) for layer in network.layers)
    assert sum(layer.name.endswith("_inner_block4_add") for layer in network.layers) == 2
