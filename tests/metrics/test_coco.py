import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from centernet_tf.errors import UsageError
from centernet_tf.metrics.coco import CocoBoxes
from centernet_tf.results import Detections

NAMES = ("a", "b", "c", "d")


def score(images, names=NAMES, **settings):
    metric = CocoBoxes(names, **settings)
    for image in images:
        metric.add(*image)
    return metric.result()


def truth(boxes, classes=None, **more):
    return {"boxes": boxes, "classes": np.zeros(len(boxes), int) if classes is None else classes, **more}


def found(boxes, scores=None, classes=None):
    scores = np.linspace(0.9, 0.5, len(boxes)) if scores is None else scores
    return {**truth(boxes, classes), "scores": scores}


def by_files(images, folder, digits):
    """The same by the files and calls that users of pycocotools know."""
    annotations, results = [], []
    for image_id, detections, there in images:
        for box, label, crowd, area in zip(*(there[key] for key in ("boxes", "classes", "crowd", "area"))):
            left, top, right, bottom = box.tolist()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": int(label) + 1,
                    "bbox": [left, top, right - left, bottom - top],
                    "iscrowd": int(crowd),
                    "area": float(area),
                }
            )
        results += Detections(**detections, names=NAMES, image_size=(500, 500)).to_coco(image_id, digits=digits)
    data = {
        "images": [{"id": image_id} for image_id, _, _ in images],
        "categories": [{"id": index + 1, "name": name} for index, name in enumerate(NAMES)],
        "annotations": annotations,
    }
    (folder / "truth.json").write_text(json.dumps(data))
    (folder / "results.json").write_text(json.dumps(results))
    coco = COCO(str(folder / "truth.json"))
    evaluation = COCOeval(coco, coco.loadRes(str(folder / "results.json")), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats


@pytest.mark.parametrize("digits", [None, 2])
@pytest.mark.parametrize("seed", range(3))
def test_equals_pycocotools_over_files(tmp_path, random_scene, seed, digits, capsys):
    images = random_scene(images=25, classes=len(NAMES), seed=seed)
    expected = by_files(images, tmp_path, digits)
    capsys.readouterr()
    scores = score(images, digits=digits)
    assert capsys.readouterr().out == ""
    keys = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]
    assert list(scores.summary) == keys
    np.testing.assert_allclose(list(scores.summary.values()), expected, rtol=0, atol=1e-12)
    assert 0.1 < scores.summary["AP"] < 0.9


def test_perfect():
    boxes = [[10, 10, 50, 50], [100, 10, 400, 300]]
    scores = score([(1, found(boxes, classes=[0, 2]), truth(boxes, classes=[0, 2]))])
    for key in ("AP", "AP50", "AP75", "APm", "APl", "AR1", "AR10", "AR100"):
        assert scores.summary[key] == pytest.approx(1)
    assert np.isnan([scores.summary["APs"], scores.summary["ARs"]]).all()
    np.testing.assert_allclose(scores.ap, [1, np.nan, 1, np.nan])
    np.testing.assert_allclose(scores.ap50, [1, np.nan, 1, np.nan])
    assert scores.truth.tolist() == [1, 0, 1, 0]
    assert (scores.images, scores.detections) == (1, 2)
    assert scores.precision.shape == (10, 101, 4) and scores.recall[[0, -1]].tolist() == [0, 1]


def test_half_of_the_objects_found():
    """Recall 0.5 at precision 1: 51 of the 101 recall levels are reached."""
    boxes = [[10, 10, 50, 50], [100, 100, 150, 150]]
    scores = score([(1, found(boxes[:1]), truth(boxes))])
    assert scores.summary["AP"] == pytest.approx(51 / 101)
    assert scores.summary["AR100"] == 0.5


def test_iou_decides_which_levels_count():
    """IoU 0.72 passes the five levels from 0.50 to 0.70."""
    scores = score([(1, found([[0, 0, 72, 100]]), truth([[0, 0, 100, 100]]))])
    assert scores.summary["AP"] == pytest.approx(0.5)
    assert (scores.summary["AP50"], scores.summary["AP75"]) == (pytest.approx(1), 0)


def test_a_miss_that_scores_higher_halves_precision():
    scores = score([(1, found([[200, 200, 250, 250], [10, 10, 50, 50]]), truth([[10, 10, 50, 50]]))])
    assert scores.summary["AP"] == pytest.approx(0.5)


def test_crowd_is_neither_hit_nor_miss():
    boxes = [[10, 10, 50, 50], [100, 100, 400, 400]]
    there = truth(boxes, crowd=[False, True])
    in_crowd = [[120, 120, 160, 160], [200, 200, 260, 260]]
    scores = score([(1, found([*in_crowd, boxes[0]]), there)])
    assert scores.summary["AP"] == pytest.approx(1) and scores.truth.tolist() == [1, 0, 0, 0]
    assert score([(1, found([*in_crowd, boxes[0]]), truth(boxes))]).summary["AP"] < 0.3


def test_area_is_the_annotated_one():
    """The box is large, the mask within is small: COCO sorts by the mask."""
    box = [[0, 0, 200, 200]]
    scores = score([(1, found(box), truth(box, area=[100.0]))])
    assert scores.summary["APs"] == pytest.approx(1) and np.isnan(scores.summary["APl"])


def test_nothing_found_and_nothing_there():
    box = [[0, 0, 50, 50]]
    assert score([(1, found([]), truth(box))]).summary["AP"] == 0
    scores = score([(1, found(box), truth([]))])
    assert np.isnan(list(scores.summary.values())).all() and scores.detections == 1


def test_images_without_truth_or_detections_count():
    box = [[0, 0, 50, 50]]
    images = [(5, found(box, [0.5]), truth(box)), (10**12, found(box, [0.9]), truth([])), (-3, found([]), truth([]))]
    scores = score(images)
    assert scores.summary["AP"] == pytest.approx(0.5) and scores.images == 3


@pytest.mark.parametrize(
    "limit, average_precision, keys",
    [
        (100, 67 / 101, ["AR1", "AR10", "AR100"]),
        (150, 1.0, ["AR1", "AR10", "AR100", "AR150"]),
        (30, 21 / 101, ["AR1", "AR10", "AR30", "AR100"]),
        (10, 7 / 101, ["AR1", "AR10", "AR100"]),
    ],
)
def test_more_than_a_hundred_objects(limit, average_precision, keys):
    left, top = np.meshgrid(np.arange(15) * 20.0, np.arange(10) * 20.0)
    boxes = np.stack([left, top, left + 10, top + 10], axis=-1).reshape(-1, 4)
    scores = score([(1, found(boxes), truth(boxes))], max_detections=limit)
    assert scores.summary["AP"] == pytest.approx(average_precision)
    assert [key for key in scores.summary if key[2:].isdigit() and key.startswith("AR")] == keys
    assert scores.summary["AR10"] == pytest.approx(10 / 150) and scores.summary["AR100"] == pytest.approx(100 / 150)


def test_rounding_makes_ties():
    """Scores 0.9004 and 0.9001 become equal at two digits: the order of the detections then decides."""
    box, miss = [10, 10, 50, 50], [200, 200, 250, 250]
    image = [(1, found([box, miss], [0.9001, 0.9004]), truth([box]))]
    assert score(image).summary["AP"] == pytest.approx(0.5)
    assert score(image, digits=2).summary["AP"] == pytest.approx(1)


def test_further_images_may_follow():
    box = [[0, 0, 50, 50]]
    metric = CocoBoxes(NAMES)
    metric.add(1, found(box), truth(box))
    assert metric.result().summary["AP"] == pytest.approx(1)
    metric.add(2, found([]), truth(box))
    assert metric.result().summary["AP"] == pytest.approx(51 / 101)


def test_wrong_limit():
    with pytest.raises(UsageError, match="max_detections is 0, expected at least 1"):
        CocoBoxes(NAMES, max_detections=0)
