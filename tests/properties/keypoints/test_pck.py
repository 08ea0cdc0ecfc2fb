"""Percentage of correct keypoints against a count by hand and a slow twin."""

import json

import numpy as np
import pytest

from centernet_tf.properties.keypoints.pck import FRACTIONS, CorrectKeypoints
from centernet_tf.properties.metric import ImageKey

NAMES, KEY = ("head", "tail"), ImageKey(1)


def truth_of(boxes, keypoints, crowd=None, ignored=None):
    keypoints = np.reshape(keypoints, (-1, len(NAMES), 3)).astype(float)
    return {
        "boxes": np.reshape(boxes, (-1, 4)).astype(float),
        "classes": np.zeros(len(boxes), int),
        "crowd": np.zeros(len(boxes), bool) if crowd is None else np.array(crowd),
        "ignored": np.zeros(len(boxes), bool) if ignored is None else np.array(ignored),
        "keypoints": keypoints[..., :2],
        "keypoint_labels": keypoints[..., 2].astype(int),
    }


def found_of(truth, keypoints, scores=None, classes=None):
    count = len(truth["boxes"])
    return {
        "boxes": truth["boxes"],
        "classes": np.zeros(count, int) if classes is None else np.array(classes),
        "scores": np.full(count, 0.5) if scores is None else np.array(scores),
        "keypoints": np.reshape(keypoints, (-1, len(NAMES), 2)),
    }


def test_nothing():
    correct = CorrectKeypoints(NAMES)
    assert correct.result() is None
    nothing = truth_of([], [])
    correct.update(KEY, found_of(nothing, []), nothing)
    assert correct.result() is None
    unlabelled = truth_of([[0, 0, 10, 10]], [[1, 1, 0], [2, 2, 0]])
    correct.update(KEY, found_of(unlabelled, [[1, 1], [2, 2]]), unlabelled)
    assert correct.result() is None


def test_by_hand():
    """Sides of 100 and 50 pixels: 100 counts. One keypoint 4 off, one 15; one object is not found, two do not count."""
    truth = truth_of(
        [[0, 0, 100, 50], [200, 0, 300, 50], [400, 0, 500, 50], [600, 0, 700, 50]],
        [[[10, 10, 2], [50, 20, 1]], [[210, 10, 2], [250, 20, 0]], *[[[410, 10, 2], [450, 20, 2]]] * 2],
        crowd=[False, False, True, False],
        ignored=[False, False, False, True],
    )
    places = [[[10, 14], [50, 35]], [[210, 10], [250, 20]], [[0, 0], [0, 0]], [[0, 0], [0, 0]]]
    found = found_of(truth, places, classes=[0, 1, 0, 0])
    correct = CorrectKeypoints(NAMES)
    correct.update(KEY, found, truth)
    scores = correct.result()
    assert scores.labelled.tolist() == [2, 1]
    np.testing.assert_allclose(scores.right, [[0.5, 0.5, 0.5], [0, 0, 1]])
    np.testing.assert_allclose(scores.all, [1 / 3, 1 / 3, 2 / 3])
    content = json.loads(json.dumps(scores.as_dict()))["PCK"]
    assert content["keypoints"][1] == {"name": "tail", "labelled": 1, "PCK": {"0.05": 0, "0.1": 0, "0.2": 1}}
    (table,) = scores.tables()
    assert [list(column.cells) for column in table.columns][2] == ["50.0", "0.0", "33.3"]


def test_a_keypoint_that_is_labelled_nowhere():
    truth = truth_of([[0, 0, 10, 10]], [[1, 1, 2], [0, 0, 0]])
    correct = CorrectKeypoints(NAMES)
    correct.update(KEY, found_of(truth, [[1, 1], [9, 9]]), truth)
    scores = correct.result()
    assert scores.all.tolist() == [1, 1, 1] and np.isnan(scores.right[1]).all()
    assert scores.as_dict()["PCK"]["keypoints"][1]["PCK"]["0.1"] is None
    assert list(scores.tables()[0].columns[4].cells) == ["100.0", "-", "100.0"]


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_slow_twin(seed):
    random = np.random.default_rng(seed)
    correct, right, labelled = CorrectKeypoints(NAMES), np.zeros((2, 3)), np.zeros(2)
    for _ in range(4):
        count = random.integers(0, 5)
        corner = np.stack([np.arange(count) * 200.0, random.uniform(0, 50, count)], axis=1)  # No two overlap.
        boxes = np.concatenate([corner, corner + random.uniform(20, 150, (count, 2))], axis=1)
        keypoints = np.dstack([random.uniform(0, 800, (count, 2, 2)), random.integers(0, 3, (count, 2))])
        truth = truth_of(boxes, keypoints)
        points = truth["keypoints"] + random.normal(0, 12, (count, 2, 2))
        kinds = random.integers(0, 2, count)
        correct.update(KEY, found_of(truth, points, scores=random.random(count), classes=kinds), truth)
        for row in range(count):
            side = max(boxes[row, 2] - boxes[row, 0], boxes[row, 3] - boxes[row, 1])
            for keypoint in range(2):
                if keypoints[row, keypoint, 2] == 0:
                    continue
                labelled[keypoint] += 1
                away = np.hypot(*(points[row, keypoint] - keypoints[row, keypoint, :2]))
                right[keypoint] += [kinds[row] == 0 and away <= fraction * side for fraction in FRACTIONS]
    scores = correct.result()
    np.testing.assert_array_equal(scores.labelled, labelled)
    np.testing.assert_allclose(scores.right, right / labelled[:, None])
