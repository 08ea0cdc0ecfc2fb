"""Masks on images."""

import numpy as np
import pytest

from centernet_tf.properties.draw import draw_objects
from centernet_tf.properties.masks import Masks
from centernet_tf.properties.masks.draw import OPACITY
from centernet_tf.results import Detections

SIZE = (80, 60)
GREY = np.full((*SIZE[::-1], 3), 100, np.uint8)
RED, GREEN = np.array([[250, 0, 0], [0, 250, 0]], np.uint8)


def half(side=16):
    """A patch whose left half belongs to the object."""
    return np.repeat((np.arange(side) < side / 2).astype(np.float32)[None], side, axis=0)


def drawn(masks, boxes, colors, size=16, **more):
    rows = {"masks": np.reshape(masks, (-1, size, size)), "boxes": np.reshape(np.float64(boxes), (-1, 4)), **more}
    return draw_objects(GREY, rows, [Masks(side=size)], [""] * len(rows["boxes"]), np.reshape(colors, (-1, 3)))


def test_no_objects():
    np.testing.assert_array_equal(drawn(np.zeros((0, 16, 16)), np.zeros((0, 4)), np.zeros((0, 3))), GREY)


def test_fill_outline_and_a_thin_box():
    picture = drawn([half()], [[10, 10, 50, 40]], [RED])
    np.testing.assert_array_equal(picture[25, 15], np.rint(100 * (1 - OPACITY) + OPACITY * RED))
    np.testing.assert_array_equal(picture[25, 45], GREY[0, 0])
    np.testing.assert_array_equal(picture[25, 10], RED)
    middle = picture[25, 27:33]
    assert (np.abs(middle.astype(int) - RED).sum(axis=1) < 60).any(), "an outline at the middle"
    assert (picture[25, 50] == RED).all() and (picture[25, 48] == 100).all()
    outside = picture.copy()
    outside[9:42, 9:52] = 100
    np.testing.assert_array_equal(outside, GREY)


def test_the_last_lies_on_top():
    full, boxes = np.ones((2, 16, 16)), [[10, 10, 50, 40], [10, 10, 50, 40]]
    picture = drawn(full, boxes, [RED, GREEN])
    assert picture[25, 30, 1] > picture[25, 30, 0]
    found = Detections(boxes, [0.9, 0.4], [0, 1], ("x", "y"), SIZE, {"masks": np.float32(full)}, (Masks(side=16),))
    alone = found[:1].draw(GREY)[35, 30].astype(int)
    both = found.draw(GREY)[35, 30].astype(int)
    below = found[1:].draw(GREY)[35, 30].astype(int)
    assert np.abs(both - alone).sum() < np.abs(both - below).sum(), "the surest on top"


def test_objects_without_mask_keep_their_box():
    picture = drawn([np.zeros((16, 16))], [[10, 10, 50, 40]], [RED])
    assert (picture[10, 20] == RED).all() and (picture[25, 30] == 100).all()


def test_annotated_masks_lie_over_whole_boxes():
    cut = drawn([half()], [[0, 10, 30, 40]], [RED], full_boxes=np.float64([[-30, 10, 30, 40]]))
    assert (cut[25, 10] == 100).all(), "the half that belongs lies outside of the image"


@pytest.mark.parametrize("margin", [0.0, 0.5])
def test_found_masks_may_leave_their_box(margin):
    found = Detections(
        [[30, 20, 50, 40]], [0.9], [0], ("x",), SIZE, {"masks": np.ones((1, 8, 8))}, (Masks(side=8, margin=margin),)
    )
    assert (found.draw(GREY)[30, 24] != 100).any() == (margin > 0)
