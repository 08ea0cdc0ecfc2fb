"""Clips stretched into the input, cropped and recoloured as MOC does: its own numbers, slow twins, and pixels."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centernet_tf.data.distorted import PLAIN, Distortion, distorted, draw_distortion
from centernet_tf.data.stretched import Cut, draw_canvas, draw_crop, inside, overlaps, stretched
from centernet_tf.geometry import affine
from centernet_tf.preprocess import COCO_MEAN, COCO_STD

FOLDER = Path(__file__).parents[1] / "golden" / "points"
MEAN = 255 * np.array(COCO_MEAN[::-1])


def golden(name):
    with np.load(FOLDER / f"moc-{name}.npz") as file:
        arrays = dict(file)
    return arrays, json.loads(arrays.pop("meta").tobytes())


def normalized(pixels):
    return (pixels[..., ::-1] / 255 - COCO_MEAN) / COCO_STD


def cut_of(sample):
    canvas, crop = sample.get("canvas_h_w_top_left"), sample.get("crop_x1y1x2y2")
    return Cut(sample.get("mirror", False), tuple(canvas) if canvas else None, tuple(crop) if crop else None)


@pytest.mark.parametrize("name", ["targets-plain", "targets-augmented"])
def test_pictures_equal_the_original(name):
    arrays, meta = golden(name)
    size = tuple(meta["resize"])
    for number, sample in enumerate(meta["samples"]):
        matrix = cut_of(sample).matrix(*meta["frame_hw"], size)
        for place, frame in enumerate(range(sample["start"], sample["start"] + 7)):
            found = normalized(stretched(arrays[f"frame/{frame}"][..., ::-1], matrix, size, MEAN))
            expected = np.moveaxis(arrays[f"{number}/input"][place], 0, -1)
            assert np.abs(found - expected).max() < 1e-3


@pytest.mark.parametrize("mirrored", [False, True])
def test_flow_equals_the_original(mirrored):
    arrays, meta = golden("preprocess")
    size, (_, height, width, _) = (meta["flow_size"],) * 2, arrays["flow"].shape
    matrix = Cut(mirrored).matrix(height, width, size)
    found = [stretched(one[..., ::-1], matrix, size, MEAN, directed=True) for one in arrays["flow"]]
    for frame in range(7):
        stacked = np.concatenate([normalized(one) for one in found[frame : frame + 5]], axis=-1)
        expected = np.moveaxis(arrays["flow_out"][frame + 7 * mirrored], 0, -1)
        assert np.abs(stacked - expected).max() < 1e-3


def sequence(draws, early):
    """The draws of a golden pass as a distortion: a number for each step, and its value where it is taken."""
    draws = iter(draws[1:])
    behind = ("saturation", "hue")
    names = ("brightness", "contrast", *behind) if early else ("brightness", *behind, "contrast")
    taken = {}
    for name in names:
        if next(draws)[2] < 0.5:
            taken[name] = next(draws)[2]
    return Distortion(**taken, early=early)


def test_colors_equal_the_original():
    arrays, meta = golden("color")
    for number, step in enumerate(meta["steps"]):
        if step["step"] == "all":
            change = sequence(step["draws"], step["draws"][0][2] > 0.5)
        else:
            change = Distortion(**{step["step"]: step["value"]})
        found = distorted(arrays["in"][..., ::-1], change.numbers)[..., ::-1]
        expected = arrays[f"{number}/out"]
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_no_distortion_changes_nothing():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 3)).astype(np.uint8)
    np.testing.assert_array_equal(distorted(pixels, PLAIN), pixels)
    random = np.random.default_rng(1)
    np.testing.assert_array_equal(draw_distortion(random, 32, (0.5, 1.5), 18, 0).numbers[:4], PLAIN[:4])
    drawn = np.stack([draw_distortion(random, 32, (0.5, 1.5), 18, 0.5).numbers for _ in range(400)])
    assert (np.abs((drawn != PLAIN).mean(axis=0) - 0.5) < 0.1).all()
    assert np.abs(drawn[:, 0]).max() > 28 and 0.5 <= drawn[:, 1].min() < 0.55 and 16 < np.abs(drawn[:, 2]).max() <= 18


def picture_of(height, width):
    y, x = np.mgrid[:height, :width]
    return np.stack([4.0 * x, 5.0 * y, 0 * x + 9.0], axis=-1)


cuts = st.builds(
    Cut,
    st.booleans(),
    st.none() | st.tuples(st.integers(30, 60), st.integers(40, 80), st.integers(0, 6), st.integers(0, 9)),
    st.none() | st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(14, 30), st.integers(12, 24)),
)


@given(cuts)
@settings(max_examples=50, deadline=None)
def test_pixels_go_where_points_go(cut):
    """Far from edges, a picture whose colours tell their place is found where the matrix says."""
    height, width, size = 24, 31, (64, 96)
    matrix = cut.matrix(height, width, size)
    found = stretched(picture_of(height, width), matrix, size, (255, 255, 255))
    back = affine.invert(matrix)
    for y, x in ((20, 30), (40, 60), (10, 80)):
        point = affine.move_points(np.array([x + 0.5, y + 0.5]), back) - 0.5
        near = affine.move_points(np.array([[x - 2.0, y - 2.0], [x + 3.0, y + 3.0]]), back)
        if near.min() > 1 and (near < [width - 2, height - 2]).all():
            np.testing.assert_allclose(found[y, x, :2], [4 * point[0], 5 * point[1]], atol=1e-2)


@given(cuts)
@settings(max_examples=50, deadline=None)
def test_the_picture_fills_the_input(cut):
    height, width, size = 24, 31, (64, 96)
    left, top, right, bottom = cut.picture(height, width)
    if cut.mirrored:
        left, right = width - left, width - right
    corners = affine.move_points(np.array([[left, top], [right, bottom]], float), cut.matrix(height, width, size))
    np.testing.assert_allclose(corners, [[0, 0], size[::-1]], atol=1e-9)
    limit = cut.limit(height, width, size)
    assert (limit is None) == (cut.crop is None)


def slow_overlap(boxes, crop):
    total = 0.0
    for left, top, right, bottom in boxes:
        wide = min(right, crop[2]) - max(left, crop[0]) + 1
        high = min(bottom, crop[3]) - max(top, crop[1]) + 1
        common = max(wide, 0) * max(high, 0)
        whole = (right - left + 1) * (bottom - top + 1) + (crop[2] - crop[0] + 1) * (crop[3] - crop[1] + 1)
        total += common / (whole - common)
    return total / len(boxes)


def test_overlaps_equal_a_slow_twin():
    random = np.random.default_rng(0)
    assert overlaps(np.zeros((0, 7, 4)), np.array([0, 0, 5, 5])).shape == (0,)
    corner = random.uniform(0, 40, (9, 7, 2))
    boxes = np.concatenate([corner, corner + random.uniform(2, 30, (9, 7, 2))], axis=-1)
    crop = np.array([10.0, 12, 40, 35])
    np.testing.assert_allclose(overlaps(boxes, crop), [slow_overlap(one, crop) for one in boxes])


def test_crops_hold_enough_of_an_object():
    random = np.random.default_rng(3)
    assert draw_crop(random, np.zeros((0, 7, 4)), 40, 60) == (0, 0, 60, 40)
    boxes = np.tile(np.array([20.0, 10, 40, 30]), (1, 7, 1))
    crops = [draw_crop(random, boxes, 40, 60) for _ in range(60)]
    least = [overlaps(boxes, np.array(crop))[0] for crop in crops]
    assert len({*crops}) > 20 and min(least) > 0.08 and max(least) > 0.85
    assert all(0 <= left < right <= 60 and 0 <= top < bottom <= 40 for left, top, right, bottom in crops)


def test_canvases():
    random = np.random.default_rng(0)
    for place in ("corner", "random"):
        made = np.array([draw_canvas(random, 20, 30, 4, place) for _ in range(60)])
        rows, columns, top, left = made.T
        assert rows.max() > 60 and (rows <= 80).all() and (columns >= 30).all()
        assert ((top + 20 == rows) & (left + 30 == columns)).all() == (place == "corner")
        assert (top >= 0).all() and (top + 20 <= rows).all() and (left + 30 <= columns).all()


def test_who_leaves_the_crop_in_any_frame_goes():
    second = np.array([[4, 4, 8, 8], [-9, 0, 3, 8], [8, 8, 30, 8]])
    boxes = np.stack([np.tile([0, 0, 8, 8], (3, 1)), second], axis=1)
    assert inside(boxes, np.array([10.0, 10])).tolist() == [True, False, False]
    assert inside(np.zeros((0, 7, 4)), np.array([10.0, 10])).tolist() == []
