"""The joint metric: against COCO's own files and calls, against a slow twin of the similarity, and by hand."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from centernet_tf.errors import DataError, UsageError
from centernet_tf.metrics.oks import CocoJoints
from centernet_tf.results import Detections
from centernet_tf.skeleton import COCO_PERSON, Skeleton

TRIANGLE = Skeleton(joints=("a", "b", "c"), sigmas=(0.03, 0.1, 0.06))
BOX = [100, 100, 200, 200]
POINTS = np.array([[110, 120], [150, 190], [190, 130]], float)


def labelled(points, labels=2):
    return np.concatenate([points, np.broadcast_to(np.array(labels)[..., None], (*np.shape(points)[:-1], 1))], axis=-1)


def found(joints, scores=None, classes=None):
    joints = np.array(joints, float)
    scores = np.linspace(0.9, 0.5, len(joints)) if scores is None else scores
    classes = np.zeros(len(joints), int) if classes is None else classes
    return {"boxes": [BOX] * len(joints), "classes": classes, "scores": scores, "joints": joints}


def truth(joints, area=5000.0, classes=None, **more):
    count = len(joints)
    classes = np.zeros(count, int) if classes is None else classes
    return {"boxes": [BOX] * count, "classes": classes, "joints": joints, "area": [area] * count, **more}


def score(*images, names=("x", "y"), skeleton=TRIANGLE, **options):
    metric = CocoJoints(names, skeleton, **options)
    for image_id, image in enumerate(images):
        metric.update(image_id, *image)
    return metric.result()


def scene(skeleton, images, seed):
    """Truth with hidden, unlabelled and crowd objects, and detections about it."""
    rng, made = np.random.default_rng(seed), []
    count = len(skeleton.joints)
    for image_id in rng.permutation(1000)[:images].tolist():
        number = int(rng.integers(0, 5))
        corner, size = rng.uniform(0, 300, (number, 1, 2)), rng.uniform(20, 200, (number, 1, 2))
        labels = rng.integers(0, 3, (number, count)) * (rng.random((number, 1)) < 0.8)
        joints = labelled((corner + size * rng.random((number, count, 2))) * (labels > 0)[..., None], labels)
        boxes = np.concatenate([corner, corner + size], axis=-1)[:, 0]
        there = {"boxes": boxes, "classes": rng.integers(0, 2, number), "crowd": rng.random(number) < 0.1}
        there |= {"area": size.prod(axis=-1)[:, 0] * 0.6, "joints": joints}
        twice = np.repeat(np.arange(number), rng.integers(0, 3, number))
        points = joints[twice, :, :2] + rng.normal(0, 6, (len(twice), count, 2))
        dets = {"boxes": boxes[twice].astype(np.float32), "scores": rng.random(len(twice)).astype(np.float32)}
        dets |= {"classes": there["classes"][twice], "joints": points.astype(np.float32)}
        made.append((image_id, dets, there))
    return made


@pytest.mark.parametrize("skeleton", [COCO_PERSON, TRIANGLE], ids=["coco", "own"])
@pytest.mark.parametrize("seed", range(2))
def test_equals_pycocotools_over_files(skeleton, seed, tmp_path, capsys):
    images, annotations, results = scene(skeleton, 30, seed), [], []
    metric = CocoJoints(("x", "y"), skeleton)
    for image_id, dets, there in images:
        metric.update(image_id, dets, there)
        for box, label, crowd, area, joints in zip(
            *(there[key] for key in ("boxes", "classes", "crowd", "area", "joints"))
        ):
            row = {"id": len(annotations) + 1, "image_id": image_id, "category_id": int(label) + 1, "area": float(area)}
            row |= {"bbox": [*box[:2].tolist(), *(box[2:] - box[:2]).tolist()], "iscrowd": int(crowd)}
            row |= {"keypoints": joints.ravel().tolist(), "num_keypoints": int((joints[:, 2] > 0).sum())}
            annotations.append(row)
        dets = dict(dets)
        fields = {"joints": dets.pop("joints")}
        results += Detections(**dets, names=("x", "y"), image_size=(500, 500), fields=fields).to_coco(image_id)
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


def slow_similarity(points, joints, area, sigmas):
    total, labelled_joints = 0.0, 0
    for (x, y), (there_x, there_y, label), sigma in zip(points, joints, sigmas):
        if label > 0:
            distance = (x - there_x) ** 2 + (y - there_y) ** 2
            total += np.exp(-distance / (2 * area * (2 * sigma) ** 2))
            labelled_joints += 1
    return total / labelled_joints


@pytest.mark.parametrize("seed", range(5))
def test_similarity_equals_its_slow_twin(seed):
    metric = CocoJoints(("x", "y"), TRIANGLE)
    images = scene(TRIANGLE, 10, seed)
    compared = 0
    for image in images:
        metric.update(*image)
    ious = metric.evaluation().ious
    for image_id, dets, there in images:
        for label in (0, 1):
            chosen = np.flatnonzero(dets["classes"] == label)
            chosen = chosen[np.argsort(-dets["scores"][chosen], kind="stable")]
            for column, number in enumerate(np.flatnonzero(there["classes"] == label)):
                joints = there["joints"][number]
                if not (joints[:, 2] > 0).any():
                    continue
                for row, index in enumerate(chosen):
                    expected = slow_similarity(dets["joints"][index], joints, there["area"][number], TRIANGLE.sigmas)
                    np.testing.assert_allclose(ious[image_id, label + 1][row, column], expected, atol=1e-9)
                    compared += 1
    assert compared > 10


def test_truth_scores_one_and_classes_without_joints_nothing():
    two = labelled([POINTS, POINTS + 90], [[2, 1, 2], [2, 2, 0]])
    scores = score((found([POINTS, POINTS + 90]), truth(two)), names=("x", "ball"))
    assert scores.summary["AP"] == scores.summary["AR"] == pytest.approx(1)
    assert scores.ap[0] == 1 and np.isnan(scores.ap[1])
    assert scores.truth.tolist() == [2, 0] and scores.joints == TRIANGLE.joints and scores.detections == 2


def test_only_labelled_joints_count():
    far = POINTS + np.array([[0, 0], [0, 0], [500, 500]])
    assert score((found([far]), truth(labelled([POINTS], [[2, 1, 0]])))).summary["AP"] == pytest.approx(1)
    assert score((found([far]), truth(labelled([POINTS])))).summary["AP75"] == 0


def test_objects_without_labels_and_crowds_are_neither_hits_nor_misses():
    both = labelled([POINTS, POINTS + 300], [[2, 2, 2], [0, 0, 0]])
    assert score((found([POINTS]), truth(both))).summary["AP"] == pytest.approx(1)
    both = labelled([POINTS, POINTS + 300])
    assert score((found([POINTS]), truth(both, crowd=[False, True]))).summary["AP"] == pytest.approx(1)
    assert np.isnan(score((found([POINTS]), truth(labelled([POINTS], 0)))).summary["AP"])


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
    joints = np.zeros((30, 17, 2)) + 300 * np.arange(30)[:, None, None]
    image = (found(joints), truth(labelled(joints)))
    assert score(image, skeleton=COCO_PERSON).summary["AP"] < 0.7


def test_images_without_anything():
    empty = {"boxes": [], "classes": [], "scores": [], "joints": []}
    scores = score((found([POINTS]), truth(labelled([POINTS]))), (empty, empty))
    assert scores.images == 2 and scores.summary["AP"] == pytest.approx(1)
    with pytest.raises(DataError, match="no images"):
        CocoJoints(("x",), TRIANGLE).result()


@pytest.mark.parametrize(
    ("detections", "there", "words"),
    [
        (found([POINTS[:2]]), truth(labelled([POINTS])), r"detections of image 0: joints have shape \(1, 2, 2\)"),
        (found([POINTS]), truth([POINTS]), r"truth of image 0: joints have shape \(1, 3, 2\), expected \(1, 3, 3\)"),
        (found([POINTS * np.nan]), truth(labelled([POINTS])), "joints hold NaN"),
    ],
)
def test_wrong_joints_are_refused(detections, there, words):
    with pytest.raises(DataError, match=words):
        score((detections, there))


def test_senseless_limits_are_refused():
    with pytest.raises(UsageError, match="max_detections is 0"):
        CocoJoints(("x",), TRIANGLE, max_detections=0)
