"""Masks through a detector: kept resolution, tiles, flip test, several scales, by a network that needs no training."""

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.detector.detector import Detector
from centernet_tf.geometry import patches
from centernet_tf.layers import CellKernel

pytestmark = pytest.mark.usefixtures("eagerly")

SIDE = 8


def network_of(size=(10, 8)):
    """Finds red and green spots, all as large as this in cells; what is bright is salient, and shapes are ellipses.

    A cell is the mean of four pixels, and stands for the first of them: all that is found lies 1.5 pixels left and up.
    """
    image = keras.Input((None, None, 3), name="image")
    mean = keras.layers.AveragePooling2D(4)(image)
    heads = {name: keras.layers.Conv2D(2, 1, name=name) for name in ("heatmap", "offset", "size")}
    heads["saliency"] = keras.layers.Conv2D(2, 1, name="saliency")
    zeros, start = keras.initializers.Zeros(), keras.initializers.RandomNormal()
    shape = CellKernel(SIDE * SIDE, zeros, start, name="shape")
    kernel, bias = shape(mean)
    parts = {"features": mean, "kernel": kernel, "bias": bias}
    network = keras.Model(image, {**{name: [layer(mean)] for name, layer in heads.items()}, "shape": [parts]})
    color = np.array([[16, -16], [-16, 16], [-16, -16]], np.float32)
    heads["heatmap"].set_weights([color[None, None], np.array([-6, -6], np.float32)])
    heads["saliency"].set_weights([np.array([[40, 0], [0, 40], [0, 0]], np.float32)[None, None], np.full(2, -8.0)])
    for name, value in (("offset", (0, 0)), ("size", size)):
        heads[name].set_weights([np.zeros((1, 1, 3, 2)), np.array(value)])
    y, x = np.meshgrid(*[(np.arange(SIDE) + 0.5) / SIDE * 2 - 1] * 2, indexing="ij")
    shape.bias.assign((8 * (1.1 - np.hypot(x, y + 0.2))).reshape(-1))
    return network


@pytest.fixture(scope="module")
def network():
    return network_of()


@pytest.fixture
def card(spot_card):
    return spot_card.model_copy(update={"tasks": {"mask": {"side": SIDE, "mask_side": 32}}})


def pixels_of(found, image):
    """[K, H, W] bool."""
    columns, rows = (np.arange(side, dtype=np.float32) for side in image.shape[1::-1])
    return patches.paste(found.fields["masks"], found.boxes, columns, rows) > 0.4


def test_a_mask_is_what_is_bright_in_its_ellipse(network, card, draw_spots):
    image = draw_spots(128, 128, (40, 50, 0), (90, 80, 1))
    found = Detector(network, card)(image, threshold=0.3)
    assert sorted(found.classes) == [0, 1]
    y, x = np.mgrid[:128, :128]
    for mask, box, kind in zip(pixels_of(found, image), found.boxes, found.classes):
        middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
        ellipse = np.hypot((x - middle[0]) / half[0], (y - middle[1]) / half[1] + 0.2) < 1.1
        bright = np.roll(image, (-2, -2), axis=(0, 1))[..., kind] > 255 / 5
        inside = (x >= box[0]) & (x <= box[2]) & (y >= box[1]) & (y <= box[3])
        wanted = ellipse & bright & inside
        assert (mask & wanted).sum() / (mask | wanted).sum() > 0.85
        assert not mask[~inside].any()


@pytest.mark.parametrize(
    "size", [(190, 130), *(pytest.param(size, marks=pytest.mark.long) for size in ((128, 128), (97, 61)))]
)
def test_tiles_find_the_same_masks_across_their_seams(network, card, draw_spots, size):
    seam = (size[0] // 2, size[1] // 2)
    image = draw_spots(*size, (*seam, 0), (20, 20, 1), (size[0] - 20, size[1] // 2, 0))
    detector = Detector(network, card)
    whole = detector.with_input(None)(image, threshold=0.2)
    tiled = detector.with_options(tile=(96, 96))(image, threshold=0.2)
    assert len(whole) >= 2
    np.testing.assert_allclose(tiled.boxes, whole.boxes, atol=1e-3)
    np.testing.assert_allclose(tiled.fields["masks"], whole.fields["masks"], atol=1e-4)


def test_an_object_larger_than_a_tile_comes_whole(card, draw_spots):
    image = np.maximum(draw_spots(260, 200, (130, 100, 0)), np.uint8([60, 0, 0]))
    detector = Detector(network_of((56, 44)), card)
    whole = detector.with_input(None)(image, threshold=0.3)
    tiled = detector.with_options(tile=(96, 96))(image, threshold=0.3)
    assert len(whole) == len(tiled) == 1
    np.testing.assert_allclose(tiled.boxes, whole.boxes, atol=1e-3)
    one, other = pixels_of(tiled, image)[0], pixels_of(whole, image)[0]
    assert other.sum() > 96 * 96 and (one & other).sum() / (one | other).sum() > 0.95


def test_masks_stay_with_their_boxes_through_soft_nms(network, card, draw_spots):
    image = draw_spots(150, 100, (40, 50, 0), (90, 60, 1), (120, 20, 0))
    detector = Detector(network, card)
    scales = (0.5, 1.0)
    alone = [detector.with_options(scales=(scale,))(image, threshold=0.05) for scale in scales]
    joined = detector.with_options(scales=scales)(image, threshold=0.05)
    assert len(joined) >= 3
    boxes = np.concatenate([one.boxes for one in alone])
    masks = np.concatenate([one.fields["masks"] for one in alone])
    for box, mask in zip(joined.boxes, joined.fields["masks"]):
        same = np.flatnonzero(np.abs(boxes - box).max(axis=1) < 0.01)
        assert len(same) and np.abs(masks[same] - mask).max(axis=(1, 2)).min() < 1e-4


def test_the_flip_test_finds_a_mirrored_shape_as_well(card, draw_spots):
    """Its shapes lean to the left in any image, so that the mean of both images' leans nowhere."""
    leaning = network_of()
    (layer,) = (layer for layer in leaning.layers if isinstance(layer, CellKernel))
    y, x = np.meshgrid(*[(np.arange(SIDE) + 0.5) / SIDE * 2 - 1] * 2, indexing="ij")
    layer.bias.assign((4 * (0.8 - np.hypot(x + 0.4, y))).reshape(-1))
    image = draw_spots(128, 128, (65.5, 65.5, 0))  # in the middle of a cell
    plain, both = (Detector(leaning, card).with_options(flip=flip)(image, threshold=0.3) for flip in (False, True))
    assert len(plain) == len(both) == 1
    assert abs(both.fields["masks"] - both.fields["masks"][..., ::-1]).max() < 0.02
    assert abs(plain.fields["masks"] - plain.fields["masks"][..., ::-1]).max() > 0.3


def test_several_images_at_once_and_none_found(network, card, draw_spots):
    images = [draw_spots(128, 128, (40, 50, 0)), draw_spots(100, 60), draw_spots(60, 90, (30, 40, 1))]
    detector = Detector(network, card)
    together = detector(images, threshold=0.3)
    assert [len(one) for one in together] == [1, 0, 1]
    assert together[1].fields["masks"].shape == (0, 32, 32)
    for one, image in zip(together, images):
        np.testing.assert_allclose(detector(image, threshold=0.3).fields["masks"], one.fields["masks"], atol=1e-5)


def test_nan_is_told(network, card, draw_spots):
    from centernet_tf.errors import DataError

    broken = network_of()
    broken.get_layer("size").bias.assign(ops.convert_to_tensor(np.float32([np.nan, 3])))
    with pytest.raises(DataError, match="its training diverged"):
        Detector(broken, card)(draw_spots(64, 64, (30, 30, 0)))
