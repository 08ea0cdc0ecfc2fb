import numpy as np
import pytest

from centernet_tf.errors import UsageError
from centernet_tf.metrics.voc import VocBoxes, area_below, curve, eleven_points

NAMES = ("a", "b", "c")
BOX, FAR = [10, 10, 49, 49], [200, 200, 239, 239]


def score(images, names=NAMES, **settings):
    metric = VocBoxes(names, **settings)
    for image in images:
        metric.add(*image)
    return metric.result()


def truth(boxes, classes=None, **more):
    return {"boxes": boxes, "classes": np.zeros(len(boxes), int) if classes is None else classes, **more}


def found(boxes, scores=None, classes=None):
    scores = np.linspace(0.9, 0.5, len(boxes)) if scores is None else scores
    return {**truth(boxes, classes), "scores": scores}


def slow_iou(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0]) + 1
    height = min(one[3], other[3]) - max(one[1], other[1]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def slow_average_precision(images, label, area):
    """One detection after the other, each looking for its object."""
    queue = [
        (image_id, float(one), [float(value) for value in box])
        for image_id, detections, _ in sorted(images, key=lambda image: image[0])
        for box, one, kind in zip(detections["boxes"], detections["scores"], detections["classes"])
        if kind == label
    ]
    objects = {
        image_id: [
            {"box": box.tolist(), "difficult": difficult, "taken": False}
            for box, kind, difficult in zip(there["boxes"], there["classes"], there["difficult"])
            if kind == label
        ]
        for image_id, _, there in images
    }
    count = sum(not thing["difficult"] for things in objects.values() for thing in things)
    hits, points = [], []
    for image_id, _, box in sorted(queue, key=lambda one: -one[1]):
        nearest = max(objects[image_id], key=lambda thing: slow_iou(box, thing["box"]), default=None)
        if nearest is None or slow_iou(box, nearest["box"]) <= 0.5:
            hits.append(0)
        elif not nearest["difficult"]:
            hits.append(int(not nearest["taken"]))
            nearest["taken"] = True
        else:
            continue
        points.append((sum(hits) / count, sum(hits) / len(hits)))
    if area:
        total, last = 0.0, 0.0
        for recall, _ in points:
            total += (recall - last) * max(precision for other, precision in points if other >= recall)
            last = recall
        return total
    levels = [0.0 + 0.1 * level for level in range(11)]
    return sum(max([precision for recall, precision in points if recall >= level], default=0) for level in levels) / 11


@pytest.mark.parametrize("area", [False, True])
@pytest.mark.parametrize("seed, ties", [(0, False), (1, False), (2, True), (3, True)])
def test_equals_the_slow_twin(random_scene, seed, ties, area):
    images = random_scene(images=30, classes=len(NAMES), seed=seed, ties=ties)
    scores = score(images, area=area)
    expected = [slow_average_precision(images, label, area) for label in range(len(NAMES))]
    np.testing.assert_allclose(scores.ap, expected, rtol=0, atol=1e-12)
    assert scores.mean == pytest.approx(np.mean(expected)) and 0.1 < scores.mean < 0.95


@pytest.mark.parametrize(
    "hits, count, points, area",
    [
        ([], 1, 0.0, 0.0),
        ([0, 0], 3, 0.0, 0.0),
        ([1], 1, 1.0, 1.0),
        ([1], 2, 6 / 11, 0.5),
        ([0, 1], 1, 0.5, 0.5),
        ([1, 0, 1], 2, (6 + 5 * 2 / 3) / 11, 0.5 + 0.5 * 2 / 3),
        # A later, higher precision counts for all lower recalls.
        ([0, 1, 1, 1], 3, 0.75, 0.75),
        # 3/10 is less than the level 0.1 * 3 in floating point.
        ([1, 1, 1], 10, 3 / 11, 0.3),
    ],
)
def test_curves(hits, count, points, area):
    precision, recall = curve(np.array(hits, bool), count)
    assert eleven_points(precision, recall) == pytest.approx(points)
    assert area_below(precision, recall) == pytest.approx(area)


def test_perfect():
    scores = score([(1, found([BOX, FAR], classes=[0, 2]), truth([BOX, FAR], [0, 2]))])
    np.testing.assert_array_equal(scores.ap, [1, np.nan, 1])
    assert (scores.mean, scores.truth.tolist(), scores.images, scores.detections) == (1, [1, 0, 1], 1, 2)
    assert [array.tolist() for array in scores.precision] == [[1], [], [1]]
    assert [array.tolist() for array in scores.recall] == [[1], [], [1]]


def test_each_object_is_found_once():
    scores = score([(1, found([BOX, BOX, FAR]), truth([BOX, FAR]))])
    assert scores.precision[0].tolist() == [1, 1 / 2, 2 / 3] and scores.recall[0].tolist() == [0.5, 0.5, 1]


def test_a_detection_does_not_fall_back_on_the_second_best_object():
    """Both detections are nearest to the same object, so the second is a miss though another object is free."""
    near = [12, 10, 51, 49]
    scores = score([(1, found([BOX, BOX]), truth([BOX, near]))])
    assert scores.precision[0].tolist() == [1, 0.5]


def test_difficult_is_left_out():
    there = truth([BOX, FAR], difficult=[False, True])
    scores = score([(1, found([FAR, FAR, BOX]), there)])
    assert scores.mean == 1 and scores.truth[0] == 1 and scores.precision[0].tolist() == [1]
    only = score([(1, found([FAR]), truth([FAR], difficult=[True]))])
    assert np.isnan(only.mean) and only.truth[0] == 0


@pytest.mark.parametrize(
    "box, hit",
    [
        # 20 of 40 columns: exactly one half is not above it.
        ([10, 10, 29, 49], False),
        # 21 of 40 columns.
        ([10, 10, 30, 49], True),
    ],
)
def test_iou_counts_the_last_pixel_and_must_be_above_half(box, hit):
    assert score([(1, found([box]), truth([BOX]))]).mean == float(hit)
    assert score([(1, found([box]), truth([BOX]))], iou=0.49).mean == 1


def test_detection_of_another_class_or_image_is_a_miss():
    images = [(1, found([BOX], classes=[1]), truth([BOX])), (2, found([BOX]), truth([]))]
    scores = score(images)
    assert scores.ap[0] == 0 and np.isnan(scores.ap[1])
    assert scores.precision[1].tolist() == [0] and np.isnan(scores.recall[1]).all()


def test_devkit_digits():
    image = [(1, found([BOX, FAR], [0.8001, 0.8004]), truth([BOX]))]
    assert score(image).mean == 0.5
    assert score(image, devkit_digits=True).mean == 1


@pytest.mark.parametrize("iou", [-0.1, 1.0])
def test_wrong_iou(iou):
    with pytest.raises(UsageError, match="expected at least 0 and below 1"):
        VocBoxes(NAMES, iou=iou)
