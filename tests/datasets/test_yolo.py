"""YOLO folders as ultralytics, Roboflow and LabelImg lay them out."""

import numpy as np
import pytest
import yaml
from PIL import Image

from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.writer import write_records
from centernet_tf.datasets.yolo import read
from centernet_tf.errors import DataError, UsageError


def add(root, name, rows=None, images="images/train", labels="labels/train"):
    """Adds an image of 64 x 48 pixels, and its label file where there are rows."""
    (root / images).mkdir(parents=True, exist_ok=True)
    (root / labels).mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48)).save(root / images / f"{name}.jpg")
    if rows is not None:
        (root / labels / f"{name}.txt").write_text("\n".join(rows), encoding="utf-8")


def describe(root, **changes):
    path = root / "data.yaml"
    content = {"train": "images/train", "val": "images/val", "names": ["cat", "dog"], **changes}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def write(folder, classes, items, **options):
    return write_records(items, directory=folder / "out", name="pets", split="train", classes=classes, **options)


def test_missing_and_empty_labels_are_background(tmp_path):
    add(tmp_path, "a")
    add(tmp_path, "b", [])
    add(tmp_path, "c", ["0 0.5 0.5 1 1"])
    classes, items, _ = read(describe(tmp_path))
    assert classes == ("cat", "dog") and [item.num_boxes for item in items] == [0, 0, 1]
    assert write(tmp_path, classes, items).images_empty == 2


@pytest.mark.parametrize(
    ("row", "label", "box", "clipped"),
    [
        ("1 0.5 0.5 0.25 0.5", 1, (24, 12, 40, 36), 0),
        ("0 0.5 0.5 1.0 1.0", 0, (0, 0, 64, 48), 0),
        ("0.0\t0.5  0.5 0.5 0.5", 0, (16, 12, 48, 36), 0),
        ("0 0.1 0.5 0.5 0.5", 0, (0, 12, 22.4, 36), 1),
        ("0 0.500001 0.5 1.000001 1.0", 0, (0, 0, 64, 48), 0),
        ("1 0.25 0.5 0.5 0.25 0.75 1.0", 1, (16, 12, 48, 48), 0),
        ("1 0.5 0.5 0.7 0.5 1.2 0.9 0.4 0.8", 1, (25.6, 24, 64, 43.2), 1),
    ],
)
def test_rows_become_boxes_in_pixels(row, label, box, clipped, tmp_path):
    add(tmp_path, "a", [row])
    classes, items, _ = read(describe(tmp_path))
    report = write(tmp_path, classes, items)
    (record,) = iterate(open_dataset(tmp_path / "out"))
    np.testing.assert_allclose(record.boxes, [box], atol=1e-3)
    assert record.classes == [label] and report.boxes_clipped == clipped


@pytest.mark.parametrize(
    ("row", "reason", "message"),
    [
        ("0 0.5 0.5", "annotation not readable", "line 3 of a.txt has 3 columns; expected 5, or an odd number from 7"),
        ("0 0.5 0.5 0.2 0.2 0.9", "annotation not readable", "line 3 of a.txt has 6 columns"),
        ("cat 0.5 0.5 0.2 0.2", "annotation not readable", "has a column that is not a number: cat 0.5"),
        ("0.5 0.5 0.5 0.2 0.2", "annotation not readable", "has a class that is not an integer"),
        ("nan 0.5 0.5 0.2 0.2", "annotation not readable", "has a class that is not an integer"),
        ("0 320 240 100 100", "annotation not readable", "has values in pixels; expected fractions from 0 to 1"),
        ("2 0.5 0.5 0.2 0.2", "unknown class", "line 3 of a.txt has class 2, but there are 2 classes, 0 to 1"),
        ("-1 0.5 0.5 0.2 0.2", "unknown class", "line 3 of a.txt has class -1"),
        ("0 0.5 nan 0.2 0.2", "not a number", "line 3 of a.txt is not a number"),
        ("0 0.5 0.5 0 0.2", "zero area", "line 3 of a.txt has zero area"),
        ("0 0.5 0.5 -0.1 0.2", "negative size", "line 3 of a.txt has a negative size"),
        ("0 1.5 0.5 0.1 0.2", "outside the image", "line 3 of a.txt lies outside the image"),
    ],
)
def test_bad_rows_are_named_by_line(row, reason, message, tmp_path):
    add(tmp_path, "a", ["0 0.5 0.5 0.2 0.2", "", row])
    classes, items, _ = read(describe(tmp_path))
    with pytest.raises(DataError) as error:
        write(tmp_path, classes, items)
    assert str(error.value).startswith("a.jpg: ") and message in str(error.value)
    report = write(tmp_path, classes, items, skip_bad=True)
    assert (report.boxes_in, report.boxes_written, report.boxes_dropped) == (2, 1, {reason: 1})


def test_keypoints_behind_the_box_are_no_polygon(tmp_path):
    add(tmp_path, "a", ["0 0.5 0.5 0.5 0.5 " + " ".join(["0.1 0.1 2"] * 2)])
    _, (item,), _ = read(describe(tmp_path, kpt_shape=[2, 3]))
    np.testing.assert_allclose(item.boxes, [(0.25, 0.25, 0.75, 0.75)])


ROW = ["0 0.5 0.5 0.5 0.5"]


@pytest.mark.parametrize(
    ("images", "labels", "changes"),
    [
        ("images/train", "labels/train", {}),
        ("train/images", "train/labels", {"train": "../train/images"}),
        ("images/train", "labels/train", {"train": ["images/train"], "names": {0: "cat", 1: "dog"}, "nc": 2}),
        ("pets/images/train", "pets/labels/train", {"path": "pets"}),
        ("images/train/deep", "labels/train/deep", {}),
        ("photos", "photos", {"train": "photos"}),
    ],
)
def test_layouts_are_found(images, labels, changes, tmp_path):
    add(tmp_path, "a", ROW, images, labels)
    classes, (item,), _ = read(describe(tmp_path, **changes))
    assert classes == ("cat", "dog") and len(item.boxes) == 1


def test_lists_name_images_of_their_folder(tmp_path):
    add(tmp_path / "far", "a", ["0 0.5 0.5 1 1"])
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "list.txt").write_text(f"{tmp_path}/far/images/train/a.jpg\n")
    path = describe(tmp_path / "near", train="list.txt")
    with pytest.raises(UsageError, match=r"a\.jpg', which is outside the list's folder"):
        read(path)
    assert [item.num_boxes for item in read(path, outside=True).items] == [1]


def test_splits_have_other_names_and_lists(tmp_path):
    for name in ("a", "b"):
        add(tmp_path, name, ROW)
    (tmp_path / "val.txt").write_text("./images/train/b.jpg\n\n")
    path = describe(tmp_path, val=None, valid="val.txt")
    assert [item.filename for item in read(path, "val")[1]] == ["b.jpg"]
    with pytest.raises(UsageError, match=r"no split 'tran'. It has: train, valid. Did you mean 'train'\?"):
        read(path, "tran")


def test_plain_pair_of_folders(tmp_path):
    add(tmp_path, "a", ROW, "photos", "boxes")
    _, (item,), _ = read(tmp_path / "photos", labels=tmp_path / "boxes", classes=["cell"])
    assert len(item.boxes) == 1
    with pytest.raises(UsageError, match="no class names"):
        read(tmp_path / "photos", labels=tmp_path / "boxes")
    (tmp_path / "boxes" / "classes.txt").write_text("rbc\nwbc\n")
    assert read(tmp_path / "photos", labels=tmp_path / "boxes")[0] == ("rbc", "wbc")


def test_labels_without_image_are_mentioned(tmp_path, caplog):
    add(tmp_path, "a", ROW)
    add(tmp_path, "b", ROW)
    (tmp_path / "images" / "train" / "b.jpg").unlink()
    assert len(read(describe(tmp_path))[1]) == 1
    assert "1 label files, such as" in caplog.text and "b.txt" in caplog.text


@pytest.mark.parametrize(("names", "ids"), [(("img7", "img12"), [12, 7]), (("a", "b"), [1, 2])])
def test_ids_are_digits_where_these_differ(names, ids, tmp_path):
    for name in names:
        add(tmp_path, name, ROW)
    assert [item.image_id for item in read(describe(tmp_path))[1]] == ids


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": None}, "'names' is None; expected the class names"),
        ({"names": []}, "'names' is"),
        ({"names": {0: "cat", 2: "dog"}}, r"'names' has the numbers \[0, 2\]; expected 0 to 1"),
        ({"nc": 3}, "'nc' is 3, but 'names' has 2"),
        ({"train": "gone"}, "'gone' does not exist; looked for"),
        ({"train": None}, "no split 'train'"),
    ],
)
def test_wrong_data_yaml_is_named(changes, message, tmp_path):
    add(tmp_path, "a", ROW)
    path = describe(tmp_path, **changes)
    with pytest.raises(ValueError, match=message) as error:
        read(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("text", ["", "just words", "names: [unclosed"])
def test_damaged_data_yaml_is_named(text, tmp_path):
    path = describe(tmp_path)
    path.write_text(text)
    with pytest.raises(DataError, match=r"data\.yaml: "):
        read(path)


def test_wrong_paths_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no such file or folder"):
        read(tmp_path / "gone.yaml")
    with pytest.raises(UsageError, match="no images"):
        read(tmp_path, classes=["a"])
    add(tmp_path, "a")
    with pytest.raises(UsageError, match=r"none of 1 images has labels; looked for .*labels/train/a\.txt"):
        read(describe(tmp_path))
    with pytest.raises(UsageError, match="no such folder of labels"):
        read(tmp_path / "images", labels=tmp_path / "gone")


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("kpt_shape: '17, 3'", DataError, "'kpt_shape' is '17, 3'; expected how many keypoints"),
        ("kpt_shape: [-1, 3]", DataError, "'kpt_shape' is"),
        ("kpt_shape: [17]", DataError, "'kpt_shape' is"),
        ("kpt_shape: [17, 4]", DataError, "'kpt_shape' is"),
        ("kpt_shape: {a: 1}", DataError, "'kpt_shape' is"),
        ("names: {0: a, b: c}", DataError, "'names' has the numbers"),
        ("names: [yes, no]", DataError, "'names' holds True; expected text, with quotes"),
        ("names: [2001-02-03]", DataError, "'names' holds datetime.date"),
        ("names: [a]\nnames: [b]", DataError, "'names' is given twice"),
        ("names: [2001-99-99]", DataError, "'2001-99-99' cannot be read as timestamp"),
        ("train: images/train/a.jpg", DataError, "this is an image. Name its folder"),
        ('train: "a\\0b"', UsageError, "does not exist"),
        (f"train: {'a' * 5000}", UsageError, "does not exist"),
        ("train: list.txt", DataError, "lists 'notes.md', which is no image"),
        ("train: latin.txt", DataError, "line 2 is not in UTF-8"),
    ],
)
def test_hostile_yaml_is_told(text, error, words, tmp_path):
    key = text.partition(":")[0]
    base = {"train": "images/train", "names": "[cat, dog]"}
    (tmp_path / "images" / "train").mkdir(parents=True)
    (tmp_path / "images" / "train" / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "list.txt").write_text("images/train/a.jpg\nnotes.md\n")
    (tmp_path / "latin.txt").write_bytes("a.jpg\ncaf\u00e9.jpg\n".encode("latin-1"))
    lines = [text, *(f"{name}: {value}" for name, value in base.items() if name != key)]
    (tmp_path / "data.yaml").write_text("\n".join(lines))
    with pytest.raises(error, match=words) as caught:
        read(tmp_path / "data.yaml")
    assert len(str(caught.value)) < 1000


def test_classes_in_another_encoding_are_told(tmp_path):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    (tmp_path / "classes.txt").write_bytes("cat\nk\u00e4se\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"classes.txt: not readable as text \(line 2 is not in UTF-8"):
        read(tmp_path)
