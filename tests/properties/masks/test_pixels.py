"""Masks at the pixels of their image, beside a slow way that looks at one pixel after the other, and pycocotools."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from centernet_tf.geometry.patches import paste, places, widened
from centernet_tf.properties.masks import pixels

GOLDEN = Path(__file__).parents[2] / "golden" / "points" / "centermask-decode.npz"


def slow(patch, box, size, threshold, margin=0.0):
    """[H, W] bool, a pixel at a time."""
    left, top, right, bottom = map(float, box)
    width, height = right - left, bottom - top
    left, right = left - margin * width, right + margin * width
    top, bottom = top - margin * height, bottom + margin * height
    mask = np.zeros(size[::-1], bool)
    for y in range(size[1]):
        for x in range(size[0]):
            near = left - pixels.EDGE <= x <= right + pixels.EDGE and top - pixels.EDGE <= y <= bottom + pixels.EDGE
            if near and left < right and top < bottom:
                mask[y, x] = read(patch, (x - left) / (right - left), (y - top) / (bottom - top)) > threshold
    return mask


def read(patch, across, down):
    """The value of a patch at fractions of its box."""
    rows, columns = patch.shape
    column, row = np.clip(across * columns - 0.5, 0, columns - 1), np.clip(down * rows - 0.5, 0, rows - 1)
    lines = [np.interp(column, np.arange(columns), line) for line in patch.astype(np.float64)]
    return np.interp(row, np.arange(rows), lines)


def on_image(region, size):
    mask = np.zeros(size[::-1], bool)
    mask[region.part] = region.pixels
    return mask


def test_no_objects():
    assert list(pixels.regions(np.zeros((0, 4, 4)), np.zeros((0, 4)), (5, 6), 0.4)) == []
    assert pixels.segmentations(np.zeros((0, 4, 4)), np.zeros((0, 4)), (5, 6), 0.4).shape == (0,)
    assert pixels.region_from(b"", (5, 6)).pixels.size == 0


BOXES = [
    (0, 0, 0, 0),
    (2, 2, 2, 5),
    (1, 2, 9, 7),
    (-3, -2, 4.5, 5.25),
    (0.2, 0.7, 0.9, 0.8),
    (20, 20, 30, 30),
    (-9, -9, -5, -5),
    (-5, -5, 17, 17),
    (3, 0, 6, 9),
    (11, 9, 11.5, 9.5),
]


@pytest.mark.parametrize("margin", [0.0, 0.25])
@pytest.mark.parametrize("box", BOXES)
def test_pixels_of_a_patch(box, margin):
    patch, size = np.random.default_rng(0).random((4, 3)).astype(np.float32), (12, 10)
    (region,) = pixels.regions(patch[None], np.array([box]), size, 0.4, margin)
    np.testing.assert_array_equal(on_image(region, size), slow(patch, box, size, 0.4, margin))


coordinate = st.floats(-20, 40, width=32)


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(coordinate, coordinate, coordinate, coordinate),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.integers(0, 99),
)
def test_any_patch_is_that_of_the_slow_way_and_of_the_device(box, size, sides, seed):
    box = np.concatenate([np.minimum(box[:2], box[2:]), np.maximum(box[:2], box[2:])]).astype(np.float32)
    patch = np.random.default_rng(seed).random(sides).astype(np.float32)
    region = pixels.region_of(patch, box.astype(np.float64), size, 0.4)
    found = on_image(region, size)
    grid = [np.arange(side, dtype=np.float32) for side in size]
    if (box[2:] - box[:2]).min() < 1e-2:  # of sides of no length, rounding alone decides
        return
    values = paste(patch, box, *grid)
    # Float32 decides otherwise only where a value or a side lies at the edge.
    near = np.abs(values - 0.4) < 1e-3
    for line, low, high in ((grid[0][None], box[0], box[2]), (grid[1][:, None], box[1], box[3])):
        near = near | (np.abs(line - low) < 1e-2) | (np.abs(line - high) < 1e-2)
    np.testing.assert_array_equal(found[~near], slow(patch, box, size, 0.4)[~near])
    np.testing.assert_array_equal(found[~near], (values > 0.4)[~near])


def test_strips_make_no_difference(monkeypatch):
    patch = np.random.default_rng(1).random((8, 8)).astype(np.float32)
    box = np.array([3.3, 2.2, 47.9, 71.5])
    one = pixels.region_of(patch, box, (60, 80), 0.5)
    monkeypatch.setattr(pixels, "STRIP", 100)
    np.testing.assert_array_equal(pixels.region_of(patch, box, (60, 80), 0.5).pixels, one.pixels)


def test_rounding_of_a_side_on_a_pixel_does_not_decide():
    sides = np.array([4, 4, 8, 8], np.float64)
    masks = [pixels.region_of(np.ones((2, 2), np.float32), sides + shift, (20, 20), 0.4) for shift in (-1e-5, 0, 1e-5)]
    assert {one.pixels.shape for one in masks} == {(5, 5)}


masks = st.tuples(st.integers(1, 9), st.integers(1, 9), st.floats(0, 1), st.integers(0, 999)).map(
    lambda drawn: np.random.default_rng(drawn[3]).random(drawn[:2]) < drawn[2]
)


@settings(deadline=None, max_examples=200)
@given(masks)
def test_run_lengths_are_those_of_pycocotools(mask):
    size = mask.shape[::-1]
    encoded = coco.encode(np.asfortranarray(mask, np.uint8))["counts"]
    assert pixels.counts_of(pixels.Region(0, 0, mask), size) == encoded
    np.testing.assert_array_equal(pixels.whole(encoded, size), mask)
    runs = pixels.runs_of(encoded)
    np.testing.assert_array_equal(np.repeat(np.arange(len(runs)) % 2 > 0, runs), mask.T.ravel())


@settings(deadline=None, max_examples=100)
@given(masks, st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_run_lengths_of_a_region(mask, left, top, right, bottom):
    around = np.pad(mask, ((top, bottom), (left, right)))
    size = around.shape[::-1]
    counts = pixels.counts_of(pixels.Region(left, top, mask), size)
    assert counts == coco.encode(np.asfortranarray(around, np.uint8))["counts"]
    region = pixels.region_from(counts, size)
    np.testing.assert_array_equal(on_image(region, size), around)
    if around.any():
        assert region.pixels.any(axis=0)[[0, -1]].all() and region.pixels.any(axis=1)[[0, -1]].all()


def test_long_runs():
    mask = np.zeros((1000, 2000), bool)
    mask[:, 1999], mask[17, 5], mask[700:, 100:1200] = True, True, True
    counts = coco.encode(np.asfortranarray(mask, np.uint8))["counts"]
    assert pixels.counts_of(pixels.Region(0, 0, mask), (2000, 1000)) == counts
    np.testing.assert_array_equal(pixels.whole(counts, (2000, 1000)), mask)


def test_run_lengths_of_another_image_are_refused():
    counts = coco.encode(np.asfortranarray(np.ones((3, 4), np.uint8)))["counts"]
    with pytest.raises(ValueError, match="add up to 12 pixels, expected 4 x 4"):
        pixels.region_from(counts, (4, 4))


def test_a_mask_that_is_cut_into_a_patch_comes_back():
    y, x = np.mgrid[:90, :120]
    mask = ((x - 55) / 40) ** 2 + ((y - 44) / 31) ** 2 < 1
    box = np.array([15, 13, 96, 76], np.float64)
    columns, rows = places(box[0], box[2], 64), places(box[1], box[3], 64)
    patch = mask[np.rint(rows).astype(int)[:, None], np.rint(columns).astype(int)].astype(np.float32)
    found = on_image(pixels.region_of(patch, box, (120, 90), 0.5), (120, 90))
    assert (found & mask).sum() / (found | mask).sum() > 0.97


def test_many_masks_need_the_memory_of_one():
    boxes = np.tile([10.0, 20.0, 1490.0, 980.0], (20, 1))
    patches = np.random.default_rng(2).random((20, 8, 8)).astype(np.float32)
    tracemalloc.start()
    pixels.segmentations(patches, boxes, (1500, 1000), 0.4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6  # 20 masks of float32 are 120 MB


def golden():
    """Masks of a network's maps as they were defined: arrays of the file, its meta, and [K, H, W] bool."""
    with np.load(GOLDEN) as stored:
        arrays = dict(stored)
    meta = json.loads(arrays["meta"].tobytes())
    wide = meta["image_hw"][1]
    return arrays, meta, np.unpackbits(arrays["image_mask"], axis=2)[..., :wide].astype(bool)


def test_run_lengths_of_the_definition():
    _, meta, masks = golden()
    for mask, runs in zip(masks, meta["rle"], strict=True):
        counts = pixels.counts_of(pixels.Region(0, 0, mask), mask.shape[::-1])
        assert pixels.runs_of(counts).tolist() == runs


def test_patches_of_a_network_give_nearly_the_masks_of_the_definition():
    """It pastes a rectangle of cells, a patch is sampled from them; what lies beyond its widened box it cannot show."""
    arrays, meta, masks = golden()
    size, shares = masks.shape[:0:-1], []
    for mask, cells, box in zip(masks, arrays["prob"], arrays["image_box"].astype(np.float64)):
        box = widened(box[None], 0.25)[0]
        scale = cells.shape[1] / meta["s"]
        columns, rows = (
            cells.shape[1 - side] / 2 + scale * (places(box[side], box[side + 2], 64) - meta["c"][side])
            for side in (0, 1)
        )
        patch = (_hats(rows, cells.shape[0]) @ cells @ _hats(columns, cells.shape[1]).T).astype(np.float32)
        found = on_image(pixels.region_of(patch, box, size, meta["threshold"]), size)
        shares.append((found & mask).sum() / (found | mask).sum())
    assert min(shares) > 0.93 and np.mean(shares) > 0.98


def _hats(positions, count):
    """[P, count] weights of linear interpolation between cells, 0 outside of them."""
    return np.maximum(0, 1 - np.abs(positions[:, None] - np.arange(count)))
