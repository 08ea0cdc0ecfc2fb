"""HICO-DET's MAT file is read: boxes that agree are one object, pixels count from 1; other files are refused."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from centernet_tf.cli import main
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.hoi_hico import read
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError

ACTIONS = [("bicycle", "ride"), ("bicycle", "hold"), ("wine_glass", "hold"), ("person", "hug")]


def box(left, top, right, bottom):
    return {"x1": left, "x2": right, "y1": top, "y2": bottom}


def hoi(kind, persons, objects, connection, invis=0):
    boxes = [np.array(some, dtype=object) if some else np.zeros((0, 0)) for some in (persons, objects)]
    names = ("bboxhuman", "bboxobject")
    return {"id": kind, **dict(zip(names, boxes)), "connection": np.array(connection, float), "invis": invis}


def structs(rows):
    """A MATLAB array of structs."""
    array = np.empty(len(rows), object)
    array[:] = rows
    return array


def image(name, *hois):
    return {"filename": name, "size": {"width": 64.0, "height": 48.0, "depth": 3}, "hoi": structs(hois)}


RIDER, WHEELS, GLASS = box(5, 3, 20, 40), box(3, 20, 40, 48), box(22, 10, 25, 16)
ALL = image(
    "HICO_train_01.jpg",
    hoi(1, [RIDER], [WHEELS], [[1, 1]]),
    hoi(2, [RIDER], [WHEELS], [[1, 1]]),
    hoi(3, [RIDER, box(6, 3, 20, 40)], [GLASS], [[1, 1], [2, 1]]),
    hoi(4, [], [], [], invis=1),
)


def mat(path, train=(ALL,), test=(), **further):
    for one in (*train, *test):
        Image.new("RGB", (64, 48)).save(path / one["filename"])
    actions = structs([{"nname": name, "vname": verb} for name, verb in ACTIONS])
    content = {"bbox_train": structs(train), "bbox_test": structs(test), "list_action": actions, **further}
    savemat(
        path / "anno_bbox.mat",
        {name: value for name, value in content.items() if value is not None},
        do_compression=True,
    )
    return path / "anno_bbox.mat", path


def test_an_image_in_detail(tmp_path):
    split = read(*mat(tmp_path))
    assert split.classes == ("person", "bicycle", "wine glass")
    (told,) = split.properties
    assert told.verbs == ("hold", "hug", "ride")
    assert told.allowed == {"hold": ("bicycle", "wine glass"), "hug": ("person",), "ride": ("bicycle",)}
    assert told.trained == {"ride": {"bicycle": 1}, "hold": {"bicycle": 1, "wine glass": 2}}
    (item,) = split.items
    # The person of three kinds of interaction is one object, the almost equal one another.
    np.testing.assert_array_equal(item.boxes, [[4, 2, 20, 40], [2, 19, 40, 48], [5, 2, 20, 40], [21, 9, 25, 16]])
    assert item.classes == ["person", "bicycle", "person", "wine glass"]
    assert item.rows["pairs"].tolist() == [[0, 1], [0, 1], [0, 3], [2, 3]]
    assert item.rows["verbs"].tolist() == [2, 0, 0, 0]
    assert item.pairs_left_out == {"interaction that is not seen": 1} and (item.width, item.height) == (64, 48)


def test_parts_and_images_without_anything(tmp_path):
    split = read(
        *mat(tmp_path, test=(image("HICO_test_02.jpg"), image("HICO_test_03.jpg", ALL["hoi"][0]))), part="test"
    )
    first, second = split.items
    assert first.boxes.shape == (0, 4) and first.rows["pairs"].shape == (0, 2) and first.image_id == 2
    assert second.rows["pairs"].tolist() == [[0, 1]]
    assert split.properties[0].trained["ride"] == {"bicycle": 1}
    assert len(read(*mat(tmp_path, test=(ALL,), train=()), part="train").items) == 0


def test_pairs_of_boxes_that_are_not_there(tmp_path):
    bad = image("HICO_train_01.jpg", hoi(1, [RIDER], [WHEELS], [[1, 1], [2, 1], [1, 0]]))
    split = read(*mat(tmp_path, train=(bad,)))
    options = {"name": "a", "split": "a", "classes": split.classes, "properties": split.properties}
    with pytest.raises(DataError, match="ride bicycle joins person 2 of 1 and object 1 of 1, which count from 1"):
        write_records(split.items, directory=tmp_path / "out", **options)
    report = write_records(split.items, directory=tmp_path / "out", skip_bad=True, **options)
    assert dict(report.pairs_dropped) == {"pair of an object that is not there": 2} and report.pairs_written == 1


def test_a_box_of_no_area_takes_its_pair_along(tmp_path):
    bad = image("HICO_train_01.jpg", hoi(1, [box(9, 9, 8, 12)], [WHEELS], [[1, 1]]))
    split = read(*mat(tmp_path, train=(bad,)))
    options = {"name": "a", "split": "a", "classes": split.classes, "properties": split.properties}
    report = write_records(split.items, directory=tmp_path / "out", skip_bad=True, **options)
    assert dict(report.boxes_dropped) == {"zero area": 1}
    assert dict(report.pairs_dropped) == {"pair of an object that is left out": 1}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"list_action": None}, "no HICO-DET: it lacks list_action, and holds bbox_train, bbox_test"),
        ({"bbox_test": None, "anno_train": 1.0}, "This is HICO without boxes"),
        ({"list_action": np.zeros((0, 0))}, "list_action is empty"),
        ({"list_action": structs([{"nname": "cup"}])}, "a row of it has vname None"),
        ({"bbox_train": structs([{"filename": 3.0}])}, "filename"),
    ],
)
def test_mat_files_of_other_content(change, words, tmp_path):
    with pytest.raises(DataError, match=words):
        read(*mat(tmp_path, **change))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (hoi(9, [RIDER], [WHEELS], [[1, 1]]), "interaction 9; expected a number from 1 to 4"),
        (hoi(1, [RIDER], [WHEELS], [1, 1, 1]), "connection"),
        (hoi(1, [{"x1": 3.0}], [WHEELS], [[1, 1]]), "a box lacks one of x1, y1, x2, y2"),
    ],
)
def test_damaged_annotations(wrong, words, tmp_path):
    with pytest.raises(DataError, match=words):
        read(*mat(tmp_path, train=(image("a1.jpg", wrong),)))


@pytest.mark.parametrize(
    "content", [b"", b"no MAT file at all", b"MATLAB 5.0 MAT-file" + b" " * 105 + b"\x00\x01IM123"]
)
def test_files_that_are_no_mat_files(content, tmp_path):
    (tmp_path / "anno_bbox.mat").write_bytes(content)
    with pytest.raises(DataError, match="not readable as a MAT file"):
        read(tmp_path / "anno_bbox.mat", tmp_path)


def test_newer_mat_files_are_told(tmp_path):
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    (tmp_path / "anno_bbox.mat").write_bytes(header.ljust(512, b"\0") + b"\x89HDF\r\n\x1a\n")
    with pytest.raises(DataError, match=r"version 7\.3.*-v7"):
        read(tmp_path / "anno_bbox.mat", tmp_path)


def test_wrong_calls(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read(tmp_path / "anno_bbox.mat", tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        read(*mat(tmp_path)[:1], tmp_path / "images")
    with pytest.raises(UsageError, match="train or test"):
        read(*mat(tmp_path), part="val")


def test_the_command(tmp_path, capsys):
    call = ["records", "hico", *mat(tmp_path), "--part", "train", "--out", tmp_path / "out"]
    for options, code in (([], 0), (["--verbs", "a"], 2)):
        with pytest.raises(SystemExit) as ended:
            main([str(one) for one in (*call, *options)])
        assert (ended.value.code or 0) == code
    told = capsys.readouterr()
    assert "Pairs of objects: 5 in, 4 written, left out: 1 interaction that is not seen." in told.out
    assert "--verbs is of a JSON" in told.err
    (record,) = iterate(open_dataset(tmp_path / "out"))
    assert len(record.rows["pairs"]) == 4
