"""Depth errors by distance."""

import numpy as np

from centernet_tf.properties.boxes3d.distances import DepthErrors
from centernet_tf.properties.boxes3d.records import from_columns
from centernet_tf.properties.metric import ImageKey

KEY = ImageKey(1)


def image(depths, found, classes=None, ignored=None, apart=100):
    """Objects side by side; detections on them, whose depths are `found`."""
    count = len(depths)
    left = np.arange(count) * apart
    boxes = np.stack([left, np.zeros(count), left + 50, np.full(count, 40)], axis=1)
    boxes3d = np.ones((count, 8))
    boxes3d[:, 6] = depths
    labels = np.zeros(count, int)
    truth = {"boxes": boxes, "classes": labels, "ignored": np.zeros(count, bool), **from_columns(boxes3d)}
    if ignored is not None:
        truth["ignored"] = np.array(ignored)
    moved = boxes3d.copy()
    moved[:, 6] = found
    scores = np.linspace(0.9, 0.1, count)
    return {
        "boxes": boxes + 2,
        "classes": labels if classes is None else classes,
        "scores": scores,
        **from_columns(moved),
    }, truth


def test_medians_by_range():
    errors = DepthErrors()
    errors.update(KEY, *image([5, 8, 9, 25, 74], [6, 8, 7, 30, 64]))
    errors.update(KEY, *image([71], [72]))
    scores = errors.result()
    assert scores.ranges.tolist() == [[0, 10], [20, 30], [70, 80]]
    assert scores.objects.tolist() == scores.found.tolist() == [3, 1, 2]
    np.testing.assert_allclose(scores.error, [1, 5, 5.5])
    np.testing.assert_allclose(scores.relative, [0.2, 0.2, (10 / 74 + 1 / 71) / 2])
    np.testing.assert_allclose(scores.bias, [0, 5, -4.5])
    assert scores.as_dict()["depths"][0] == {
        "metres": [0, 10], "objects": 3, "found": 3, "error": 1, "relative": 0.2, "bias": 0
    }  # fmt: skip


def test_what_is_not_found_has_no_error():
    errors = DepthErrors()
    detections, truth = image([5, 6, 7], [1, 1, 1], classes=np.array([0, 1, 0]), ignored=[False, False, True])
    errors.update(KEY, detections, truth)
    scores = errors.result()
    assert scores.ranges.tolist() == [[5, 6], [6, 7]]
    assert scores.objects.tolist() == [1, 1] and scores.found.tolist() == [1, 0]
    assert np.isnan(scores.error[1]) and scores.as_dict()["depths"][1]["error"] is None


def test_an_object_takes_the_best_of_its_detections():
    errors = DepthErrors()
    detections, truth = image([5, 30], [6, 7], apart=5)
    truth = {name: values[:1] for name, values in truth.items()}
    errors.update(KEY, detections, truth)
    assert errors.result().error.tolist() == [1]


def test_nothing():
    errors = DepthErrors()
    assert errors.result() is None
    errors.update(KEY, *image([], []))
    assert errors.result() is None


def test_objects_without_3d_box_do_not_count():
    errors = DepthErrors()
    detections, truth = image([5, 6], [1, 1])
    errors.update(KEY, detections, {**truth, "has_box3d": np.array([True, False])})
    assert errors.result().objects.tolist() == [1]


def test_rounding_comes_before_the_comparison():
    errors = DepthErrors(digits=0)
    errors.update(KEY, *image([5], [6.3]))
    assert errors.result().error.tolist() == [1]


def test_table():
    errors = DepthErrors()
    detections, truth = image([5, 6], [4.999, 1], classes=np.array([0, 1]))
    errors.update(KEY, detections, truth)
    (table,) = errors.result().tables()
    rows = list(zip(*(column.cells for column in table.columns)))
    assert rows == [("5 to 6", "1", "1", "0.00", "0.0", "0.00"), ("6 to 7", "1", "0", "-", "-", "-")]
