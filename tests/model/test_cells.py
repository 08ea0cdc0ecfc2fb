"""A network that computes cells only where they are read: the numbers, gradients and weights of the one with maps."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from centernet_tf.losses import gather_cells, whole_map
from centernet_tf.model.cells import LAST, at_cells
from centernet_tf.model.network import build_network
from centernet_tf.points.task import Head, Input

HEADS = (
    Head("heatmap", 2, bias=-2.19, heatmap=True),
    Head("size", 2, at_cells=True),
    Head("shape", 5, at_centers=True),
    Head("depth", 1),
)
IMAGES = keras.random.normal((2, 96, 128, 3), seed=0)
# Corners, edges, the same cell twice.
INDEX = np.int32([[0, 31, 23 * 32, 23 * 32 + 31, 5, 5, 200], [17, 32, 63, 700, 1, 760, 333]])


def built(head_channels=None, **options):
    network = build_network("tiny", HEADS, head_channels=head_channels, **options)
    for number, weight in enumerate(network.weights):
        value = keras.random.normal(weight.shape, seed=number)
        weight.assign(abs(value) if "variance" in weight.path else 0.3 * value)
    return network


def read(values, index=INDEX):
    return ops.convert_to_numpy(ops.cast(gather_cells(values, index), "float32"))


@pytest.mark.parametrize("head_channels", [None, 0, {"size": 0, "shape": 16}], ids=["hidden", "trunk", "both"])
def test_cells_equal_those_of_the_maps(head_channels):
    network = built(head_channels)
    maps, cells = network(IMAGES, training=False), at_cells(network, HEADS)(IMAGES)
    assert [type(cells[head.name][0]) is dict for head in HEADS] == [False, True, True, False]
    assert ("hidden_kernel" in cells["shape"][0]) is (head_channels != 0)
    for head in HEADS:
        (expected,), (found,) = maps[head.name], cells[head.name]
        assert abs(read(expected)).max() > 0.1
        np.testing.assert_allclose(read(found), read(expected), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(whole_map(found), whole_map(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("head_channels", [None, 0])
def test_the_frames_of_a_clip_are_read_each_by_itself(head_channels):
    heads = (Head("heatmap", 2, heatmap=True), Head("size", 2, per_frame=True, at_cells=True))
    network = build_network("tiny", heads, {"image": Input(frames=(-1, 0, 1))}, head_channels)
    for number, weight in enumerate(network.trainable_weights):
        weight.assign(0.3 * keras.random.normal(weight.shape, seed=number))
    clips = keras.random.normal((2, 3, 32, 64, 3), seed=1)
    (maps,), (cells,) = network(clips, training=False)["size"], at_cells(network, heads)(clips)["size"]
    index = np.int32([[0, 7, 127, 127], [5, 64, 90, 1]])
    assert len(cells["features"]) == 3 and ("hidden_kernel" in cells) is (head_channels != 0)
    for frame, features in enumerate(cells["features"]):
        expected = read(maps[..., 2 * frame : 2 * frame + 2], index)
        assert abs(expected).max() > 0.1
        np.testing.assert_allclose(read({**cells, "features": features}, index), expected, rtol=1e-4, atol=1e-5)


def test_no_cells_and_more_than_a_map_has():
    network = built()
    maps, cells = network(IMAGES, training=False)["size"][0], at_cells(network, HEADS)(IMAGES)["size"][0]
    assert read(cells, INDEX[:, :0]).shape == (2, 0, 2)
    many = np.tile(INDEX, (1, 400))
    np.testing.assert_allclose(read(cells, many), read(maps, many), rtol=1e-4, atol=1e-5)


def test_16_bits_are_used_where_the_network_uses_them():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = built()
    finally:
        keras.config.set_dtype_policy("float32")
    maps, cells = network(IMAGES, training=False), at_cells(network, HEADS)(IMAGES)
    assert keras.backend.standardize_dtype(cells["size"][0]["hidden_kernel"].dtype) == "bfloat16"
    assert keras.backend.standardize_dtype(cells["size"][0]["kernel"].dtype) == "float32"
    expected = read(maps["size"][0])
    np.testing.assert_allclose(read(cells["size"][0]), expected, atol=0.03 * abs(expected).max())


def test_the_last_stack_alone():
    image = keras.Input((None, None, 3))
    stacks = {name: layers.Conv2D(4, 3, strides=4, padding="same")(image) for name in ("stack1", "stack2")}
    hidden = [layers.Conv2D(6, 3, padding="same", activation="relu")(maps) for maps in stacks.values()]
    network = keras.Model(image, {"size": [layers.Conv2D(2, 1)(maps) for maps in hidden]})
    (found,) = at_cells(network, HEADS, LAST)(IMAGES)["size"]
    np.testing.assert_allclose(read(found), read(network(IMAGES)["size"][1]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "hidden",
    [
        layers.Conv2D(6, 3, padding="same"),
        layers.Conv2D(6, 5, padding="same", activation="relu"),
        layers.Conv2D(6, 3, padding="same", activation="relu", dilation_rate=2),
        layers.SeparableConv2D(6, 3, padding="same", activation="relu"),
    ],
    ids=["no ReLU", "5x5", "dilated", "separable"],
)
def test_other_hidden_layers_are_left_as_they_are(hidden):
    image = keras.Input((None, None, 3))
    network = keras.Model(image, {"size": [layers.Conv2D(2, 1)(hidden(image))]})
    (found,) = at_cells(network, HEADS)(IMAGES)["size"]
    assert "hidden_kernel" not in found
    np.testing.assert_allclose(read(found), read(network(IMAGES)["size"][0]), rtol=1e-4, atol=1e-5)


def test_other_last_layers_and_networks_keep_their_maps():
    image = keras.Input((None, None, 3))
    network = keras.Model(image, {"size": [layers.Conv2D(2, 3)(image)]})
    assert at_cells(network, HEADS)(IMAGES)["size"][0].shape == (2, 94, 126, 2)

    class Own(keras.Model):
        def call(self, images, training=False):
            return {"size": [images, images[..., :2]]}

    (found,) = at_cells(Own(), HEADS, LAST)(IMAGES)["size"]
    assert found.shape == (2, 96, 128, 2)
