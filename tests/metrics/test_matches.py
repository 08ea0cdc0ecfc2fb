"""Pairs of detections and objects."""

import numpy as np

from centernet_tf.metrics.matches import pair


def found(boxes, scores, classes=None):
    return {"boxes": np.array(boxes, float), "scores": scores, "classes": classes or [0] * len(scores)}


def test_nothing():
    boxes = np.array([[0, 0, 10, 10.0]])
    assert pair(found(np.zeros((0, 4)), []), boxes, [0]).tolist() == [-1]
    assert pair(found(boxes, [0.5]), np.zeros((0, 4)), []).tolist() == []


def test_the_best_score_chooses_first_and_the_nearest():
    boxes = np.array([[0, 0, 10, 10], [2, 0, 12, 10.0]])
    detections = found([[2, 0, 12, 10], [1.5, 0, 11.5, 10]], [0.3, 0.9])
    # The better one lies on the second, so the other has to take the first.
    assert pair(detections, boxes, [0, 0]).tolist() == [0, 1]


def test_classes_and_little_iou_part():
    boxes = np.array([[0, 0, 10, 10], [50, 0, 60, 10.0]])
    assert pair(found(boxes, [0.9, 0.8], [0, 1]), boxes, [0, 0]).tolist() == [0, -1]
    assert pair(found(np.add(boxes, [4, 0, 4, 0]), [0.9, 0.8]), boxes, [0, 0]).tolist() == [-1, -1]
