"""Cameras and boxes in space are looked at; neutral objects are counted apart."""

import dataclasses
import io
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from centernet_tf.cli import main
from centernet_tf.data.records import Dataset, Record, Shard, save_dataset, serialize, sha256_of
from centernet_tf.inspect import inspect_records

CAMERA = np.array([[100, 0, 80, 1], [0, 100, 60, 0.1], [0, 0, 1, 0.01]], np.float32)
NAMES = ("Pedestrian", "Car")


def make_record(number=0, **changes):
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
        "neutral": np.array([False, True, True]),
        "names": ("Car", "Van", "DontCare"),
        "camera": CAMERA,
        "solids": np.array([[0, 2, 1, 4, 0, 2, 10, 0], [0, 2, 1, 4, 0, 2, 20, 0], [np.nan] * 8], np.float32),
    }
    return Record(**{**values, **changes})


def write(directory, serialized, solid=True):
    directory.mkdir()
    path = directory / "val-00000-of-00001.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for one in serialized:
            writer.write(one)
    shard = Shard(path, len(serialized), path.stat().st_size, sha256_of(path))
    save_dataset(
        Dataset(directory, "a", "val", NAMES, len(serialized), 3, dict.fromkeys(NAMES, 0), (shard,), solid=solid)
    )
    return directory


def look(directory, *records, **options):
    return inspect_records(write(directory, [serialize(record, NAMES) for record in records], **options))


def found(report):
    return {finding.code: finding.count for finding in report.findings if finding.code != "unused_class"}


def test_sound_records_have_no_findings(tmp_path):
    report = look(tmp_path / "a", make_record(0), make_record(1))
    assert found(report) == {}
    assert report.neutral == {"Van": 2, "DontCare": 2} and report.per_class == {"Pedestrian": 0, "Car": 2}
    assert (report.depths.low, report.depths.high) == (10, 20) and report.objects == 6
    assert json.loads(report.to_json())["depths"]["median"] == 15


def test_samples_hold_what_the_sheet_draws(tmp_path):
    report = look(tmp_path / "a", make_record(0))
    (sample,) = report.samples
    assert sample.labels == ("Car", "Van", "DontCare") and sample.neutral.tolist() == [False, True, True]
    np.testing.assert_array_equal(sample.camera, CAMERA)
    np.testing.assert_array_equal(sample.solids, make_record().solids)
    assert report.sheet() is not None


def test_neutral_objects_need_no_camera(tmp_path):
    report = look(tmp_path / "a", make_record(0, camera=None), solid=False)
    assert found(report) == {} and report.depths is None and report.neutral == {"Van": 1, "DontCare": 1}
    assert report.samples[0].solids is None and report.sheet() is not None


def solid(index, column, value):
    solids = make_record().solids.copy()
    solids[index, column] = value
    return {"solids": solids}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"camera": None}, "bad_camera"),
        ({"camera": np.zeros((3, 4), np.float32)}, "bad_camera"),
        (solid(0, 3, np.nan), "bad_solid"),
        (solid(0, 2, -1.0), "bad_solid"),
        (solid(1, 6, -20.0), "bad_solid"),
        ({"camera": np.float32([[0, -700, 320, 0], [700, 0, 120, 0], [0, 0, 1, 0]])}, "bad_camera"),
        (solid(0, 5, 9.0), "solid_off"),
        (solid(0, 0, 1.0), "alpha_off"),
        (solid(0, 6, 30.0), "solid_off"),
    ],
)
def test_faults_are_found(changes, code, tmp_path):
    report = look(tmp_path / "a", make_record(0, **changes), make_record(1))
    assert found(report) == {code: 1}
    assert next(finding for finding in report.findings if finding.code == code).examples[0].startswith("0.png")


def test_lists_that_do_not_fit_are_found(tmp_path):
    example = tf.train.Example.FromString(serialize(make_record(), NAMES))
    example.features.feature["image/object/3d_bbox/z"].float_list.value.append(1)
    report = inspect_records(write(tmp_path / "a", [example.SerializeToString()]))
    assert found(report) == {"bad_solid": 3}


def test_other_labels_of_no_class_stay_errors(tmp_path):
    record = dataclasses.replace(make_record(), neutral=np.array([False, True, True]))
    example = tf.train.Example.FromString(serialize(record, NAMES))
    example.features.feature["image/object/neutral"].int64_list.value[2] = 0
    report = inspect_records(write(tmp_path / "a", [example.SerializeToString()]))
    assert found(report) == {"unknown_label": 1}


def test_command_tells_of_neutral_objects_and_distances(tmp_path, capsys):
    write(tmp_path / "a", [serialize(make_record(), NAMES)])
    with pytest.raises(SystemExit) as ended:
        main(["inspect", str(tmp_path / "a"), "--sheet", str(tmp_path / "sheet.png")])
    assert (ended.value.code or 0) == 0
    told = capsys.readouterr().out
    assert "1 Van, 1 DontCare" in told and "10 to 20 m" in told and (tmp_path / "sheet.png").is_file()
