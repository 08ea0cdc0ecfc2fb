"""KITTI's folders: cameras and 3D boxes are read, ignored classes are marked, what is missing is told."""

import re

import numpy as np
import pytest
from PIL import Image

from centernet_tf.cli import main
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.items import usable_objects
from centernet_tf.datasets.kitti import read
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.properties.boxes3d.records import columns

NAMES = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc")
DONT_CARE = "DontCare -1 -1 -10 5.00 10.50 25.00 20.00 -1 -1 -1 -1000 -1000 -1000 -10"
CALIBRATION = "P0: {0}\nP1: {0}\nP2: 700 0 32 45 0 700 24 -0.3 0 0 1 0.005\nP3: {0}\n".format(" ".join("0" * 12))


def line(name, row):
    return f"{name} 0.30 2 -1.50 {row}.00 2.00 {row + 20}.00 30.00 1.50 1.60 3.90 1.00 2.00 {row + 10}.00 0.30"


@pytest.fixture
def folder(tmp_path):
    """Three images; the first has an object of every class."""
    root = tmp_path / "kitti" / "training"
    for part in ("image_2", "calib", "label_2"):
        (root / part).mkdir(parents=True)
    for number in range(3):
        Image.new("RGB", (64, 48)).save(root / "image_2" / f"{number:06d}.png")
        (root / "calib" / f"{number:06d}.txt").write_text(CALIBRATION)
        lines = [line(name, row) for row, name in enumerate(NAMES)] + [DONT_CARE] if not number else [line("Car", 1)]
        (root / "label_2" / f"{number:06d}.txt").write_text("\n".join(lines) + "\n")
    return root


def test_classes_and_ignored_objects(folder):
    classes, items, _ = read(folder)
    assert classes == ("Pedestrian", "Car", "Cyclist") and [item.image_id for item in items] == [0, 1, 2]
    item = items[0]
    assert list(item.names) == ["Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "DontCare"]
    assert item.classes == [1, 1, 1, 0, 0, 2, -1]
    assert item.ignored == [False, True, True, False, True, False, True]
    assert item.left_out == {"class not chosen": 2} and item.num_boxes == 9
    np.testing.assert_array_equal(item.rows["camera"][0], [700, 0, 32, 45])


def test_records(folder, tmp_path):
    classes, items, properties = read(folder.parent)
    assert properties == (Boxes3d(),)
    report = write_records(
        items,
        directory=tmp_path / "out",
        name="kitti",
        split="train",
        classes=classes,
        properties=properties,
        workers=1,
    )
    assert report.objects_per_class == {"Pedestrian": 1, "Car": 3, "Cyclist": 1}
    assert report.ignored == {"Van": 1, "Truck": 1, "Person_sitting": 1, "DontCare": 1}
    first, *_ = iterate(open_dataset(tmp_path / "out"))
    assert first.filename == "000000.png" and first.image_id == 0
    np.testing.assert_array_equal(first.boxes[0], [0, 2, 20, 30])
    np.testing.assert_array_equal(columns(first.rows)[0], np.float32([-1.5, 1.5, 1.6, 3.9, 1, 2, 10, 0.3]))
    assert first.rows["has_box3d"].tolist() == [True] * 6 + [False] and first.rows["depths"][1] == 11
    np.testing.assert_array_equal(first.rows["truncated"], np.float32([0.3] * 6 + [0]))
    np.testing.assert_array_equal(first.rows["occluded"], [2] * 6 + [3])


def test_unknown_directions(folder):
    path = folder / "label_2" / "000001.txt"
    path.write_text(line("Car", 1).replace(" -1.50 1.00", " -10 1.00") + "\n")
    items = read(folder)[1]
    np.testing.assert_allclose(items[1].rows["alphas"], 0.3 - np.arctan2(1, 11), rtol=1e-6)
    assert items[2].rows["alphas"][0] == -1.5


def test_a_camera_that_is_turned_is_a_fault_of_its_image(folder):
    path = folder / "calib" / "000001.txt"
    path.write_text("P2: 0 -700 320 0 700 0 120 0 0 0 1 0\n")
    items = read(folder)[1]
    assert "A camera of a rectified image has the rows" in items[1].broken.detail and items[0].broken is None


def test_chosen_classes(folder):
    classes, items, _ = read(folder, classes=["Van", "Car"])
    assert classes == ("Van", "Car")
    assert list(items[0].names) == ["Car", "Van", "Truck", "DontCare"] and items[0].classes == [1, 0, 1, -1]
    assert items[0].ignored == [False, False, True, True]


def test_list_of_a_split(folder, tmp_path):
    names = tmp_path / "val.txt"
    names.write_text("000002\n000000\n\n")
    _, items, _ = read(folder, names)
    assert [item.key for item in items] == ["000000", "000002"] and [item.image_id for item in items] == [0, 2]
    names.write_text("000002\n000002\n")
    with pytest.raises(DataError, match="000002 is listed more than once"):
        read(folder, names)
    names.write_text("\n")
    with pytest.raises(UsageError, match="names no image"):
        read(folder, names)


@pytest.mark.parametrize("part", ["calib", "label_2"])
def test_missing_files_are_faults_of_their_image(part, folder, tmp_path):
    names = tmp_path / "all.txt"
    names.write_text("000000\n000001\n000002\n")
    (folder / part / "000001.txt").unlink()
    _, items, _ = read(folder, names)
    assert [item.broken is None for item in items] == [True, False, True]
    assert f"{part}/000001.txt: no such" in items[1].broken.detail


def test_broken_label_is_a_fault_of_its_image(folder):
    (folder / "label_2" / "000001.txt").write_text("Car 1 2 3\n")
    _, items, _ = read(folder)
    assert "line 1 has 4 columns" in items[1].broken.detail


def test_missing_folders_are_named(tmp_path):
    with pytest.raises(UsageError, match="no folder image_2, calib, label_2"):
        read(tmp_path)


def test_command(folder, tmp_path, capsys):
    names = tmp_path / "val.txt"
    names.write_text("000000\n000002\n")
    out = tmp_path / "records" / "val"
    with pytest.raises(SystemExit) as ended:
        main(["records", "kitti", str(folder), "--list", str(names), "--split", "val", "--out", str(out)])
    assert (ended.value.code or 0) == 0 and "Van (ignored)" in capsys.readouterr().out
    dataset = open_dataset(out)
    assert (
        dataset.properties == (Boxes3d(),) and dataset.split == "val" and dataset.images == 2 and dataset.objects == 8
    )
    assert dataset.report["boxes"]["dropped"] == {"class not chosen": 2}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("Car 0.30", "Car 1.99", "truncated out of range"),
        ("Car 0.30", "Car -0.5", "truncated out of range"),
        ("Car 0.30", "Car 1e308", "truncated out of range"),
        ("Car 0.30 2", "Car 0.30 1000", "occluded out of range"),
        ("Car 0.30 2", "Car 0.30 1.5", "occluded out of range"),
        ("Car 0.30 2", "Car 0.30 nan", "occluded out of range"),
        (" 0.30\n", " 8.41\n", "angle out of range"),
        ("-1.50 1.00", "-5.50 1.00", "angle out of range"),
        (" 1.50 1.60", " 1e308 1.60", "3D box not a number"),
        (" 1.50 1.60", " 1500 1.60", "3D box out of range"),
        (" 1.00 2.00 11.00", " 1e30 2.00 11.00", "3D box out of range"),
        ("Car 0.30 2 -1.50", "Car 2 -1.50 4.00", "truncated out of range"),  # a column lost, one too many further on
    ],
)
def test_numbers_that_no_label_has_are_faults_of_their_object(old, new, reason, folder):
    text = line("Car", 1) + "\n" + line("Car", 2) + "\n"
    path = folder / "label_2" / "000001.txt"
    path.write_text(text.replace(old, new, 1))
    classes, items, properties = read(folder)
    objects = usable_objects(items[1], 64, 48, classes, properties)
    assert [fault.reason for fault in objects.faults] == [reason]
    assert objects.faults[0].detail.startswith("line 1 of 000001.txt has") and len(objects.boxes) == 1
    assert all(np.isfinite(np.asarray(values, float)).all() for values in objects.rows.values())


def test_lines_are_counted_as_an_editor_does(folder):
    path = folder / "label_2" / "000001.txt"
    path.write_text("\n" + line("Tram", 1) + "\n\n" + line("Car", 2).replace(" 0.30 2", " 7 2") + "\n")
    assert read(folder)[1][1].faults[0].detail.startswith("line 4 of")


def test_unknown_is_written_minus_one(folder):
    path = folder / "label_2" / "000001.txt"
    path.write_text(line("Car", 1).replace("0.30 2", "-1 -1", 1) + "\n")
    rows = read(folder)[1][1].rows
    assert rows["truncated"].tolist() == [0] and rows["occluded"].tolist() == [3]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CALIBRATION.replace("P2: 700", "P2: 1e39"), "no line 'P2: ' with 12 numbers"),
        (CALIBRATION.replace("P2: 700", "P2: 1e12"), "focal lengths are from 1 to 1e\\+07 pixels"),
        (CALIBRATION.replace("P2: 700", "P2: 0.7"), "focal lengths are from 1 to 1e\\+07 pixels"),
        (CALIBRATION + CALIBRATION, "2 lines 'P2: '; expected one"),
    ],
)
def test_a_camera_that_none_has_is_a_fault_of_its_image(text, words, folder):
    (folder / "calib" / "000001.txt").write_text(text)
    assert re.search(words, read(folder)[1][1].broken.detail)


def test_text_in_another_encoding_is_told(folder, tmp_path):
    names = tmp_path / "val.txt"
    names.write_bytes("000000\ncaf\u00e9\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"val.txt: not readable as text \(line 2 is not in UTF-8; save the file"):
        read(folder, names)
    (folder / "label_2" / "000001.txt").write_bytes(b"Fu\xdfg\xe4nger 0 0\n")
    assert "line 1 is not in UTF-8" in read(folder)[1][1].broken.detail
