"""Found masks as other programs read them."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco
from pycocotools.coco import COCO

from centernet_tf.outputs import image_line
from centernet_tf.properties.masks import Masks
from centernet_tf.properties.masks.pixels import region_of
from centernet_tf.results import Detections

SIZE = (60, 50)


def disc(side):
    steps = (np.arange(side) + 0.5) / side * 2 - 1
    return np.clip(1.5 - np.hypot(steps[:, None], steps), 0, 1).astype(np.float32)


def some(boxes, margin=0.0, side=16, scores=None):
    masks = np.array([disc(side) for _ in boxes], np.float32).reshape(-1, side, side)
    scores = np.linspace(0.9, 0.5, len(boxes)) if scores is None else scores
    properties = (Masks(side=side, margin=margin),)
    return Detections(
        np.reshape(boxes, (-1, 4)), scores, np.zeros(len(boxes), int), ("cell",), SIZE, {"masks": masks}, properties
    )


def test_nothing_found():
    assert some([]).to_coco(1) == []
    assert some([]).rows_at_pixels["segmentations"].shape == (0,)


def test_rows_of_coco(tmp_path):
    found = some([[5, 6, 31, 30], [40, -5, 70, 20.5], [100, 100, 120, 130]], margin=0.2)
    rows = found.to_coco(7, digits=2)
    for row, patch, box in zip(rows, found.fields["masks"], found.boxes.astype(np.float64)):
        assert row["segmentation"]["size"] == [50, 60]
        sides = np.tile(box[2:] - box[:2], 2) * [-0.2, -0.2, 0.2, 0.2]
        region = region_of(patch, box + sides, SIZE, 0.4)
        expected = np.zeros((50, 60), bool)
        expected[region.part] = region.pixels
        np.testing.assert_array_equal(coco.decode(row["segmentation"]), expected)
    assert [coco.area(row["segmentation"]) > 0 for row in rows] == [True, True, False]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    truth = COCO()
    truth.dataset = {"images": [{"id": 7, "width": 60, "height": 50}], "categories": [{"id": 1}], "annotations": []}
    truth.createIndex()
    assert len(truth.loadRes(str(tmp_path / "rows.json")).anns) == 3
    assert image_line(7, found)["detections"][0]["segmentation"] == rows[0]["segmentation"]


def test_slices_and_dicts_keep_masks():
    found = some([[5, 6, 31, 30], [40, -5, 70, 20.5]])
    assert found[1:].to_coco(1)[0]["segmentation"] == found.to_coco(1)[1]["segmentation"]
    again = Detections.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again.to_coco(1) == found.to_coco(1)


def test_supervision_has_them():
    supervision = pytest.importorskip("supervision", reason="an extra")
    found = some([[5, 6, 31, 30], [40, -5, 70, 20.5]])
    theirs = found.to_supervision()
    assert isinstance(theirs, supervision.Detections)
    assert theirs.mask.shape == (2, 50, 60) and theirs.mask.dtype == bool
    for mask, row in zip(theirs.mask, found.to_coco(1)):
        np.testing.assert_array_equal(mask, coco.decode(row["segmentation"]))
    np.testing.assert_array_equal(theirs[1:].mask, found[1:].to_supervision().mask)
    np.testing.assert_array_equal(theirs[theirs.confidence > 0.8].mask, theirs.mask[:1])
    assert some([]).to_supervision().mask.shape == (0, 50, 60)
    assert theirs.area.tolist() == [mask.sum() for mask in theirs.mask]
