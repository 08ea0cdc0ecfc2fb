"""Run lengths beside pycocotools and beside arrays of whole images; objects come back from patches over their boxes."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from centernet_tf.geometry import affine, patches
from centernet_tf.properties.masks import runs

GOLDEN = np.load(Path(__file__).parents[2] / "golden" / "points" / "centermask-rle.npz")
CASES = json.loads(bytes(GOLDEN["meta"]))["cases"]
THRESHOLD = 0.4  # at which found masks are cut


@st.composite
def masks(draw):
    height, width = draw(st.integers(1, 30)), draw(st.integers(1, 30))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    return random.random((height, width)) < draw(st.sampled_from([0.0, 0.05, 0.5, 0.95, 1.0]))


def whole(mask):
    return runs.of_pixels(mask, mask.shape[::-1])


def test_an_image_without_the_object():
    counts = whole(np.zeros((6, 4), bool))
    assert counts.tolist() == [24] and runs.write_counts(counts) == b"h0"
    assert runs.area(counts) == 0 and runs.bounds(counts, 6) == (0, 0, 0, 0)
    assert not runs.pixels(counts, (4, 6)).any() and not runs.patch(counts, (4, 6), np.array([0, 0, 4, 6]), 5).any()


@pytest.mark.parametrize("number", range(len(CASES)))
def test_golden_values(number):
    mask, case = GOLDEN[f"{number}/mask"] > 0, CASES[number]
    counts = whole(mask)
    assert counts.tolist() == case["counts"]
    assert runs.write_counts(counts).decode() == case["compressed"]
    np.testing.assert_array_equal(runs.read_counts(case["compressed"].encode()), counts)
    left, top, right, bottom = runs.bounds(counts, mask.shape[0])
    assert [left, top, right - left, bottom - top] == case["bbox_xywh"] and runs.area(counts) == case["area"]
    np.testing.assert_array_equal(runs.pixels(counts, mask.shape[::-1]), mask)


@settings(max_examples=100, deadline=None)
@given(mask=masks())
def test_equals_pycocotools(mask):
    counts = whole(mask)
    expected = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert runs.write_counts(counts) == expected["counts"]
    assert runs.area(counts) == coco.area(expected)
    left, top, right, bottom = runs.bounds(counts, mask.shape[0])
    if mask.any():  # pycocotools has the box of a run over the end of a column as we do
        assert [left, top, right - left, bottom - top] == coco.toBbox(expected).tolist()


@settings(max_examples=100, deadline=None)
@given(numbers=st.lists(st.integers(0, 2**31), min_size=1, max_size=40))
def test_any_runs_come_back(numbers):
    data = runs.write_counts(np.array(numbers))
    assert runs.read_counts(data).tolist() == numbers


@settings(max_examples=100, deadline=None)
@given(mask=masks(), x=st.integers(0, 5), y=st.integers(0, 5), more=st.tuples(*[st.integers(0, 5)] * 2))
def test_a_part_of_an_image(mask, x, y, more):
    height, width = mask.shape
    full = np.zeros((y + height + more[0], x + width + more[1]), bool)
    full[y : y + height, x : x + width] = mask
    size = full.shape[::-1]
    counts = runs.of_pixels(mask, size, (x, y))
    np.testing.assert_array_equal(counts, whole(full))
    np.testing.assert_array_equal(runs.pixels(counts, size, (x, y, x + width, y + height)), mask)
    columns, rows = np.arange(-2, size[0] + 2), np.arange(-2, size[1] + 2)
    np.testing.assert_array_equal(runs.values_at(counts, size, columns, rows), np.pad(full, 2))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "they are empty"),
        (b"5 1", "character 2 of 3 is b' ', which no count has"),
        ("ä".encode(), "character 1 of 2 is"),
        (b"351q", "character 4 of 4 is b'q'"),
        (b"35o", "they break off behind character 3"),
        (b"oooooooo0", "a count has more than 7 characters"),
    ],
)
def test_text_that_is_no_counts(data, text):
    with pytest.raises(ValueError, match=text):
        runs.read_counts(data)


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ([3, 5, 1], ""),
        ([3, 5], "runs add up to 8; expected 9, as the image has 9 x 1"),
        ([3, 5, 2], "add up to 10"),
        ([3, -1, 7], "run 2 of 3 is -1; runs are never negative"),
    ],
)
def test_runs_that_do_not_fit(counts, text):
    found = runs.fault(np.array(counts), (9, 1))
    assert found == text or (text and text in found)


def slow_patch(mask, box, side):
    """A value at a time, from the pixels around."""
    padded = np.pad(mask.astype(float), 200)
    values = np.zeros((side, side))
    for row in range(side):
        for column in range(side):
            x = box[0] + (column + 0.5) / side * (box[2] - box[0]) + 200
            y = box[1] + (row + 0.5) / side * (box[3] - box[1]) + 200
            left, top = int(np.floor(x)), int(np.floor(y))
            across = padded[top : top + 2, left : left + 2] @ [1 - (x - left), x - left]
            values[row, column] = across @ [1 - (y - top), y - top]
    return values


@settings(max_examples=50, deadline=None)
@given(mask=masks(), side=st.integers(1, 9), seed=st.integers(0, 2**32))
def test_a_patch_is_read_between_pixels(mask, side, seed):
    low = np.random.default_rng(seed).uniform(-20, 30, 2)
    box = np.float32([*low, *(low + np.random.default_rng(seed).uniform(0.1, 40, 2))])
    slow = slow_patch(mask, box.astype(float), side)
    clear = np.abs(slow - 0.5) > 1e-4
    np.testing.assert_array_equal(runs.patch(whole(mask), mask.shape[::-1], box, side)[clear], slow[clear] > 0.5)


def test_beyond_the_image_nothing_is_known():
    found = runs.patch(whole(np.ones((10, 10), bool)), (10, 10), np.array([-10, 0, 10, 10]), 8)
    assert not found[:, :4].any() and found[:7, 4:].all()


@settings(max_examples=50, deadline=None)
@given(width=st.integers(1, 64), height=st.integers(1, 64), x=st.integers(0, 9), y=st.integers(0, 9))
def test_a_small_full_object_comes_back_exactly(width, height, x, y):
    """But for the pixel at its lower right corner, beside which both directions end within half a pixel."""
    size = (80, 80)
    mask = np.zeros(size, bool)
    mask[y : y + height, x : x + width] = True
    box = np.float32([x, y, x + width, y + height])
    patch = runs.patch(whole(mask), size, box, 64).astype(np.float32)
    grid = np.arange(80, dtype=np.float32)
    found = patches.paste(patch, box, grid, grid) > THRESHOLD
    corner = y + height - 1, x + width - 1
    mask[corner] = found[corner] = False
    np.testing.assert_array_equal(found, mask)


def blob(shape, x, y):
    """Whether points lie in a smooth shape: a radius that swings with the angle."""
    (middle_x, middle_y), radius, swing, lobes, phase, stretch = shape
    dx, dy = (x - middle_x) / stretch, (y - middle_y) * stretch
    return np.hypot(dx, dy) < radius * (1 + swing * np.cos(lobes * np.arctan2(dy, dx) + phase))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    side=st.sampled_from([32, 64]),
    scale=st.floats(0.5, 2.5),
    mirrored=st.booleans(),
)
def test_smooth_shapes_survive_crop_scale_and_flip(seed, side, scale, mirrored):
    random = np.random.default_rng(seed)
    shape = (random.uniform(40, 160, 2), random.uniform(15, 60), random.uniform(0, 0.25), random.integers(2, 5))
    shape = (*shape, random.uniform(0, 6), random.uniform(0.8, 1.25))
    size = (200, 180)
    mask = blob(shape, np.arange(size[0]), np.arange(size[1])[:, None])
    counts = whole(mask)
    box = np.float32([runs.bounds(counts, size[1])])
    patch = runs.patch(counts, size, box[0], side)[None].astype(np.float32)
    matrix = affine.fit_matrix(tuple(random.uniform(60, 140, 2)), 160 / scale, (160, 160))
    matrix = affine.chain(affine.flip_matrix(size[0]), matrix) if mirrored else matrix
    grid = np.arange(160, dtype=np.float32)
    back = affine.invert(matrix)
    points = affine.move_points(np.stack(np.meshgrid(grid, grid), axis=-1), back)
    # What the image does not show, nobody knows.
    shown = (points > -0.5).all(axis=-1) & (points < np.array(size) - 0.5).all(axis=-1)
    truth = blob(shape, points[..., 0], points[..., 1]) & shown
    moved = affine.move(box, matrix, "boxes"), affine.move(patch, matrix, "patches")
    found = patches.paste(moved[1], moved[0], grid, grid)[0] > 0.5
    if truth.sum() > mask.sum() * scale**2 / 2:  # of a thin strip of an object, the half pixels at its edge are much
        assert (found & truth).sum() / (found | truth).sum() >= 0.9
