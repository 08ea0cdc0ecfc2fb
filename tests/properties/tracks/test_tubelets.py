"""Tubelets are suppressed and frames detected as in the official code, and as slow twins do it."""

import numpy as np
import pytest

from centernet_tf.geometry.boxes import box_iou
from centernet_tf.properties.tracks.tubelets import frame_detections, suppress


def one_class(rows):
    """Boxes and scores side by side -> tubelets, scores, classes."""
    return rows[:, :-1].reshape(len(rows), -1, 4), rows[:, -1], np.zeros(len(rows), int)


def slow_suppress(tubelets, scores, classes, overlap, way):
    """The rule, tubelet by tubelet."""
    left = sorted(range(len(scores)), key=lambda row: -scores[row])
    result = np.array(scores, np.float64)
    while left:
        best = left.pop(0)
        for row in list(left):
            if classes[row] != classes[best]:
                continue
            overlaps = [box_iou(one[None], other[None], 1.0)[0, 0] for one, other in zip(tubelets[best], tubelets[row])]
            if np.mean(overlaps) > overlap:
                factor = {"original": 1 - np.sum(overlaps), "mean": 1 - np.mean(overlaps)}
                result[row] = -np.inf if way == "hard" else result[row] * factor[way]
                left.remove(row)
    return result


def crowd(seed, count, length, classes=3):
    random = np.random.default_rng(seed)
    middle = random.uniform(20, 60, (count, 1, 2)) + random.normal(0, 1, (count, length, 2)).cumsum(axis=1)
    half = random.uniform(8, 20, (count, 1, 2))
    boxes = np.concatenate([middle - half, middle + half], axis=2).astype(np.float32)
    return boxes, random.uniform(0, 1, count).astype(np.float32), random.integers(0, classes, count)


@pytest.mark.parametrize("way", ["original", "mean", "hard"])
def test_of_none_and_of_one(way):
    assert suppress(np.zeros((0, 7, 4)), np.zeros(0), np.zeros(0, int), way=way).shape == (0,)
    assert suppress(np.ones((1, 7, 4)), np.array([0.5]), np.zeros(1, int), way=way).tolist() == [0.5]
    nothing = {"tubelets": np.zeros((0, 3, 4)), "scores": np.zeros(0), "classes": np.zeros(0, int)}
    for windows in ({}, {1: nothing, 2: nothing}):
        found = frame_detections(windows, 3)
        assert found["boxes"].shape == (0, 4) and found["scores"].shape == found["classes"].shape == (0,)


def test_boxes_are_weighed_as_in_the_original(golden_points):
    arrays, _ = golden_points("moc-blocks")
    np.testing.assert_allclose(suppress(*one_class(arrays["nms2d/in"]), 0.6), arrays["nms2d/out"][:, 4], atol=1e-6)
    np.testing.assert_allclose(
        box_iou(arrays["iou2d/boxes"], arrays["iou2d/boxes"], 1.0), arrays["iou2d/out"], atol=1e-6
    )


def test_tubelets_are_weighed_as_in_the_original(golden_points):
    arrays, _ = golden_points("moc-blocks")
    rows = arrays["nms_tubelets/in"]
    scores = suppress(*one_class(rows), 0.6)
    order = np.argsort(-scores, kind="stable")
    ours = np.concatenate([rows[:, :-1], scores[:, None]], axis=1)[order]
    np.testing.assert_allclose(ours, arrays["nms_tubelets/out_all"], atol=1e-5)
    np.testing.assert_array_equal(arrays["nms_tubelets/out"], arrays["nms_tubelets/out_all"][:10])
    assert (scores < 0).any()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("way", ["original", "mean", "hard"])
@pytest.mark.parametrize("length", [1, 7])
def test_equals_the_slow_twin(seed, way, length):
    tubelets, scores, classes = crowd(seed, 40, length)
    expected = slow_suppress(tubelets, scores, classes, 0.4, way)
    assert (expected < scores).sum() > 5
    np.testing.assert_allclose(suppress(tubelets, scores, classes, 0.4, way), expected, atol=1e-5)


def test_a_frame_has_the_boxes_of_all_windows_that_show_it(golden_points, golden_windows):
    arrays, meta = golden_points("moc-metrics")
    rows = arrays["frame_detections"]
    for number, (video, frames) in enumerate(meta["videos"].items()):
        windows = golden_windows("moc-metrics", video)
        for frame in range(1, frames + 1):
            expected = rows[(rows[:, 0] == number) & (rows[:, 1] == frame)]
            found = frame_detections(windows, frame)
            assert found["classes"].tolist() == expected[:, 2].tolist()
            np.testing.assert_allclose(found["scores"], expected[:, 3], atol=1e-6)
            np.testing.assert_array_equal(found["boxes"], expected[:, 4:])
