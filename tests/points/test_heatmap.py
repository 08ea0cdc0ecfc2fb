"""Target heatmaps of ignored objects, drawn over others or for all classes; the rest stands in `test_centers`."""

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.points.centers import STRIDE, Centers


def encode(rows, grid, centers: Centers):
    rows = {name: ops.convert_to_tensor(values) for name, values in rows.items()}
    return keras.tree.map_structure(ops.convert_to_numpy, centers.encode(rows, centers.locate(rows, grid)))


def rows_of(boxes, classes=None, crowd=None) -> dict[str, np.ndarray]:
    """One image with these boxes in cells."""
    boxes = np.float32(boxes).reshape(1, -1, 4) * STRIDE
    count = boxes.shape[1]
    return {
        "boxes": boxes,
        "classes": np.zeros((1, count), np.int32) if classes is None else np.int32([classes]),
        "crowd": np.zeros((1, count), bool) if crowd is None else np.array([crowd]),
        "valid": np.ones((1, count), bool),
    }


@pytest.mark.parametrize("options", [{}, {"ignored_area": True}], ids=["centre", "area"])
@pytest.mark.parametrize(("ignored", "centers_left"), [([0, 1], 0), ([1, 0], 1), ([0, 0], 1), ([1, 1], 0)])
def test_the_later_of_two_objects_of_one_place_counts(options, ignored, centers_left):
    rows = {**rows_of([[1, 1, 5, 5], [1, 1, 5, 5]], classes=[1, 1]), "ignored": np.array([ignored], bool)}
    heatmap = encode(rows, (8, 8), Centers(num_classes=2, **options))["heatmap"]["heatmap"]
    assert (heatmap == 1).sum() == centers_left
    assert heatmap[0, 3, 3].tolist() == [0, 1 if centers_left else np.float32(0.9999)]


def test_ignored_for_all_classes():
    rows = {**rows_of([[1, 1, 5, 5]], classes=[-1]), "ignored": np.array([[True]])}
    heatmap = encode(rows, (8, 8), Centers(num_classes=2))["heatmap"]["heatmap"]
    assert heatmap[0, 3, 3].tolist() == [np.float32(0.9999)] * 2
    np.testing.assert_array_equal(heatmap[..., 0], heatmap[..., 1])
    area = encode(rows, (8, 8), Centers(num_classes=2, ignored_area=True))["heatmap"]["heatmap"]
    assert (area == np.float32(0.9999)).sum() == 2 * 25 and (area == 0).sum() == 2 * (64 - 25)
