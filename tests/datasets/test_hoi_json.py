"""The JSON of interactions that PPDM and HOI-A have is read, and what is wrong in it is told."""

import json

import numpy as np
import pytest
from PIL import Image

from centernet_tf.cli import main
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.hoi_json import read
from centernet_tf.datasets.hoi_names import HICO_VERBS, HOIA_CLASSES, names_of
from centernet_tf.datasets.hoi_pairs import whole_id, whole_number
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError

NAMES = names_of(("person", "cup", "horse"), ("hold", "ride", "walk"))
PERSON = {"bbox": [4, 2, 20, 40], "category_id": 1}
CUP = {"bbox": [18, 10.5, 25, 16], "category_id": "2\n"}
HORSE = {"bbox": [10, 20, 50, 44], "category_id": 3}


def pair(subject, partner, verb):
    return {"subject_id": subject, "object_id": partner, "category_id": verb}


def folder(path, *images):
    """A JSON of (objects, pairs), and its images."""
    content = []
    for number, (objects, pairs) in enumerate(images, start=1):
        Image.new("RGB", (64, 48)).save(path / f"{number}.jpg")
        content.append({"file_name": f"{number}.jpg", "annotations": objects, "hoi_annotation": pairs})
    (path / "hoi.json").write_text(json.dumps(content))
    return path / "hoi.json", path


def only(path, *pairs, objects=(PERSON, CUP, HORSE), **options):
    split = read(*folder(path, (list(objects), list(pairs))), names=options.pop("names", NAMES), **options)
    return split.items[0], split


def test_an_empty_list_and_an_empty_image(tmp_path):
    (tmp_path / "hoi.json").write_text("[]")
    assert len(read(tmp_path / "hoi.json", tmp_path).items) == 0
    item, split = only(tmp_path, objects=())
    assert item.boxes.shape == (0, 4) and item.rows["pairs"].shape == (0, 2)
    assert split.classes == ("person", "cup", "horse") and split.properties[0].verbs == ("hold", "ride", "walk")


def test_pairs_and_objects(tmp_path):
    item, _ = only(tmp_path, pair(0, 1, 1), pair("0\n", "2\n", "2\n"), pair(0, -1, 3))
    assert item.rows["pairs"].tolist() == [[0, 1], [0, 2], [0, -1]] and item.rows["verbs"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(item.boxes, [one["bbox"] for one in (PERSON, CUP, HORSE)])
    assert item.classes == ["person", "cup", "horse"] and item.pair_faults == ()
    item, _ = only(tmp_path, pair(0, 1, 1), pair(0, 1, 1), one_based=True)
    np.testing.assert_array_equal(item.boxes[0], [3, 1, 19, 39])
    assert item.rows["pairs"].tolist() == [[0, 1]] and item.pairs_left_out == {"pair that is named twice": 1}


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (pair(0, 3, 1), "pair of an object that is not there"),
        (pair(7, 1, 1), "pair of an object that is not there"),
        (pair(0, -2, 1), "pair of an object that is not there"),
        (pair(-1, 1, 1), "pair of an object that is not there"),
        (pair("1\n2", 1, 1), "pair not readable"),
        (pair("two", 1, 1), "pair not readable"),
        (pair(0, None, 1), "pair not readable"),
        (pair(0, 10**12, 1), "pair not readable"),
        (pair(0, 1, 0), "unknown verb"),
        (pair(0, 1, 4), "unknown verb"),
        (pair(0, 1, "ride"), "unknown verb"),
        (pair(1, 1, 1), "pair of one object"),
        ({}, "pair not readable"),
    ],
)
def test_bad_pairs_are_left_out_and_told(wrong, reason, tmp_path):
    _, split = only(tmp_path, pair(0, 2, 2), wrong)
    options = {"name": "a", "split": "a", "classes": split.classes, "properties": split.properties}
    with pytest.raises(DataError, match=r"1\.jpg: .*--skip-bad"):
        write_records(split.items, directory=tmp_path / "out", **options)
    report = write_records(split.items, directory=tmp_path / "out", skip_bad=True, **options)
    assert dict(report.pairs_dropped) == {reason: 1} and (report.pairs_in, report.boxes_written) == (2, 3)
    (record,) = iterate(open_dataset(tmp_path / "out"))
    assert record.rows["pairs"].tolist() == [[0, 2]] and record.rows["verbs"].tolist() == [1]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"bbox": [4, 4, 4, 9], "category_id": 1}, "zero area"),
        ({"bbox": [4, 4, 9], "category_id": 1}, "not a number"),
        ({"bbox": [4, 4, 9, 9], "category_id": 9}, "unknown class"),
        ({"category_id": 1}, "not a number"),
    ],
)
def test_bad_objects_keep_their_place_and_take_their_pairs_along(bad, reason, tmp_path):
    _, split = only(tmp_path, pair(0, 1, 1), pair(2, 1, 2), objects=(bad, CUP, PERSON))
    options = {"name": "a", "split": "a", "classes": split.classes, "properties": split.properties}
    report = write_records(split.items, directory=tmp_path / "out", skip_bad=True, **options)
    assert dict(report.boxes_dropped) == {reason: 1}
    assert dict(report.pairs_dropped) == {"pair of an object that is left out": 1}
    (record,) = iterate(open_dataset(tmp_path / "out"))
    assert record.rows["pairs"].tolist() == [[1, 0]] and record.classes.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not readable as JSON"),
        ('{"images": []}', "holds dict with images; expected a list of images with file_name"),
        ("[3]", "image 1 of 1 is 3"),
        ('[{"file_name": "a.jpg", "annotations": []}]', "lists of objects annotations and hoi_annotation"),
        ('[{"file_name": "a.jpg", "annotations": [1], "hoi_annotation": []}]', "lists of objects"),
    ],
)
def test_other_files_are_refused(content, words, tmp_path):
    (tmp_path / "hoi.json").write_text(content)
    with pytest.raises(DataError, match=words):
        read(tmp_path / "hoi.json", tmp_path)


def test_wrong_calls(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read(tmp_path / "hoi.json", tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        read(tmp_path / "hoi.json", tmp_path / "images")
    with pytest.raises(UsageError, match="'a' is given twice"):
        names_of(None, ("a", "a"))


def test_images_outside_their_folder_need_an_option(tmp_path):
    annotations, images = folder(tmp_path, ([PERSON], []))
    annotations.write_text(annotations.read_text().replace("1.jpg", "../1.jpg"))
    assert "outside" in read(annotations, images).items[0].broken.reason
    assert read(annotations, images, outside=True).items[0].broken is None


def test_the_training_set_tells_what_is_rare(tmp_path):
    trained = tmp_path / "train"
    trained.mkdir()
    rows = [pair(0, 1, 1), pair(0, 2, 2), pair(0, -1, 3), pair(0, 9, 1), pair(0, 1, 9)]
    files = folder(trained, ([PERSON, CUP, HORSE], rows), ([PERSON, CUP], [pair(0, 1, 1)]))
    _, split = only(tmp_path, trained=files[0])
    assert split.properties[0].trained == {"hold": {"cup": 2}, "ride": {"horse": 1}, "walk": {"": 1}}


def test_names_of_hico_det():
    names = names_of()
    assert len(HICO_VERBS) == 117 and names.verbs[58] == "no_interaction" and names.verbs[77] == "ride"
    assert len(names.classes) == 80 and names.classes[90] == "toothbrush" and names.classes[44] == "bottle"
    assert 12 not in names.classes


def test_names_of_hoi_a(tmp_path):
    names = names_of(known="hoia")
    assert (names.verbs[1], names.verbs[3], names.verbs[10]) == ("smoke", "play_phone", "play_computer")
    assert (len(names.verbs), len(names.classes), names.classes[1], names.classes[11]) == (10, 11, "person", "document")
    assert names_of(None, ("a", "b"), "hoia").classes == names.classes
    with pytest.raises(UsageError, match=r"--names hoi-a: unknown\. Did you mean 'hoia'"):
        names_of(known="hoi-a")
    annotations, images = folder(tmp_path, ([PERSON, {**CUP, "category_id": 3}], [pair(0, 1, "1\n")]))
    with pytest.raises(SystemExit) as ended:
        main(["records", "hico", str(annotations), str(images), "--names", "hoia", "--out", str(tmp_path / "r")])
    assert not ended.value.code
    dataset = open_dataset(tmp_path / "r")
    (record,) = iterate(dataset)
    assert dataset.classes == HOIA_CLASSES and record.rows["pairs"].tolist() == [[0, 1]]
    assert [dataset.property("interactions").verbs[verb] for verb in record.rows["verbs"]] == ["smoke"]


@pytest.mark.parametrize(
    ("value", "number"),
    [(3, 3), ("3\n", 3), (" -1 ", -1), (3.0, 3), (3.5, None), ("", None), ("3x", None), (True, None), (None, None)],
)
def test_whole_numbers(value, number):
    assert whole_number(value) == number == whole_id(value)


def test_large_numbers():
    assert whole_number(10**7) is None and whole_id(10**7) == 10**7 and whole_id(10**19) is None


def test_the_command(tmp_path, capsys):
    annotations, images = folder(tmp_path, ([PERSON, CUP], [pair(0, 1, 1), pair(0, 5, 1)]))
    call = [
        "records",
        "hico",
        annotations,
        images,
        "--classes",
        "person,cup",
        "--verbs",
        "hold",
        "--out",
        tmp_path / "o",
    ]
    for options, code in (([], 1), (["--part", "test"], 2), (["--skip-bad"], 0)):
        with pytest.raises(SystemExit) as ended:
            main([str(one) for one in (*call, *options)])
        assert (ended.value.code or 0) == code
    told = capsys.readouterr()
    assert "Pairs of objects: 2 in, 1 written, left out: 1 pair of an object that is not there." in told.out
    assert "names object 5 as its object" in told.err and "--part test is of a MAT file" in told.err
