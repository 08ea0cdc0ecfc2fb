"""Cameras and 3D boxes are looked at; ignored objects are counted apart."""

import io
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from centernet_tf.cli import main
from centernet_tf.data.dataset import Dataset, Shard, save_dataset, sha256_of
from centernet_tf.data.record import Record
from centernet_tf.data.serialize import serialize
from centernet_tf.inspect import inspect_records
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.properties.boxes3d.records import columns, from_columns

CAMERA = np.array([[100, 0, 80, 1], [0, 100, 60, 0.1], [0, 0, 1, 0.01]], np.float32)
NAMES = ("Pedestrian", "Car")


SPACE = (Boxes3d(),)
SOUND = np.array([[0, 2, 1, 4, 0, 2, 10, 0], [0, 2, 1, 4, 0, 2, 20, 0], [np.nan] * 8], np.float32)


def make_record(number=0, camera=CAMERA, values3d=SOUND, **changes):
    stream = io.BytesIO()
    Image.new("RGB", (160, 120), (number, 90, 90)).save(stream, "PNG")
    # The first two boxes are outlines: 2 m high at 10 m, 4 m long and 1 m wide, and the same twice as far.
    values = {
        "image": stream.getvalue(),
        "format": "png",
        "width": 160,
        "height": 120,
        "image_id": number,
        "filename": f"{number}.png",
        "boxes": np.array([[59, 59, 101, 81], [70, 60, 90, 70], [100, 0, 160, 40]], np.float32),
        "classes": np.array([1, 1, -1]),
        "crowd": np.zeros(3, bool),
        "difficult": np.zeros(3, bool),
        "area": np.ones(3, np.float32),
        "ignored": np.array([False, True, True]),
        "names": ("Car", "Van", "DontCare"),
        "rows": {"camera": camera, **from_columns(values3d)},
    }
    return Record(**{**values, **changes})


def write(directory, serialized, properties=SPACE):
    directory.mkdir()
    path = directory / "val-00000-of-00001.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for one in serialized:
            writer.write(one)
    shard = Shard(path, len(serialized), path.stat().st_size, sha256_of(path))
    objects = dict.fromkeys(NAMES, 0)
    save_dataset(Dataset(directory, "a", "val", NAMES, len(serialized), 3, objects, (shard,), properties=properties))
    return directory


def look(directory, *records, properties=SPACE):
    return inspect_records(write(directory, [serialize(one, NAMES, properties) for one in records], properties))


def found(report):
    return {finding.code: finding.count for finding in report.findings if finding.code != "unused_class"}


def test_sound_records_have_no_findings(tmp_path):
    report = look(tmp_path / "a", make_record(0), make_record(1))
    assert found(report) == {}
    assert report.ignored == {"Van": 2, "DontCare": 2} and report.per_class == {"Pedestrian": 0, "Car": 2}
    assert report.objects == 6 and report.facts == {"distances": "10 to 20 m, median 15 m"}
    told = json.loads(report.to_json())["properties"]["boxes3d"]["depths"]
    assert told == {"low": 10, "median": 15, "mean": 15, "high": 20}


def test_samples_hold_what_the_sheet_draws(tmp_path):
    report = look(tmp_path / "a", make_record(0))
    (sample,) = report.samples
    assert sample.labels == ("Car", "Van", "DontCare") and sample.rows["ignored"].tolist() == [False, True, True]
    np.testing.assert_array_equal(sample.rows["camera"], CAMERA)
    np.testing.assert_array_equal(columns(sample.rows), SOUND)
    assert report.sheet() is not None


def test_ignored_objects_need_no_camera(tmp_path):
    report = look(tmp_path / "a", make_record(0), properties=())
    assert found(report) == {} and report.properties == {} and report.ignored == {"Van": 1, "DontCare": 1}
    assert "camera" not in report.samples[0].rows and report.sheet() is not None


def changed(index, column, value):
    values = SOUND.copy()
    values[index, column] = value
    return {"values3d": values}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"camera": np.zeros((3, 4), np.float32)}, "bad_camera"),
        ({"camera": np.float32([[0, -700, 320, 0], [700, 0, 120, 0], [0, 0, 1, 0]])}, "bad_camera"),
        (changed(0, 3, np.nan), "bad_box3d"),
        (changed(0, 2, -1.0), "bad_box3d"),
        (changed(1, 6, -20.0), "bad_box3d"),
        (changed(0, 5, 9.0), "box3d_off"),
        (changed(0, 0, 1.0), "alpha_off"),
        (changed(0, 6, 30.0), "box3d_off"),
    ],
)
def test_faults_are_found(changes, code, tmp_path):
    report = look(tmp_path / "a", make_record(0, **changes), make_record(1))
    assert found(report) == {code: 1}
    assert next(finding for finding in report.findings if finding.code == code).examples[0].startswith("0.png")


@pytest.mark.parametrize(
    ("key", "numbers", "code"),
    [("image/object/3d_bbox/z", [10.0] * 4, "bad_box3d"), ("image/camera/projection", [], "bad_camera")],
)
def test_lists_that_do_not_fit_are_found(key, numbers, code, tmp_path):
    example = tf.train.Example.FromString(serialize(make_record(), NAMES, SPACE))
    example.features.feature[key].float_list.value[:] = numbers
    report = inspect_records(write(tmp_path / "a", [example.SerializeToString()]))
    assert found(report) == {code: 1}
    assert report.findings[0].examples[0].startswith(f"0.png: {key}")


def test_other_labels_of_no_class_stay_errors(tmp_path):
    example = tf.train.Example.FromString(serialize(make_record(), NAMES, SPACE))
    example.features.feature["image/object/ignored"].int64_list.value[2] = 0
    report = inspect_records(write(tmp_path / "a", [example.SerializeToString()]))
    assert found(report) == {"unknown_label": 1}


def test_command_tells_of_ignored_objects_and_distances(tmp_path, capsys):
    write(tmp_path / "a", [serialize(make_record(), NAMES, SPACE)])
    with pytest.raises(SystemExit) as ended:
        main(["inspect", str(tmp_path / "a"), "--sheet", str(tmp_path / "sheet.png")])
    assert (ended.value.code or 0) == 0
    told = capsys.readouterr().out
    assert "1 Van, 1 DontCare" in told and "10 to 20 m" in told and (tmp_path / "sheet.png").is_file()
