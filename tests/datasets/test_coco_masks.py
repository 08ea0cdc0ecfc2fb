"""COCO's masks: from JSON to records as pycocotools reads them, and told where they are damaged."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from pycocotools.coco import COCO

from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.coco import read
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError
from centernet_tf.properties.masks import Masks

SIZE = (64, 48)
SQUARE = [2.5, 1, 20, 1, 20, 30, 2.5, 30]
FAR = [40, 3, 60, 3, 50, 25]
BOW = [2, 1, 8, 7, 8, 1, 2, 7]
GROUP = np.random.default_rng(0).random(SIZE[::-1]) < 0.5
PACKED = coco.encode(np.asfortranarray(GROUP.astype(np.uint8)))["counts"].decode()
MASKS = [[SQUARE], [SQUARE, FAR], {"size": [48, 64], "counts": PACKED}, {"size": [48, 64], "counts": [10, 70, 2992]}]


def make(folder, segmentations=(), **fields):
    """Writes the JSON and its one image; gives the arguments of `read`. `...` is no segmentation at all."""
    Image.new("RGB", SIZE).save(folder / "a.png")
    image = {"id": 5, "file_name": "a.png", "width": 64, "height": 48}
    rows = [
        {"id": number, "image_id": 5, "category_id": 1, "bbox": [2.5, 1, 57.5, 29], "area": 100, "iscrowd": 0}
        | ({} if given is ... else {"segmentation": given})
        for number, given in enumerate(segmentations, start=1)
    ]
    for row in rows:
        row["iscrowd"] = int(isinstance(row.get("segmentation"), dict))
    content = {"images": [{**image, **fields}], "annotations": rows, "categories": [{"id": 1, "name": "cat"}]}
    (folder / "instances.json").write_text(json.dumps(content), encoding="utf-8")
    return folder / "instances.json", folder


def write(folder, data, **options):
    classes, items, properties = data
    return write_records(
        items, directory=folder / "out", name="a", split="train", classes=classes, properties=properties, **options
    )


def test_masks_are_kept_where_they_are_wanted(tmp_path):
    paths = make(tmp_path, MASKS)
    _, (item,), properties = read(*paths)
    assert properties == () and item.rows == {} and item.counts == {}
    _, (item,), properties = read(*paths, masks=True)
    assert properties == (Masks(),) and list(item.rows) == ["segmentations"]


def test_no_masks_at_all(tmp_path):
    for given in ([], [..., [], None]):
        with pytest.raises(UsageError, match=r"instances\.json: none of its annotations has a segmentation"):
            read(*make(tmp_path, given), masks=True)


def test_records_hold_what_pycocotools_reads(tmp_path, capsys):
    paths = make(tmp_path, MASKS)
    report = write(tmp_path, read(*paths, masks=True))
    assert report.properties == {"masks": {"crossing": 0, "masks": 4, "empty": 0, "without": 0}}
    (record,) = iterate(open_dataset(tmp_path / "out"))
    theirs = COCO(str(paths[0]))
    capsys.readouterr()
    truth = record.truth()
    for number, data in enumerate(truth["segmentations"], start=1):
        expected = theirs.annToRLE(theirs.anns[number])["counts"]
        assert data == (expected.encode() if isinstance(expected, str) else expected)
    assert record.crowd.tolist() == [False, False, True, True]
    assert truth["masks"].shape == (4, 64, 64)
    assert truth["masks"].any(axis=(1, 2)).tolist() == [True, True, True, False]  # the last lies beside its box


def test_objects_without_a_mask_stay(tmp_path):
    report = write(tmp_path, read(*make(tmp_path, [[SQUARE], ..., [], [BOW]]), masks=True))
    counts = {"crossing": 1, "masks": 2, "empty": 0, "without": 2}
    assert report.boxes_written == 4 and report.properties == {"masks": counts}
    (record,) = iterate(open_dataset(tmp_path / "out"))
    assert [bool(one) for one in record.rows["segmentations"]] == [True, False, False, True]
    assert record.rows["masks"].any(axis=(1, 2)).tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    ("given", "reason", "text"),
    [
        ([[1, 2, 3, 4]], "mask not readable", "annotation 2 has 4 numbers, where x and y of at least 3 points"),
        ([[*SQUARE[:-1], float("nan")]], "mask not readable", "annotation 2 has the number nan"),
        ({"size": [64, 48], "counts": PACKED}, "mask of another size", "annotation 2 has run lengths of the size"),
        ({"size": [48, 64], "counts": PACKED[:-1]}, "run lengths do not fit the image", "expected 3072"),
        ({"size": [48, 64], "counts": [3100, -28]}, "run lengths do not fit the image", "run 2 of 2 is -28"),
    ],
)
def test_damaged_masks_are_told(tmp_path, given, reason, text):
    data = read(*make(tmp_path, [[SQUARE], given]), masks=True)
    with pytest.raises(DataError, match=text):
        write(tmp_path, data)
    report = write(tmp_path, data, skip_bad=True)
    assert report.boxes_dropped == {reason: 1} and report.boxes_written == 1
    assert write(tmp_path, read(*make(tmp_path, [[SQUARE], given]))).boxes_written == 2  # boxes alone are right


def test_masks_need_the_size_of_their_image(tmp_path):
    data = read(*make(tmp_path, [[SQUARE]], width=None), masks=True)
    with pytest.raises(DataError, match="annotation 1 has a mask, but its image no 'width' and 'height'"):
        write(tmp_path, data)


def test_damage_of_other_classes_is_not_looked_at(tmp_path):
    path, folder = make(tmp_path, [[SQUARE], [[1, 2]]])
    content = json.loads(path.read_text())
    content["categories"].append({"id": 2, "name": "dog"})
    content["annotations"][1]["category_id"] = 2
    path.write_text(json.dumps(content))
    report = write(tmp_path, read(path, folder, masks=True, classes=["cat"]))
    assert report.boxes_dropped == {"class not chosen": 1} and report.boxes_written == 1
