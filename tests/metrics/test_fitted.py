import numpy as np
import pytest

from centernet_tf.metrics.coco import CocoBoxes
from centernet_tf.metrics.fitted import fit_thresholds
from centernet_tf.metrics.matched import match

NAMES = ("a", "b", "c", "d")
BOX, ELSEWHERE = (10, 10, 50, 50), (100, 100, 140, 140)


def counter(images):
    metric = CocoBoxes(NAMES)
    for one in images:
        metric.add(*one)
    return metric


def image(number, found, truth):
    """Detections (box, score, class) and objects (box, class)."""
    boxes, scores, classes = (list(column) for column in zip(*found)) if found else ([], [], [])
    there, labels = (list(column) for column in zip(*truth)) if truth else ([], [])
    detections = {"boxes": np.array(boxes, float).reshape(-1, 4), "scores": scores, "classes": np.array(classes, int)}
    return number, detections, {"boxes": np.array(there, float).reshape(-1, 4), "classes": np.array(labels, int)}


def test_thresholds_lie_between_right_and_wrong():
    images = [
        image(1, [(BOX, 0.75, 0), (ELSEWHERE, 0.25, 0), (BOX, 0.5, 1)], [(BOX, 0), (BOX, 1)]),
        image(2, [(ELSEWHERE, 0.875, 2)], [(BOX, 2)]),
    ]
    fitted = fit_thresholds(match(counter(images)))
    np.testing.assert_allclose(fitted.thresholds, [0.5, 0.25, np.nan, np.nan])
    assert fitted.f1[0] == fitted.recall[0] == fitted.precision[0] == 1
    assert fitted.filled(0.3) == (0.5, 0.25, 0.3, 0.3)
    assert fitted.as_dict()["thresholds"]["c"]["F1"] is None and fitted.table().row_count == 4


@pytest.mark.parametrize("ties", [False, True])
def test_no_other_threshold_has_a_higher_f1(random_scene, ties):
    matched = match(counter(random_scene(ties=ties)))
    fitted = fit_thresholds(matched)
    for label, count in enumerate(matched.objects):
        own = matched.counted & (matched.classes == label)

        def f1(threshold, own=own, count=count):
            kept = own & (matched.scores > threshold)
            return 2 * (matched.hits & kept).sum() / (kept.sum() + count)

        best = max(f1(threshold) for threshold in np.append(0.0, matched.scores[own]))
        assert f1(fitted.thresholds[label]) == pytest.approx(best) == pytest.approx(fitted.f1[label])
