"""A network without its normalisation answers as before, whatever kind of convolution stands in front."""

import keras
import numpy as np
import pytest
from keras import layers

from centernet_tf.exports.folding import inference_network
from centernet_tf.layers.deformable import DeformableConv2D
from centernet_tf.model.network import build_network
from centernet_tf.points.task import Head

if keras.backend.backend() != "tensorflow":
    pytest.skip("networks are rewritten for exports, which run on TensorFlow", allow_module_level=True)


def scatter(network: keras.Model) -> keras.Model:
    """Gives every weight a value of its own, as training does; fresh normalisations change nothing."""
    random = np.random.default_rng(4)
    for weight in network.weights:
        positive = weight.name in ("moving_variance", "gamma")
        values = random.uniform(0.5, 2, weight.shape) if positive else random.normal(0, 0.2, weight.shape)
        weight.assign(values)
    return network


def answer(network: keras.Model, images: np.ndarray) -> list[np.ndarray]:
    return [np.asarray(keras.ops.cast(value, "float32")) for value in keras.tree.flatten(network(images))]


def norms(network: keras.Model) -> int:
    inner = sum(norms(layer) for layer in network.layers if isinstance(layer, keras.Model))
    return inner + sum(isinstance(layer, layers.BatchNormalization) for layer in network.layers)


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "layer",
    [
        lambda bias: layers.Conv2D(5, 3, use_bias=bias, padding="same"),
        lambda bias: layers.Conv2D(6, 3, use_bias=bias, groups=2),
        lambda bias: layers.Conv2DTranspose(5, 4, 2, "same", use_bias=bias),
        lambda bias: layers.DepthwiseConv2D(3, use_bias=bias, depth_multiplier=2),
        lambda bias: DeformableConv2D(5),
    ],
    ids=["plain", "groups", "transposed", "depthwise", "deformable"],
)
def test_every_kind_of_convolution(layer, bias, scale):
    image = keras.Input((None, None, 4))
    x = layers.BatchNormalization(scale=scale, center=scale, epsilon=1e-5)(layer(bias)(image))
    network = scatter(keras.Model(image, x))
    images = np.random.default_rng(0).normal(size=(2, 8, 12, 4)).astype(np.float32)
    folded = inference_network(network)
    assert norms(folded) == 0
    np.testing.assert_allclose(answer(folded, images)[0], answer(network, images)[0], rtol=1e-4, atol=1e-5)


def test_what_cannot_be_folded_stays():
    image = keras.Input((8, 8, 3))
    shared = layers.Conv2D(4, 3, name="shared")(image)
    twice = layers.Add()([layers.BatchNormalization(name="a")(shared), shared])
    active = layers.BatchNormalization(name="b")(layers.Conv2D(4, 1, activation="relu", name="active")(twice))
    shown = layers.Conv2D(4, 1, name="shown")(active)
    network = scatter(keras.Model(image, [layers.BatchNormalization(name="c")(shown), shown]))
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    folded = inference_network(network)
    assert norms(folded) == 3
    for came, expected in zip(answer(folded, images), answer(network, images)):
        np.testing.assert_allclose(came, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("tiny", 0),
        pytest.param("resnet18_dcn", 0, marks=pytest.mark.long),
        pytest.param("mobilenetv2_fpn:0.25", 0, marks=pytest.mark.long),
        pytest.param("dla34_dcn", 0, marks=pytest.mark.long),
    ],
)
def test_backbones(name, left):
    network = build_network(name, (Head("heatmap", 3, heatmap=True), Head("size", 2)), head_channels=8)
    images = np.random.default_rng(0).normal(size=(1, 32, 64, 3)).astype(np.float32)
    for layer in network.weights:
        if layer.name in ("gamma", "moving_variance"):
            layer.assign(np.random.default_rng(1).uniform(0.5, 1.5, layer.shape))
    folded = inference_network(network)
    assert norms(folded) == left < norms(network)
    assert folded.count_params() < network.count_params()
    for came, expected in zip(answer(folded, images), answer(network, images)):
        np.testing.assert_allclose(came, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_sixteen_bits_keep_float32_outputs():
    network = build_network("tiny", (Head("heatmap", 3, heatmap=True),))
    folded = inference_network(network, "bfloat16")
    trunk = next(layer for layer in folded.layers if isinstance(layer, keras.Model))
    assert {str(weight.dtype) for weight in trunk.weights} == {"bfloat16"}
    assert folded.get_layer("heatmap_stack1_out").compute_dtype == "float32"


def test_models_without_a_graph_are_left_alone():
    class Own(keras.Model):
        def call(self, images):
            return images

    network = Own()
    assert inference_network(network) is network
