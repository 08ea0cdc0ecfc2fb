"""Interactions as plain JSON are read, alone or with the boxes of a COCO JSON, by id or by place."""

import json

import numpy as np
import pytest
from PIL import Image

from centernet_tf.cli import main
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.hoi_plain import read
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError

PERSON, CUP, HORSE = [4.0, 2.0, 20.0, 40.0], [18.0, 10.5, 25.0, 16.0], [10.0, 20.0, 50.0, 44.0]
FILE = "COCO_val2014_000000000007.jpg"


def image(*pairs, name=FILE, **further):
    """Of (box of the subject, verb, box of the object, its class)."""
    subjects, verbs, partners, labels = ([pair[k] for pair in pairs] for k in range(4))
    lists = {"boxes_h": subjects, "boxes_o": partners, "actions": verbs, "objects": labels}
    return {"file_name": name, **lists, **further}


def files(folder, *images, **further):
    Image.new("RGB", (64, 48)).save(folder / "000000000007.jpg")
    verbs, classes = ["hold obj", "ride instr", "walk"], ["background", "person", "cup", "horse"]
    content = {"annotations": list(images), "classes": verbs, "objects": classes, "images": [7]}
    (folder / "plain.json").write_text(json.dumps({**content, **further}))
    return folder / "plain.json", folder


def coco(folder, image_id=7):
    boxes = [(1, PERSON), (2, CUP), (3, HORSE), (1, [40, 1, 50, 30])]
    rows = [
        {"id": 50 + place, "image_id": image_id, "category_id": label, "bbox": [left, top, right - left, bottom - top]}
        for place, (label, (left, top, right, bottom)) in enumerate(boxes)
    ]
    names = [{"id": number, "name": name} for number, name in enumerate(("person", "cup", "horse"), start=1)]
    images = [{"id": image_id, "file_name": f"{image_id:012d}.jpg", "width": 64, "height": 48}]
    (folder / "coco.json").write_text(json.dumps({"images": images, "annotations": rows, "categories": names}))
    return folder / "coco.json"


def triples(item):
    return [(*pair, verb) for pair, verb in zip(item.rows["pairs"].tolist(), item.rows["verbs"].tolist())]


RIDE, HOLD, WALK = (PERSON, 1, HORSE, 3), (PERSON, 0, CUP, 2), (PERSON, 2, None, 0)


def test_no_pairs(tmp_path):
    split = read(*files(tmp_path))
    assert len(split.items) == 0 and split.properties[0].verbs == ("hold_obj", "ride_instr", "walk")
    assert split.classes == ("person", "cup", "horse")
    (item,) = read(*files(tmp_path, image())).items
    assert item.boxes.shape == (0, 4) and triples(item) == []


def test_boxes_of_pairs_alone(tmp_path):
    split = read(*files(tmp_path, image(RIDE, HOLD, HOLD, WALK)))
    (item,) = split.items
    np.testing.assert_array_equal(item.boxes, [PERSON, HORSE, CUP])
    assert item.classes == ["person", "horse", "cup"] and triples(item) == [(0, 1, 1), (0, 2, 0), (0, -1, 2)]
    assert item.pairs_left_out == {"pair that is named twice": 1}
    assert item.source == tmp_path / "000000000007.jpg" and item.image_id == 7
    assert split.properties[0].actions == ("hold", "ride", "walk") and split.properties[0].allowed == {"walk": ()}


def test_subjects_of_other_classes_and_a_table(tmp_path):
    table = [[2], [3], []]
    split = read(*files(tmp_path, image(RIDE, subjects=[3]), action_to_object=table))
    assert split.items[0].classes == ["horse", "horse"]
    assert split.properties[0].allowed == {"hold_obj": ("cup",), "ride_instr": ("horse",), "walk": ()}


@pytest.mark.parametrize("with_ids", [False, True])
def test_boxes_of_a_coco_json(with_ids, tmp_path):
    ids = {"ann_h": [50, 50, 50], "ann_o": [52, 51, None]} if with_ids else {}
    split = read(*files(tmp_path, image(RIDE, HOLD, WALK, **ids)), boxes=coco(tmp_path))
    (item,) = split.items
    assert len(item.boxes) == 4 and triples(item) == [(0, 2, 1), (0, 1, 0), (0, -1, 2)]
    assert item.pair_faults == ()


def test_images_that_the_coco_json_lacks(tmp_path):
    paths, boxes = files(tmp_path, image(RIDE)), coco(tmp_path, 8)
    assert [item.broken.reason for item in read(*paths, boxes=boxes).items] == ["image not listed"]
    assert read(*paths, boxes=boxes, listed_only=True).items == []


@pytest.mark.parametrize(
    ("pair", "further", "reason"),
    [
        ((PERSON, 3, CUP, 2), {}, "unknown verb"),
        ((PERSON, -1, CUP, 2), {}, "unknown verb"),
        ((PERSON, 0, CUP, 0), {}, "pair not readable"),
        ((PERSON, 0, CUP, 9), {}, "pair not readable"),
        ((PERSON, 0, CUP, -1), {}, "pair not readable"),
        ((PERSON, 0, CUP[:3], 2), {}, "pair not readable"),
        ((None, 0, CUP, 2), {}, "pair not readable"),
        ((PERSON, 0, PERSON, 1), {}, "pair of one object"),
        ((PERSON, 0, [5, 5, 5, 9], 2), {}, "pair of an object that is left out"),
    ],
)
def test_bad_pairs_are_left_out_and_told(pair, further, reason, tmp_path):
    split = read(*files(tmp_path, image(RIDE, pair, **further)))
    options = {"name": "a", "split": "a", "classes": split.classes, "properties": split.properties}
    with pytest.raises(DataError, match="--skip-bad"):
        write_records(split.items, directory=tmp_path / "out", **options)
    report = write_records(split.items, directory=tmp_path / "out", skip_bad=True, **options)
    assert dict(report.pairs_dropped) == {reason: 1} and (report.pairs_in, report.pairs_written) == (2, 1)


@pytest.mark.parametrize(
    ("ids", "box", "reason"),
    [
        ({"ann_h": [50], "ann_o": [77]}, CUP, "pair of an object that is not there"),
        ({}, [1, 1, 9, 9], "pair of an object that is not there"),
        ({"ann_h": ["5\n0"], "ann_o": [51]}, CUP, "pair not readable"),
    ],
)
def test_boxes_that_the_coco_json_lacks(ids, box, reason, tmp_path):
    (item,) = read(*files(tmp_path, image((PERSON, 0, box, 2), **ids)), boxes=coco(tmp_path)).items
    assert [fault.reason for fault in item.pair_faults] == [reason]


@pytest.mark.parametrize(
    ("further", "words"),
    [
        ({"classes": None}, "expected lists of verbs 'classes'"),
        ({"classes": ["a", "a", "b"]}, "expected names, none twice"),
        ({"objects": []}, "'objects' are"),
        ({"annotations": [3]}, "image 1 of 1 is 3"),
        ({"annotations": [{"file_name": "a.jpg", "boxes_h": []}]}, "its lists have the lengths"),
        ({"annotations": [image(RIDE, ann_h=[1, 2])]}, "expected an entry for each pair"),
        ({"action_to_object": [[1]]}, "a list of classes for each of 3 verbs"),
        ({"action_to_object": [[1], [9], []]}, "'ride_instr' names class 9"),
    ],
)
def test_other_files_are_refused(further, words, tmp_path):
    with pytest.raises(DataError, match=words):
        read(*files(tmp_path, **further))


def test_wrong_calls(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        read(files(tmp_path)[0], tmp_path / "images")
    with pytest.raises(UsageError, match="needs the COCO JSON with all boxes"):
        read(*files(tmp_path), masks=True)
    with pytest.raises(UsageError, match="needs the COCO JSON"):
        read(*files(tmp_path), listed_only=True)


def test_images_outside_their_folder_need_an_option(tmp_path):
    paths = files(tmp_path, image(RIDE, name="../a/7.jpg"))
    assert "outside" in read(*paths).items[0].broken.reason
    assert read(*paths, outside=True).items[0].broken is None


def test_the_command(tmp_path, capsys):
    paths = files(tmp_path, image(RIDE, HOLD))
    with pytest.raises(SystemExit) as ended:
        main(
            [
                str(one)
                for one in ("records", "interactions", *paths, "--boxes", coco(tmp_path), "--out", tmp_path / "o")
            ]
        )
    assert not ended.value.code
    assert "Pairs of objects: 2 in, 2 written." in capsys.readouterr().out
    (record,) = iterate(open_dataset(tmp_path / "o"))
    assert record.rows["pairs"].tolist() == [[0, 2], [0, 1]] and len(record.boxes) == 4
