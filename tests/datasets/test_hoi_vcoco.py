"""V-COCO's labels are read with COCO's boxes; who was not looked at is known; the truth scores 1."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from centernet_tf.cli import main
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.hoi_vcoco import read
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError
from centernet_tf.properties.metric import ImageKey

GOLDEN = Path(__file__).parents[1] / "golden" / "points" / "vcoco-role_ap.npz"
CATEGORIES = [{"id": 1, "name": "person"}, {"id": 44, "name": "bottle"}, {"id": 49, "name": "knife"}]
BOXES = {101: (1, [4, 2, 16, 38]), 102: (1, [30, 2, 16, 38]), 103: (44, [18, 10, 7, 6]), 104: (49, [2, 30, 8, 8])}


def action(name, roles=(), people=(101,), labels=(1,), partners=()):
    """Objects role by role, behind the persons themselves."""
    return {
        "action_name": name,
        "role_name": ["agent", *roles],
        "image_id": [7] * len(people),
        "ann_id": list(people),
        "label": list(labels),
        "role_object_id": [*people, *partners],
        "include": [[]],
    }


HOLD = action("hold", ("obj",), (101, 102), (1, 0), (103, 0))
CUT = action("cut", ("instr", "obj"), (101, 102), (1, 1), (104, 0, 0, 103))
WALK = action("walk", (), (101, 102), (1, 0))


def files(folder, *actions, listed=True):
    Image.new("RGB", (64, 48)).save(folder / "7.jpg")
    images = [{"id": 7 if listed else 8, "file_name": "7.jpg", "width": 64, "height": 48}]
    rows = [
        {"id": number, "image_id": images[0]["id"], "category_id": label, "bbox": box, "iscrowd": 0}
        for number, (label, box) in BOXES.items()
    ]
    rows.append({"id": 200, "image_id": images[0]["id"], "category_id": 1, "bbox": [50, 2, 9, 9], "iscrowd": 0})
    (folder / "coco.json").write_text(json.dumps({"images": images, "annotations": rows, "categories": CATEGORIES}))
    (folder / "vcoco.json").write_text(json.dumps(actions))
    return folder / "vcoco.json", folder / "coco.json", folder


def test_an_image_in_detail(tmp_path):
    split = read(*files(tmp_path, HOLD, CUT, WALK))
    (told,) = split.properties
    assert told.verbs == ("hold_obj", "cut_instr", "cut_obj", "walk") and told.actions == ("hold", "cut", "cut", "walk")
    assert told.allowed == {"walk": ()} and split.classes == ("person", "bottle", "knife")
    (item,) = split.items
    assert len(item.rows["pairs"]) == 6
    triples = {(*pair, verb) for pair, verb in zip(item.rows["pairs"].tolist(), item.rows["verbs"].tolist())}
    assert triples == {(0, 2, 0), (0, 3, 1), (1, -1, 1), (0, -1, 2), (1, 2, 2), (0, -1, 3)}
    assert item.rows["observed"].tolist() == [True, True, True, True, False]


def test_nobody_does_anything(tmp_path):
    split = read(*files(tmp_path, action("walk", (), (101,), (0,))))
    assert split.items[0].rows["pairs"].shape == (0, 2) and split.items[0].rows["observed"].sum() == 3


def test_only_labelled_images_are_read(tmp_path):
    split = read(*files(tmp_path, HOLD, listed=False))
    assert [item.broken.reason for item in split.items] == ["image not listed"]
    assert read(*files(tmp_path, HOLD, listed=False), listed_only=True).items == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (action("hold", ("obj",), (101,), (1,), (999,)), "object 999 of 'hold_obj' is no annotation of the image"),
        (action("hold", ("obj",), (999,), (1,), (103,)), "person 999 of 'hold_obj' is no annotation"),
        (action("hold", ("obj",), (101,), (1,), (-3,)), "object -3 of 'hold_obj' is no annotation"),
        (action("hold", ("obj",), (101,), (1,), (101,)), "has object 0 as subject and as object of 'hold_obj'"),
    ],
)
def test_bad_pairs_are_left_out_and_told(wrong, words, tmp_path):
    split = read(*files(tmp_path, wrong, WALK))
    options = {"name": "a", "split": "a", "classes": split.classes, "properties": split.properties}
    with pytest.raises(DataError, match=words):
        write_records(split.items, directory=tmp_path / "out", **options)
    report = write_records(split.items, directory=tmp_path / "out", skip_bad=True, **options)
    assert (report.pairs_in, report.pairs_written, report.boxes_written) == (2, 1, 5)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "expected a list of V-COCO's actions"),
        ({"annotations": []}, "expected a list of V-COCO's actions"),
        ([{"role_name": []}], "action 1 of 1 is .*expected its action_name"),
        ([{**HOLD, "label": [1]}], r"have \[2, 2, 1, 4\] numbers"),
        ([{**HOLD, "role_object_id": [101, 102]}], "for each of 2 roles"),
        ([{**HOLD, "ann_id": [101, "x"]}], "hold: ann_id is .*expected integers"),
        ([{**HOLD, "role_name": None}], "role_name is None"),
    ],
)
def test_other_files_are_refused(content, words, tmp_path):
    paths = files(tmp_path, HOLD)
    paths[0].write_text(json.dumps(content))
    with pytest.raises(DataError, match=words):
        read(*paths)


def test_ids_may_be_text(tmp_path):
    wrong = {**WALK, "ann_id": ["101\n", "102"], "role_object_id": ["101\n", "102"]}
    assert read(*files(tmp_path, wrong)).items[0].rows["pairs"].tolist() == [[0, -1]]


def test_missing_files(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read(tmp_path / "vcoco.json", tmp_path / "coco.json", tmp_path)


def test_the_truth_of_official_files_scores_one(tmp_path):
    meta = json.loads(np.load(GOLDEN)["meta"].tobytes())
    for name in ("coco", "vcoco"):
        (tmp_path / f"{name}.json").write_text(json.dumps(meta[name]))
    for one in meta["coco"]["images"]:
        Image.new("RGB", (one["width"], one["height"])).save(tmp_path / one["file_name"])
    split = read(tmp_path / "vcoco.json", tmp_path / "coco.json", tmp_path)
    (told,) = split.properties
    assert len(told.verbs) == 29 and len(set(told.actions)) == 26 and len(told.allowed) == 4
    options = {"name": "v", "split": "v", "classes": split.classes, "properties": split.properties}
    report = write_records(split.items, directory=tmp_path / "out", **options)
    assert report.pairs_written == report.pairs_in > 50
    (metric,) = told.metrics(split.classes)
    for record in iterate(open_dataset(tmp_path / "out")):
        truth = record.truth()
        metric.update(ImageKey(record.image_id), {**truth, "pair_scores": np.ones(len(truth["pairs"]))}, truth)
    scores = metric.result().as_dict()["interactions"]
    for key in ("full", "AP_role_1", "AP_role_2", "AP_role_1_all", "AP_agent", "HOI-A"):
        assert scores[key] == pytest.approx(1), key


def test_the_command(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main([str(one) for one in ("records", "vcoco", *files(tmp_path, HOLD, CUT, WALK), "--out", tmp_path / "out")])
    assert not ended.value.code
    assert "Interactions: 6 pairs: cut_instr 2, cut_obj 2, hold_obj 1, walk 1." in capsys.readouterr().out
    (record,) = iterate(open_dataset(tmp_path / "out"))
    assert record.rows["observed"].tolist() == [True, True, True, True, False]
