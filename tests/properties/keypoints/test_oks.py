"""The keypoint metric: against COCO's own files and calls, against a slow twin of the similarity, and by hand."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from centernet_tf.errors import DataError, UsageError
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.oks import CocoKeypoints
from centernet_tf.properties.keypoints.skeleton import COCO_PERSON, Skeleton
from centernet_tf.properties.metric import ImageKey
from centernet_tf.results import Detections

TRIANGLE = Skeleton(keypoints=("a", "b", "c"), sigmas=(0.03, 0.1, 0.06))
BOX = [100, 100, 200, 200]
POINTS = np.array([[110, 120], [150, 190], [190, 130]], float)


def labelled(points, labels=2):
    points = np.array(points)
    return {"keypoints": points, "keypoint_labels": np.broadcast_to(labels, points.shape[:2])}


def found(keypoints, scores=None, classes=None):
    keypoints = np.array(keypoints, float)
    scores = np.linspace(0.9, 0.5, len(keypoints)) if scores is None else scores
    classes = np.zeros(len(keypoints), int) if classes is None else classes
    return {"boxes": [BOX] * len(keypoints), "classes": classes, "scores": scores, "keypoints": keypoints}


def truth(keypoints, area=5000.0, classes=None, **more):
    count = len(keypoints["keypoints"])
    classes = np.zeros(count, int) if classes is None else classes
    flags = {name: np.zeros(count, bool) for name in ("crowd", "difficult", "ignored")}
    return {"boxes": [BOX] * count, "classes": classes, "area": [area] * count, **flags, **keypoints, **more}


def score(*images, names=("x", "y"), skeleton=TRIANGLE, **options):
    metric = CocoKeypoints(names, skeleton, **options)
    for image_id, image in enumerate(images):
        metric.update(ImageKey(image_id), *image)
    return metric.result()


def scene(skeleton, images, seed):
    """Truth with hidden, unlabelled and crowd objects, and detections about it."""
    rng, made = np.random.default_rng(seed), []
    count = len(skeleton.keypoints)
    for image_id in rng.permutation(1000)[:images].tolist():
        number = int(rng.integers(0, 5))
        corner, size = rng.uniform(0, 300, (number, 1, 2)), rng.uniform(20, 200, (number, 1, 2))
        labels = rng.integers(0, 3, (number, count)) * (rng.random((number, 1)) < 0.8)
        keypoints = (corner + size * rng.random((number, count, 2))) * (labels > 0)[..., None]
        boxes = np.concatenate([corner, corner + size], axis=-1)[:, 0]
        there = truth(
            labelled(keypoints, labels),
            boxes=boxes,
            classes=rng.integers(0, 2, number),
            crowd=rng.random(number) < 0.1,
        )
        there["area"] = size.prod(axis=-1)[:, 0] * 0.6
        twice = np.repeat(np.arange(number), rng.integers(0, 3, number))
        points = keypoints[twice] + rng.normal(0, 6, (len(twice), count, 2))
        dets = {"boxes": boxes[twice].astype(np.float32), "scores": rng.random(len(twice)).astype(np.float32)}
        dets |= {"classes": there["classes"][twice], "keypoints": points.astype(np.float32)}
        made.append((image_id, dets, there))
    return made


@pytest.mark.parametrize("skeleton", [COCO_PERSON, TRIANGLE], ids=["coco", "own"])
@pytest.mark.parametrize("seed", range(2))
def test_equals_pycocotools_over_files(skeleton, seed, tmp_path, capsys):
    images, annotations, results = scene(skeleton, 30, seed), [], []
    metric = CocoKeypoints(("x", "y"), skeleton)
    for image_id, dets, there in images:
        metric.update(ImageKey(image_id), dets, there)
        for box, label, crowd, area, points, labels in zip(
            *(there[key] for key in ("boxes", "classes", "crowd", "area", "keypoints", "keypoint_labels"))
        ):
            row = {"id": len(annotations) + 1, "image_id": image_id, "category_id": int(label) + 1, "area": float(area)}
            row |= {"bbox": [*box[:2].tolist(), *(box[2:] - box[:2]).tolist()], "iscrowd": int(crowd)}
            keypoints = np.concatenate([points, labels[:, None]], axis=1).ravel().tolist()
            row |= {"keypoints": keypoints, "num_keypoints": int((labels > 0).sum())}
            annotations.append(row)
        dets = dict(dets)
        fields = {"keypoints": dets.pop("keypoints")}
        properties = (Keypoints(skeleton=skeleton),)
        results += Detections(
            **dets, names=("x", "y"), image_size=(500, 500), fields=fields, properties=properties
        ).to_coco(image_id)
    categories = [{"id": 1, "name": "x"}, {"id": 2, "name": "y"}]
    data = {"images": [{"id": each[0]} for each in images], "categories": categories, "annotations": annotations}
    (tmp_path / "truth.json").write_text(json.dumps(data))
    # loadRes takes rows with both for boxes.
    (tmp_path / "found.json").write_text(json.dumps([{k: v for k, v in row.items() if k != "bbox"} for row in results]))
    coco = COCO(str(tmp_path / "truth.json"))
    evaluation = COCOeval(coco, coco.loadRes(str(tmp_path / "found.json")), "keypoints")
    evaluation.params.kpt_oks_sigmas = np.array(skeleton.sigmas)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    capsys.readouterr()
    summary = metric.result().summary
    assert capsys.readouterr().out == ""
    assert list(summary) == ["AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl"]
    np.testing.assert_allclose(list(summary.values()), evaluation.stats, atol=1e-12)
    assert 0.05 < summary["AP"] < 0.95


def slow_similarity(points, keypoints, labels, area, sigmas):
    total, labelled_keypoints = 0.0, 0
    for (x, y), (there_x, there_y), label, sigma in zip(points, keypoints, labels, sigmas):
        if label > 0:
            distance = (x - there_x) ** 2 + (y - there_y) ** 2
            total += np.exp(-distance / (2 * area * (2 * sigma) ** 2))
            labelled_keypoints += 1
    return total / labelled_keypoints


@pytest.mark.parametrize("seed", range(5))
def test_similarity_equals_its_slow_twin(seed):
    metric = CocoKeypoints(("x", "y"), TRIANGLE)
    images = scene(TRIANGLE, 10, seed)
    compared = 0
    for image_id, *image in images:
        metric.update(ImageKey(image_id), *image)
    ious = metric.evaluation().ious
    for image_id, dets, there in images:
        for label in (0, 1):
            chosen = np.flatnonzero(dets["classes"] == label)
            chosen = chosen[np.argsort(-dets["scores"][chosen], kind="stable")]
            for column, number in enumerate(np.flatnonzero(there["classes"] == label)):
                known = there["keypoints"][number], there["keypoint_labels"][number], there["area"][number]
                if not (known[1] > 0).any():
                    continue
                for row, index in enumerate(chosen):
                    expected = slow_similarity(dets["keypoints"][index], *known, TRIANGLE.sigmas)
                    np.testing.assert_allclose(ious[image_id, label + 1][row, column], expected, atol=1e-9)
                    compared += 1
    assert compared > 10


def test_truth_scores_one_and_classes_without_keypoints_nothing():
    two = labelled([POINTS, POINTS + 90], [[2, 1, 2], [2, 2, 0]])
    scores = score((found([POINTS, POINTS + 90]), truth(two)), names=("x", "ball"))
    assert scores.summary["AP"] == scores.summary["AR"] == pytest.approx(1)
    assert scores.ap[0] == 1 and np.isnan(scores.ap[1])
    assert scores.truth.tolist() == [2, 0] and scores.keypoints == TRIANGLE.keypoints and scores.detections == 2


def test_only_labelled_keypoints_count():
    far = POINTS + np.array([[0, 0], [0, 0], [500, 500]])
    assert score((found([far]), truth(labelled([POINTS], [[2, 1, 0]])))).summary["AP"] == pytest.approx(1)
    assert score((found([far]), truth(labelled([POINTS])))).summary["AP75"] == 0


def test_objects_without_labels_and_crowds_are_neither_hits_nor_misses():
    both = labelled([POINTS, POINTS + 300], [[2, 2, 2], [0, 0, 0]])
    assert score((found([POINTS]), truth(both))).summary["AP"] == pytest.approx(1)
    both = labelled([POINTS, POINTS + 300])
    assert score((found([POINTS]), truth(both, crowd=[False, True]))).summary["AP"] == pytest.approx(1)
    assert score((found([POINTS]), truth(labelled([POINTS], 0)))) is None
    assert score((found([POINTS]), truth(both, crowd=[True, True]))) is None


def test_area_decides_how_far_is_far():
    near = POINTS + 4
    large, small = (score((found([near]), truth(labelled([POINTS]), area))).summary["AP"] for area in (90000, 900))
    assert large > small + 0.3


def test_best_detections_count():
    images = (found([POINTS + 300, POINTS], scores=[0.9, 0.8]), truth(labelled([POINTS])))
    assert score(images, max_detections=1).summary["AP"] == 0
    assert score(images).summary["AP"] == pytest.approx(0.5)


def test_all_objects_of_a_full_image_can_be_found():
    """COCO's limit of 20 is for its persons."""
    places = POINTS + 300 * np.arange(30)[:, None, None]
    image = (found(places), truth(labelled(places)))
    assert score(image).summary["AP"] == pytest.approx(1)
    assert score(image, max_detections=20).summary["AP"] < 0.7
    keypoints = np.zeros((30, 17, 2)) + 300 * np.arange(30)[:, None, None]
    image = (found(keypoints), truth(labelled(keypoints)))
    assert score(image, skeleton=COCO_PERSON).summary["AP"] < 0.7


def test_images_without_anything():
    empty = {"boxes": [], "classes": [], "scores": [], "keypoints": []}
    nothing = truth(labelled(np.zeros((0, 3, 2))))
    scores = score((found([POINTS]), truth(labelled([POINTS]))), (empty, nothing))
    assert scores.images == 2 and scores.summary["AP"] == pytest.approx(1)
    assert score() is score((empty, nothing)) is None


def test_what_is_not_found_scores_nothing():
    scores = score((found(np.zeros((0, 3, 2))), truth(labelled([POINTS]))))
    assert scores.main == {"OKS AP": 0}


def test_detections_on_ignored_objects_do_not_count():
    """An object that is not to be found, and a region of no class, which is large enough to hold any keypoints."""
    both = truth(labelled([POINTS, POINTS + 300, POINTS * 0], [[2] * 3, [2] * 3, [0] * 3]))
    both |= {"ignored": np.array([False, True, True]), "classes": np.array([0, 0, -1])}
    both["boxes"] = [BOX, BOX, [900, 900, 1000, 1000]]
    others = found([POINTS + 300, POINTS + 900, POINTS], scores=[0.9, 0.8, 0.7])
    assert score((others, both)).summary["AP"] == pytest.approx(1)
    assert score((others, both)).truth.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("detections", "there", "words"),
    [
        (found([POINTS[:2]]), truth(labelled([POINTS])), r"detections of image 0: keypoints have shape \(1, 2, 2\)"),
        (found([POINTS]), truth(labelled([POINTS[:2]])), r"truth of image 0: .* \(1, 2, 2\), expected \(1, 3, 2\)"),
        (found([POINTS * np.nan]), truth(labelled([POINTS])), "keypoints hold NaN"),
    ],
)
def test_wrong_keypoints_are_refused(detections, there, words):
    with pytest.raises(DataError, match=words):
        score((detections, there))


def test_senseless_limits_are_refused():
    with pytest.raises(UsageError, match="max_detections is 0"):
        CocoKeypoints(("x",), TRIANGLE, max_detections=0)
