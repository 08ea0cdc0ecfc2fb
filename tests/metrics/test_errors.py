"""Kinds of errors on boxes made for each, their counts, and gains that add up to the AP that is missing."""

import numpy as np
import pytest

from centernet_tf.errors import UsageError
from centernet_tf.metrics.coco import CocoBoxes
from centernet_tf.metrics.error_gains import gains, mended_ap
from centernet_tf.metrics.error_kinds import KINDS, judge
from centernet_tf.metrics.error_pictures import COLORS, chart, sheet, worst
from centernet_tf.metrics.error_report import find_errors
from centernet_tf.metrics.matched import match

NAMES = ("a", "b", "c", "d")
OBJECT = (100, 100, 140, 140)
# What each detection of an object at OBJECT, of class 0, is; an IoU of 0.5 makes a hit.
CASES = {
    "found": ((102, 101, 141, 140), 0),
    "size": ((90, 90, 150, 150), 0),
    "offset": ((118, 118, 158, 158), 0),
    "size and offset": ((100, 100, 185, 165), 0),
    "class": ((101, 100, 140, 140), 1),
    "class and box": ((90, 90, 150, 150), 1),
    "background": ((300, 100, 340, 140), 0),
}


def counter(images):
    metric = CocoBoxes(NAMES)
    for one in images:
        metric.add(*one)
    return metric


def image(boxes, classes=(), scores=None, truth=(OBJECT,), truth_classes=(0,)):
    """Image 1 with detections and objects."""
    scores = np.linspace(0.9, 0.5, len(boxes)) if scores is None else scores
    found = {"boxes": np.array(boxes, float).reshape(-1, 4), "scores": scores, "classes": np.array(classes, int)}
    return 1, found, {"boxes": np.array(truth, float).reshape(-1, 4), "classes": np.array(truth_classes, int)}


def judged(*images, iou=0.5):
    return judge(match(counter(images), iou), iou)


@pytest.mark.parametrize("kind", CASES)
def test_each_error_is_told_apart(kind):
    box, label = CASES[kind]
    told = judged(image([box], [label]))
    assert told.kinds.tolist() == [kind]
    assert told.fates.tolist() == ["missed" if kind == "background" else kind]


def test_a_second_peak_is_a_double_whatever_its_box():
    boxes = [CASES[kind][0] for kind in ("found", "size", "class")]
    assert judged(image(boxes, [0, 0, 1])).kinds.tolist() == ["found", "double", "double"]
    # Nothing is found: the best claims the object, the next is a double.
    told = judged(image([CASES["offset"][0], CASES["size"][0]], [0, 0]))
    assert told.kinds.tolist() == ["offset", "double"] and told.claims.tolist() == [0, -1]


def test_a_peak_belongs_to_the_nearest_object_of_its_class():
    truth = [OBJECT, (105, 100, 145, 140)]
    told = judged(image([(112, 100, 176, 176)], [0], truth=truth, truth_classes=(0, 1)))
    assert told.fates.tolist() == ["size and offset", "missed"]


def test_crowds_are_no_objects_and_make_no_errors():
    crowd = image([(110, 110, 130, 130)], [0])
    crowd[2]["crowd"] = np.array([True])
    told = judged(crowd)
    assert told.kinds.tolist() == [""] and told.fates.tolist() == [""]


@pytest.mark.parametrize("iou", [0.5, 0.75])
def test_ap_is_that_of_coco(random_scene, iou):
    for ties in (False, True):
        metric = counter(random_scene(ties=ties))
        scores, told = metric.result(), judge(match(metric, iou), iou)
        expected = scores.precision[np.flatnonzero(np.isclose(scores.ious, iou))[0]].mean(axis=0)
        np.testing.assert_allclose(mended_ap(told, ()), expected, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_gains_in_order_add_up_to_what_is_missing(random_scene, seed):
    made = gains(judge(match(counter(random_scene(seed=seed)), 0.6), 0.6))
    total = sum(made.ordered.values())
    np.testing.assert_allclose(made.ap + total, 1.0, atol=1e-12)
    assert made.missing == pytest.approx(np.mean(total)) and made.missing > 0.1
    assert min(values.min() for values in made.ordered.values()) > -0.05
    assert sum(values.max() > 0.01 for values in made.ordered.values()) >= 5


def mended_by_hand(images, kinds):
    """The same AP from detections that are mended one by one and scored by COCO's evaluation."""
    told, start, truth_start, mended = judged(*images), 0, 0, []
    for image_id, found, truth in sorted(images, key=lambda one: one[0]):
        boxes, scores, classes = [], [], []
        for row in range(len(found["boxes"])):
            kind, claim = told.kinds[start + row], told.claims[start + row] - truth_start
            if kind in kinds and claim < 0:
                continue
            right = kind in kinds
            boxes.append(truth["boxes"][claim] if right else found["boxes"][row])
            classes.append(truth["classes"][claim] if right else found["classes"][row])
            scores.append(found["scores"][row])
        for row in range(len(truth["boxes"])):
            if "missed" in kinds and told.fates[truth_start + row] == "missed":
                boxes.append(truth["boxes"][row])
                classes.append(truth["classes"][row])
                scores.append(-1.0)
        start, truth_start = start + len(found["boxes"]), truth_start + len(truth["boxes"])
        made = {"boxes": np.array(boxes).reshape(-1, 4), "scores": np.array(scores), "classes": np.array(classes, int)}
        mended.append((image_id, made, truth))
    return counter(mended).result().ap50


@pytest.mark.parametrize("kinds", [("size",), ("class",), ("double", "background"), ("missed",), tuple(KINDS)])
def test_mending_is_what_it_says(random_scene, kinds):
    """As if the detections themselves were put right; few objects stand so close that a mended box finds another."""
    images = random_scene(images=12, most=4)
    for _, found, truth in images:
        truth["crowd"][:] = False
        found["boxes"][:] = found["boxes"].astype(np.float64)
    np.testing.assert_allclose(mended_ap(judged(*images), kinds), mended_by_hand(images, kinds), atol=1e-9)


def test_counts_take_every_object_once_and_look_above_the_threshold():
    boxes = [CASES["found"][0], CASES["background"][0]]
    images = counter([image(boxes, [0, 2], scores=np.array([0.2, 0.6]))])
    low = find_errors(images, thresholds=(0.1, 0.1, 0.7, 0.1))
    assert low.of_classes()["a"]["found"] == 1 and low.of_classes()["c"]["background"] == 0
    high = find_errors(images)
    assert high.of_classes()["a"]["missed"] == 1 and high.of_classes()["c"]["background"] == 1
    assert high.of_sizes()["medium"]["missed"] == 1 and high.of_sizes()["small"]["missed"] == 0
    assert high.ap == low.ap == 1.0  # of all detections; nobody looks for class c


def test_report_adds_up(random_scene):
    errors = find_errors(counter(random_scene()))
    told = errors.as_dict()["errors"]
    assert sum(row["in order"] for row in told["kinds"].values()) == pytest.approx(1 - told["AP"])
    objects = ("found", "size", "offset", "size and offset", "class", "class and box", "missed")
    for rows in (told["classes"], told["sizes"]):
        for row in rows.values():
            assert row["objects"] == sum(row[name] for name in objects)
    assert [table.row_count for table in errors.tables()] == [len(KINDS) + 1, 3 + len(KINDS) - 1, 4]


def test_nothing_found_is_all_missed():
    errors = find_errors(counter([image([])]))
    assert errors.ordered()["missed"] == errors.gains.missing == 1.0
    nothing = find_errors(counter([image([], truth=(), truth_classes=())]))
    assert np.isnan(nothing.ap) and nothing.as_dict()["errors"]["AP"] is None


def test_an_iou_that_is_none_is_refused():
    with pytest.raises(UsageError, match="IoU 50"):
        find_errors(counter([image([])]), iou=50)


def test_pictures_show_the_worst_images():
    good = image([CASES["found"][0]], [0])
    bad = (7, *image([CASES["size"][0], CASES["background"][0]], [0, 2])[1:])
    errors = find_errors(counter([good, bad]))
    assert worst(errors.shown) == [7]
    blank = np.zeros((200, 400, 3), np.uint8)
    drawn = sheet(errors.shown, {7: blank}, {7: "bad.png"})
    (told,) = np.flatnonzero((drawn == COLORS["background"]).all(axis=2).any(axis=0))[[0]]
    assert 400 <= drawn.shape[1] < 480 and abs(told - 300) < 12
    assert sheet(errors.shown, {7: blank}, tile=1200).shape[1] > 1200  # three times as large
    picture = chart(errors)
    assert picture.dtype == np.uint8 and picture.shape[2] == 3 and len(np.unique(picture)) > 10
