import keras
import pytest

from centernet_tf.benchmark.multiply_adds import multiply_adds, whole_maps
from centernet_tf.layers.deformable import DeformableConv2D
from centernet_tf.layers.upsampling import DepthwiseUpsample
from centernet_tf.model.network import build_network
from centernet_tf.points.centers import Centers

# Of the official code's networks, in thousand millions: 512x512 pixels, 80 classes.
OFFICIAL = {
    "res_18": 22.7,
    "res_50": 36.2,
    "res_101": 55.6,
    "resdcn_18": 13.3,
    "resdcn_101": 45.6,
    "dlav0_34": 31.1,
    "dla_34": 33.1,
    "hourglass": 292.7,
}


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (keras.layers.ReLU(), 0),
        (keras.layers.BatchNormalization(), 0),
        (keras.layers.Dense(5), 8 * 6 * 4 * 5),
        (keras.layers.Conv2D(5, 3, padding="same"), 8 * 6 * 9 * 4 * 5),
        (keras.layers.Conv2D(5, 3, 2, padding="same"), 4 * 3 * 9 * 4 * 5),
        (keras.layers.Conv2D(6, 1, groups=2), 8 * 6 * 2 * 6),
        (keras.layers.DepthwiseConv2D(3, padding="same"), 8 * 6 * 9 * 4),
        (keras.layers.Conv2DTranspose(5, 4, 2, padding="same"), 8 * 6 * 16 * 4 * 5),
        (DepthwiseUpsample(2), 8 * 6 * 16 * 4),
        (DeformableConv2D(5), 8 * 6 * 9 * 4 * (5 + 27)),
        (DeformableConv2D(5, groups=2), 8 * 6 * 9 * 4 * (5 + 54)),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_layers(layer, expected):
    image = keras.Input((None, None, 4))
    model = keras.Model(image, layer(image))
    assert multiply_adds(model, (8, 6, 4)) == expected


def test_models_in_models_and_layers_called_twice():
    inner = keras.Input((None, None, 2), name="image")
    twice = keras.layers.Conv2D(2, 1)
    trunk = keras.Model({"image": inner}, {"map": twice(keras.layers.MaxPooling2D(2)(twice(inner)))})
    image = keras.Input((None, None, 2))
    model = keras.Model(image, [keras.layers.Conv2D(3, 1)(trunk({"image": image})["map"])])
    assert multiply_adds(model, (8, 8, 2)) == 64 * 4 + 16 * 4 + 16 * 6


SMALL = ("res_18", "resdcn_18", "dlav0_34")


@pytest.mark.parametrize(
    "official", [name if name in SMALL else pytest.param(name, marks=pytest.mark.long) for name in OFFICIAL]
)
def test_networks_cost_as_much_as_officially(official):
    found = multiply_adds(build_network(official, Centers(80).heads()), (512, 512, 3))
    assert found / 1e9 == pytest.approx(OFFICIAL[official], rel=0.01)


def test_heads_at_single_cells_are_left_out():
    heads = Centers(80).heads()
    network = build_network("tiny", heads)
    whole, heat = (multiply_adds(one, (64, 64, 3)) for one in (network, whole_maps(network, heads)))
    assert whole - heat == 16 * 16 * 2 * (9 * 16 * 8 + 8 * 2)  # offset and size
