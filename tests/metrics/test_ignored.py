"""Detections on ignored objects are neither hits nor misses."""

import numpy as np
import pytest

from centernet_tf.metrics.coco import CocoBoxes
from centernet_tf.metrics.ignored import as_crowd
from centernet_tf.metrics.voc import VocBoxes

NAMES = ("Pedestrian", "Car")
TRUTH = {
    "boxes": np.array([[0, 0, 50, 50], [100, 0, 160, 60], [200, 0, 400, 90]], np.float32),
    "classes": np.array([1, 1, -1]),
    "ignored": np.array([False, True, True]),
    "crowd": np.zeros(3, bool),
    "difficult": np.zeros(3, bool),
}


def test_rows():
    rows = as_crowd({**TRUTH, "area": np.arange(3)}, 2)
    assert rows["classes"].tolist() == [1, 1, 0, 1] and rows["area"].tolist() == [0, 1, 2, 2]
    assert rows["crowd"].tolist() == rows["difficult"].tolist() == [False, True, True, True]
    assert "ignored" not in rows and TRUTH["classes"].tolist() == [1, 1, -1]


def test_nothing_ignored_changes_nothing():
    plain = {**TRUTH, "classes": np.array([1, 0, 1]), "ignored": np.zeros(3, bool)}
    rows = as_crowd(plain, 2)
    for name, values in rows.items():
        np.testing.assert_array_equal(values, plain[name])


@pytest.mark.parametrize("metric", [CocoBoxes, VocBoxes])
def test_detections_on_ignored_objects_do_not_count(metric):
    boxes = [[0, 0, 50, 50], [100, 0, 160, 60], [200, 0, 400, 90], [300, 200, 350, 260]]
    scores = []
    for label in (0, 1):
        for count in (3, 4):
            counter = metric(NAMES)
            rest = [label] * (count - 2)
            found = {"boxes": np.array(boxes[:count]), "classes": [1, 1, *rest], "scores": [0.5] + [0.9] * (count - 1)}
            counter.add(1, found, as_crowd(TRUTH, 2))
            scores.append(counter.result().ap[1])
    # On nothing at all, a car counts as wrong.
    np.testing.assert_allclose(scores, [1, 1, 1, 0.5])
