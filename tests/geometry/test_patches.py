"""Grids over boxes: the fast way beside one that reads a value at a time."""

import numpy as np
import pytest

from centernet_tf.geometry import patches


def read(patch: np.ndarray, box: np.ndarray, x: float, y: float) -> float:
    """The value of a patch at a point, slowly."""
    left, top, right, bottom = box.astype(float)
    if not (left <= x <= right and top <= y <= bottom and left < right and top < bottom):
        return 0.0
    height, width = patch.shape
    column = np.clip((x - left) / (right - left) * width - 0.5, 0, width - 1)
    row = np.clip((y - top) / (bottom - top) * height - 0.5, 0, height - 1)
    across = np.interp(column, np.arange(width), np.arange(width))
    above, below = int(np.floor(row)), int(np.ceil(row))
    values = [np.interp(across, np.arange(width), patch[line]) for line in (above, below)]
    return values[0] + (row - above) * (values[1] - values[0])


@pytest.mark.parametrize(
    "box", [(0, 0, 0, 0), (2, 2, 2, 5), (1, 2, 9, 7), (-3, -2, 4.5, 5.25), (0.2, 0.7, 0.9, 0.8), (20, 20, 30, 30)]
)
def test_a_patch_is_read_between_its_values(box):
    patch = np.random.default_rng(0).random((4, 3)).astype(np.float32)
    box = np.array(box, np.float32)
    columns, rows = np.arange(12, dtype=np.float32), np.arange(10, dtype=np.float32)
    slow = [[read(patch, box, x, y) for x in columns] for y in rows]
    np.testing.assert_allclose(patches.paste(patch, box, columns, rows), slow, atol=1e-6)


def test_no_patches():
    pasted = patches.paste(
        np.zeros((0, 4, 4), np.float32), np.zeros((0, 4), np.float32), np.arange(3.0), np.arange(2.0)
    )
    assert pasted.shape == (0, 2, 3)


def test_tensors_as_arrays():
    from keras import ops

    random = np.random.default_rng(1)
    values = random.random((2, 3, 5, 5)).astype(np.float32)
    boxes = np.sort(random.uniform(-2, 9, (2, 3, 2, 2)), axis=2).reshape(2, 3, 4).astype(np.float32)
    grid = np.arange(8, dtype=np.float32)
    fast = patches.paste(*(ops.convert_to_tensor(one) for one in (values, boxes, grid, grid)))
    np.testing.assert_allclose(ops.convert_to_numpy(fast), patches.paste(values, boxes, grid, grid), atol=1e-6)


def test_values_stand_in_the_middle_of_their_parts():
    np.testing.assert_allclose(patches.places(np.float32([1]), np.float32([9]), 4), [[2, 4, 6, 8]])
    box = np.array([1, 2, 9, 6], np.float32)
    values = np.random.default_rng(2).random((4, 4)).astype(np.float32)
    columns, rows = patches.places(box[0], box[2], 4), patches.places(box[1], box[3], 4)
    np.testing.assert_allclose(patches.paste(values, box, columns, rows), values, atol=1e-6)


def test_wider_boxes():
    np.testing.assert_allclose(patches.widened(np.float32([[0, 0, 10, 20]]), 0.5), [[-5, -10, 15, 30]])
