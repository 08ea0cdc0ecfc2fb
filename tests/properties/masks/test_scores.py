"""The mask metric: against COCO's own files and calls, and by hand."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from centernet_tf.data.record import Record
from centernet_tf.errors import DataError, UsageError
from centernet_tf.evaluation import score as evaluate_score
from centernet_tf.properties.masks import Masks
from centernet_tf.properties.masks.pixels import as_objects
from centernet_tf.properties.masks.scores import CocoMasks
from centernet_tf.properties.metric import ImageKey
from centernet_tf.results import Detections

SIZE = (120, 90)


def encoded(mask):
    return coco.encode(np.asfortranarray(mask, np.uint8))["counts"]


def ellipse(x, y, across, down, size=SIZE):
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    return ((columns - x) / across) ** 2 + ((rows - y) / down) ** 2 <= 1


def box_of(mask):
    if not mask.any():
        return [0, 0, 0, 0]
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def found(masks, scores=None, classes=None, size=SIZE):
    return {
        "boxes": [box_of(mask) for mask in masks],
        "scores": np.linspace(0.9, 0.5, len(masks)) if scores is None else scores,
        "classes": np.zeros(len(masks), int) if classes is None else classes,
        "segmentations": as_objects([encoded(mask) for mask in masks]),
        "segmentation_size": np.array(size[::-1]),
    }


def truth(masks, classes=None, **more):
    flags = {name: np.zeros(len(masks), bool) for name in ("crowd", "difficult", "ignored")}
    return {
        "boxes": [box_of(mask) for mask in masks],
        "classes": np.zeros(len(masks), int) if classes is None else classes,
        "area": [float(mask.sum()) for mask in masks],
        "segmentations": as_objects([encoded(mask) for mask in masks]),
        **flags,
        **more,
    }


def score(*images, names=("x", "y"), **options):
    metric = CocoMasks(names, **options)
    for image_id, image in enumerate(images):
        metric.update(ImageKey(image_id), *image)
    return metric.result()


def test_nothing():
    assert CocoMasks(("x",)).result() is None
    assert score((found([]), truth([]))) is None
    assert score((found([ellipse(50, 40, 20, 10)]), truth([]))) is None
    missed = score((found([]), truth([ellipse(50, 40, 20, 10)])))
    assert missed.main == {"mask AP": 0.0} and missed.truth.tolist() == [1, 0]


def scene(seed):
    """Truth with crowds, and detections about it, as rows of images."""
    random, images = np.random.default_rng(seed), {}
    for image_id in random.permutation(1000)[:12].tolist():
        size = (int(random.integers(60, 200)), int(random.integers(60, 200)))
        count = int(random.integers(0, 6))
        places = np.concatenate([random.uniform(10, 60, (count, 2)), random.uniform(2, 60, (count, 2))], axis=1)
        there = [ellipse(*place, size) for place in places]
        moved = np.concatenate([places, places[: count // 2]])
        moved = np.abs(moved + random.normal(0, 3, moved.shape)) + 1
        classes = random.integers(0, 2, count)
        guessed = np.concatenate([classes, classes[: count // 2]])
        images[image_id] = (
            found([ellipse(*place, size) for place in moved], random.random(len(moved)), guessed, size),
            truth(there, classes, crowd=random.random(count) < 0.2),
        )
    return images


@pytest.mark.parametrize("seed", [0, 1])
def test_against_the_files_and_calls_of_coco(seed, tmp_path):
    images = scene(seed)
    annotations, results = [], []
    for image_id, (seen, there) in images.items():
        size = seen["segmentation_size"].tolist()
        for row, counts in enumerate(there["segmentations"]):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": int(there["classes"][row]) + 1,
                    "area": there["area"][row],
                    "iscrowd": int(there["crowd"][row]),
                    "bbox": [0, 0, 1, 1],
                    "segmentation": {"size": size, "counts": counts.decode()},
                }
            )
        for row, counts in enumerate(seen["segmentations"]):
            results.append(
                {
                    "image_id": image_id,
                    "category_id": int(seen["classes"][row]) + 1,
                    "score": float(seen["scores"][row]),
                    "segmentation": {"size": size, "counts": counts.decode()},
                }
            )
    header = [
        {"id": image_id, "height": int(seen["segmentation_size"][0]), "width": int(seen["segmentation_size"][1])}
        for image_id, (seen, _) in images.items()
    ]
    names = [{"id": 1, "name": "x"}, {"id": 2, "name": "y"}]
    (tmp_path / "truth.json").write_text(
        json.dumps({"images": header, "categories": names, "annotations": annotations})
    )
    (tmp_path / "results.json").write_text(json.dumps(results))
    theirs = COCO(str(tmp_path / "truth.json"))
    evaluation = COCOeval(theirs, theirs.loadRes(str(tmp_path / "results.json")), "segm")
    evaluation.evaluate(), evaluation.accumulate(), evaluation.summarize()
    metric = CocoMasks(("x", "y"))
    for image_id, image in images.items():
        metric.update(ImageKey(image_id), *image)
    ours = metric.result()
    assert list(ours.summary)[:6] == ["AP", "AP50", "AP75", "APs", "APm", "APl"]
    np.testing.assert_allclose(np.nan_to_num(list(ours.summary.values()), nan=-1), evaluation.stats, rtol=0, atol=1e-12)
    assert 0.1 < ours.summary["AP"] < 1


def test_truth_as_predictions_is_perfect():
    shapes = [ellipse(30, 30, 12, 9), ellipse(80, 50, 30, 35), ellipse(31, 32, 14, 9)]
    perfect = score((found(shapes), truth(shapes)), (found(shapes[:1]), truth(shapes[:1])))
    known = {name: value for name, value in perfect.summary.items() if not np.isnan(value)}
    assert known == {**dict.fromkeys(known, pytest.approx(1)), "AR1": pytest.approx(0.5)}
    assert perfect.main == {"mask AP": pytest.approx(1)}


def test_what_lies_on_crowds_and_ignored_objects_does_not_count():
    shape, crowd, wrong = ellipse(30, 30, 12, 9), ellipse(80, 50, 30, 35), ellipse(80, 40, 10, 8)
    seen = found([wrong, shape], [0.9, 0.8])
    assert score((seen, truth([shape]))).main["mask AP"] < 0.6
    for flags in ({"crowd": [False, True]}, {"ignored": [False, True]}):
        assert score((seen, truth([shape, crowd], **{k: np.array(v) for k, v in flags.items()}))).main[
            "mask AP"
        ] == pytest.approx(1)


def test_ignored_objects_of_no_class_count_for_all():
    shape, region, wrong = ellipse(30, 30, 12, 9), ellipse(80, 50, 30, 35), ellipse(80, 40, 10, 8)
    there = truth([shape, region], classes=np.array([1, -1]), ignored=np.array([False, True]))
    assert score((found([wrong, shape], classes=np.array([1, 1])), there)).main["mask AP"] == pytest.approx(1)


def test_an_object_without_mask_is_neither_hit_nor_miss():
    shape, bare = ellipse(30, 30, 12, 9), ellipse(80, 50, 30, 35)
    there = truth([shape, bare])
    there["segmentations"][1] = b""
    seen = found([ellipse(80, 50, 28, 30), shape], [0.9, 0.8])
    scores = score((seen, there))
    assert scores.main["mask AP"] == pytest.approx(1) and scores.truth.tolist() == [1, 0]
    assert score((found([shape]), there)).main["mask AP"] == pytest.approx(1)


def test_records_without_masks_have_no_score():
    there = truth([ellipse(30, 30, 12, 9)])
    del there["segmentations"]
    assert score((found([ellipse(30, 30, 12, 9)]), there)) is None


def test_full_images_count_all_their_objects():
    dots = [ellipse(3 + 7 * (number % 15), 4 + 9 * (number // 15), 2, 2) for number in range(110)]
    assert score((found(dots), truth(dots))).main["mask AP"] == pytest.approx(1)
    assert score((found(dots), truth(dots)), max_detections=100).main["mask AP"] < 1
    with pytest.raises(UsageError, match="max_detections is 0"):
        CocoMasks(("x",), max_detections=0)


def test_images_of_hundreds_of_objects():
    one = ellipse(20, 20, 8, 6)
    shifted = [np.roll(one, (number // 20, number % 20), (0, 1)) for number in range(300)]
    assert score((found(shifted), truth(shifted)), max_detections=300).main["mask AP"] == pytest.approx(1)


def test_masks_of_another_size_are_named():
    shape = ellipse(30, 30, 12, 9)
    wrong = truth([shape], segmentations=as_objects([encoded(shape[:, :100])]))
    with pytest.raises(DataError, match=r"Image 0: the run lengths of a mask count 9000 pixels, .* has 120x90"):
        score((found([shape]), wrong))


def test_decimals_of_scores():
    shape, wrong = ellipse(30, 30, 12, 9), ellipse(80, 50, 30, 35)
    seen = found([shape, wrong], [0.501, 0.502])
    assert score((seen, truth([shape]))).main["mask AP"] < 0.6
    assert score((seen, truth([shape])), digits=1).main["mask AP"] == pytest.approx(1)


def test_evaluate_tells_it():
    shapes = [ellipse(30, 30, 12, 9), ellipse(80, 50, 30, 35)]
    there = truth(shapes)
    there.pop("difficult")
    record = Record(
        b"",
        "png",
        *SIZE,
        7,
        "a.png",
        np.float32(there["boxes"]),
        there["classes"],
        there["crowd"],
        np.zeros(2, bool),
        np.float32(there["area"]),
        rows={"segmentations": there["segmentations"], "masks": np.zeros((2, 8, 8))},
    )
    side = 32
    patches = np.array([ellipse(15.5, 15.5, 16, 16, (side, side))] * 2, np.float32)
    seen = Detections(
        there["boxes"], [0.9, 0.8], [0, 0], ("x", "y"), SIZE, {"masks": patches}, (Masks(side=side, threshold=0.5),)
    )
    scores = evaluate_score([(record, seen)], ("x", "y"), [Masks()])
    assert scores.main["mask AP"] > 0.8
    assert scores.as_dict()["masks"]["classes"][0]["objects"] == 2
    assert "Masks of 2 objects" in [str(table.title) for table in scores.tables()]
