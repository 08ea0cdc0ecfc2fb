"""Tiles find what one pass finds: layouts by counting cells, images by both ways."""

import itertools

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from centernet_tf.detector import tiles
from centernet_tf.detector.detector import Detector
from centernet_tf.errors import UsageError
from centernet_tf.model.network import build_network
from centernet_tf.points.centers import Centers

pytestmark = pytest.mark.usefixtures("eagerly")
STRIDE = 8


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 12), st.integers(1, 12), st.integers(0, 3))
def test_cores_cover_every_cell_once(rows, columns, tall, wide, halo):
    size, tile = (rows * STRIDE, columns * STRIDE), (tall * STRIDE + 5, wide * STRIDE)
    halo *= STRIDE
    if any(
        length > side // STRIDE * STRIDE and side // STRIDE * STRIDE <= 2 * halo for length, side in zip(size, tile)
    ):
        with pytest.raises(UsageError, match="tiles start at"):
            tiles.plan_tiles(size, tile, halo, STRIDE)
        return
    sides, plan = tiles.plan_tiles(size, tile, halo, STRIDE)
    count = np.zeros(size, int)
    for one in plan:
        left, top, right, bottom = one.core
        count[top:bottom, left:right] += 1
        for start, side, length, first, last in zip((one.top, one.left), sides, size, (top, left), (bottom, right)):
            assert start % STRIDE == 0 and 0 <= start <= length - side
            assert first - start >= halo or start == 0
            assert start + side - last >= halo or start + side == length
    assert (count == 1).all()
    assert all(side <= wanted for side, wanted in zip(sides, tile))


@pytest.mark.parametrize("size", [(1, 1), (31, 17), (64, 40), (97, 130)])
def test_windows_are_cut_from_the_padded_image(size):
    image = np.random.default_rng(1).integers(1, 256, (*size, 3), np.uint8)
    padded = np.zeros(((size[0] // 8 + 1) * 8, (size[1] // 8 + 1) * 8, 3), np.uint8)
    top, left = padded.shape[0] // 2 - size[0] // 2, padded.shape[1] // 2 - size[1] // 2
    padded[top : top + size[0], left : left + size[1]] = image
    for one in tiles.cut_all(image, (40, 40), 8, STRIDE):
        x, y = (one["corners"][0] + (left, top)).astype(int)
        window = one["images"][0]
        np.testing.assert_array_equal(window, padded[y : y + window.shape[0], x : x + window.shape[1]])


def test_only_peaks_of_the_core_are_left():
    random = np.random.default_rng(5)
    heatmap = random.integers(-6, 7, (2, 9, 11, 2)).astype(np.float32) * 4  # Many ties, some scores of exactly 1.
    heatmap[0, 3, 3:5] = 30, 40
    cells = np.array([[2, 1, 8, 7], [0, 0, 11, 9]], np.int32)
    made = ops.convert_to_numpy(tiles.only_core(heatmap, cells))
    scores = 1 / (1 + np.exp(-heatmap, dtype=np.float32))
    for image, row, column, kind in itertools.product(range(2), range(9), range(11), range(2)):
        left, top, right, bottom = cells[image]
        near = scores[image, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2, kind]
        peak = scores[image, row, column, kind] == near.max()
        kept = peak and left <= column < right and top <= row < bottom
        assert made[image, row, column, kind] == (heatmap[image, row, column, kind] if kept else tiles.FAR)


@pytest.fixture(scope="module")
def small_network():
    """Looks some twenty pixels around a cell, at a stride of 8, with biases, so that zeros at its borders show."""
    image = keras.Input((None, None, 3), name="image")

    def convolution(x, filters, stride=1, activation=None):
        return layers.Conv2D(filters, 3, stride, padding="same", activation=activation)(x)

    quarter = convolution(convolution(image, 8, 2, "tanh"), 8, 2, "tanh")
    eighth = layers.UpSampling2D(2)(convolution(quarter, 8, 2, "tanh"))
    both = layers.Concatenate()([quarter, eighth])
    network = keras.Model(image, {name: [convolution(both, 2)] for name in ("heatmap", "offset", "size")})
    random = np.random.default_rng(6)  # The same on every backend.
    network.set_weights([random.normal(0, 0.3, value.shape) for value in network.get_weights()])
    return network


@pytest.fixture
def noise():
    def make(width, height):
        coarse = np.random.default_rng(width).integers(0, 256, (-(-height // 3), -(-width // 3), 3), np.uint8)
        return coarse.repeat(3, axis=0).repeat(3, axis=1)[:height, :width].copy()

    return make


def assert_same(found, expected, scores=1e-4, boxes=0.01):
    """The same objects; those of scores that are as good as equal in any order."""
    assert len(found) == len(expected) > 0
    np.testing.assert_allclose(found.scores, expected.scores, atol=scores)
    for kind in range(len(found.names)):
        here, there = (one.boxes[one.classes == kind] for one in (found, expected))
        assert len(here) == len(there)
        distance = np.abs(here[:, None] - there[None]).max(axis=-1) if len(here) else np.zeros((1, 1))
        assert distance.min(axis=1).max() <= boxes and distance.min(axis=0).max() <= boxes


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("size", [(200, 150), (64, 64), (63, 300), (20, 20), (129, 71)])
def test_small_network_tile_by_tile(small_network, spot_card, noise, size, flip):
    card = spot_card.model_copy(
        update={"max_objects": 100, "input": spot_card.input.model_copy(update={"stride": STRIDE})}
    )
    image = noise(*size)
    whole = Detector(small_network, card).with_input(None).with_options(flip=flip)(image, threshold=0)
    tiled = Detector(small_network, card).with_options(flip=flip, tile=(88, 96))
    assert (tiled.card.input.mode, tiled.halo) == ("keep", 24)
    assert_same(tiled(image, threshold=0), whole)


def test_too_small_a_halo_is_seen(small_network, spot_card, noise):
    card = spot_card.model_copy(update={"input": spot_card.input.model_copy(update={"stride": STRIDE})})
    image = noise(200, 150)
    whole = Detector(small_network, card).with_input(None)(image, threshold=0)
    assert len(np.unique(whole.scores)) == len(whole)
    near = Detector(small_network, card).with_options(tile=(40, 40), halo=0)(image, threshold=0)
    with pytest.raises(AssertionError):
        assert_same(near, whole)


@pytest.fixture(scope="module")
def mobile():
    """mobilenetv2_fpn with a heatmap that is far from even."""
    keras.utils.set_random_seed(3)
    network = build_network("mobilenetv2_fpn:0.35", Centers(2).heads())
    last = network.get_layer("heatmap_stack1_out")
    kernel, bias = last.get_weights()
    last.set_weights([kernel * 20, bias])
    return network


@pytest.mark.long
def test_mobilenet_tile_by_tile(mobile, spot_card, noise):
    image = noise(900, 330)
    detector = Detector(mobile, spot_card.model_copy(update={"max_objects": 100}))
    whole = detector.with_input(None)(image, threshold=0)
    tiled = detector.with_options(tile=(1024, 736))
    assert tiled.halo == 320
    assert len(list(tiles.cut_all(image, (1024, 736), 320, 32))) == 3
    assert_same(tiled(image, threshold=0), whole)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"tile": (640, 640)},
            "tile 640: the network looks 320 pixels around each cell, so tiles start at 672. Try 1344",
        ),
        ({"tile": (0, 64)}, "expected height and width in pixels"),
        ({"tile": (64,)}, "expected height and width in pixels"),
        ({"tile": (800, 800), "scales": (0.5, 1)}, "scales and nms do not go with it"),
        ({"tile": (800, 800), "nms": True}, "scales and nms do not go with it"),
        ({"halo": 32}, "Give tile too"),
        ({"tile": 800, "halo": -1}, "halo -1: expected pixels"),
        ({"stale_rows": True}, "Add nms or several scales"),
        ({"scales": ()}, "expected different factors"),
        ({"scales": (1, 1.0)}, "expected different factors"),
        ({"scales": (0, 1)}, "expected different factors"),
        ({"scales": ("1",)}, "expected different factors"),
        ({"tiles": 3}, "Unknown option 'tiles'. Did you mean 'tile'"),
    ],
)
def test_impossible_options(mobile, spot_card, noise, options, said):
    with pytest.raises(UsageError) as error:
        Detector(mobile, spot_card).with_options(**options)(noise(1000, 40))
    assert said in str(error.value)


def test_tiles_have_no_other_input(mobile, spot_card):
    with pytest.raises(UsageError, match="Tiles keep the resolution"):
        Detector(mobile, spot_card).with_options(tile=1024).with_input((64, 64))


def test_networks_that_average_over_all_they_see_warn(spot_card):
    network = build_network("mobilenetv3_fpn:0.25", Centers(2).heads())
    card = spot_card.model_copy(update={"backbone": "mobilenetv3_fpn:0.25"})
    with pytest.warns(UserWarning, match=r"mobilenetv3_fpn:0.25: tiles only come near .*8 GlobalAveragePooling2D"):
        detector = Detector(network, card).with_options(tile=1024)
    assert detector.halo == 384


def test_networks_that_cannot_be_followed_ask_for_a_halo(spot_card):
    class Other(keras.Model):
        pass

    with pytest.raises(UsageError, match="Give halo in pixels"):
        Detector(Other(), spot_card).with_options(tile=1024)
    assert Detector(Other(), spot_card).with_options(tile=1024, halo=50).halo == 64
