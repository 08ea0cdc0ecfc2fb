"""Cameras, 3D boxes and neutral objects come back as they were written."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from centernet_tf.data.records import Dataset, Record, Shard, iterate, open_dataset, parse, save_dataset, serialize
from centernet_tf.errors import DataError
from centernet_tf.geometry.camera import project

CLASSES = ("Pedestrian", "Car")
CAMERA = np.array([[700.0, 0, 600, 45], [0, 700, 180, -0.3], [0, 0, 1, 0.005]], np.float32)
NAN = [np.nan] * 8
SOLIDS = np.array([[-1.5, 1.5, 1.6, 3.9, 1, 2, 10, 0.3], [0.1, 2, 2, 5, -4, 1.7, 30, 3.1], NAN], np.float32)


def make_record(**changes):
    stream = io.BytesIO()
    Image.new("RGB", (64, 48)).save(stream, "PNG")
    values = {
        "image": stream.getvalue(),
        "format": "png",
        "width": 64,
        "height": 48,
        "image_id": 3,
        "filename": "000003.png",
        "boxes": np.array([[1, 2, 30, 40], [4, 5, 20, 30], [0, 0, 64, 48]], np.float32),
        "classes": np.array([1, 1, -1]),
        "crowd": np.zeros(3, bool),
        "difficult": np.zeros(3, bool),
        "area": np.ones(3, np.float32),
        "neutral": np.array([False, True, True]),
        "names": ("Car", "Van", "DontCare"),
        "camera": CAMERA,
        "solids": SOLIDS,
        "truncated": np.array([0, 0.25, 0], np.float32),
        "occluded": np.array([2, 0, 3]),
    }
    return Record(**{**values, **changes})


def write(directory, records, solid=True):
    path = directory / "val-00000-of-00001.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(serialize(record, CLASSES))
    shard = Shard(path, len(records), path.stat().st_size, "")
    counts = {"Pedestrian": 0, "Car": len(records)}
    save_dataset(Dataset(directory, "kitti", "val", CLASSES, len(records), 3, counts, (shard,), solid=solid))
    return open_dataset(directory)


def test_everything_comes_back(tmp_path):
    dataset = write(tmp_path, [make_record()])
    assert dataset.solid
    (back,) = iterate(dataset)
    for name in ("classes", "neutral", "solids", "truncated", "occluded", "camera"):
        np.testing.assert_array_equal(getattr(back, name), getattr(make_record(), name), err_msg=name)
    assert back.names == ("Car", "Van", "DontCare")


def test_neutral_objects_need_no_camera(tmp_path):
    plain = {"camera": None, "solids": None, "truncated": None, "occluded": None}
    dataset = write(tmp_path, [make_record(**plain)], solid=False)
    (back,) = iterate(dataset)
    assert not dataset.solid and back.camera is None and np.isnan(back.solids).all()
    np.testing.assert_array_equal(back.neutral, [False, True, True])
    np.testing.assert_array_equal(back.classes, [1, 1, -1])


def test_parsed_fields():
    fields = parse(serialize(make_record(), CLASSES), CLASSES, solid=True)
    np.testing.assert_array_equal(fields["solid"], [True, True, False])
    np.testing.assert_array_equal(fields["depths"], [10, 30, 0])
    middles = SOLIDS[:2, 4:7] - np.float32([0, 0.5, 0]) * SOLIDS[:2, 1:2]
    np.testing.assert_allclose(fields["middles"][:2], project(middles, CAMERA), rtol=1e-5)
    np.testing.assert_array_equal(fields["middles"][2], [0, 0])
    np.testing.assert_array_equal(fields["alphas"], np.float32([-1.5, 0.1, 0]))
    np.testing.assert_array_equal(fields["dimensions"][0], np.float32([1.5, 1.6, 3.9]))
    np.testing.assert_array_equal(fields["locations"], [[1, 2, 10], np.float32([-4, 1.7, 30]), [0, 0, 0]])
    np.testing.assert_array_equal(fields["rotations"], np.float32([0.3, 3.1, 0]))
    np.testing.assert_array_equal(fields["camera"], CAMERA)
    assert fields["names"].numpy().tolist() == [b"Car", b"Van", b"DontCare"]


def test_a_camera_that_is_turned_is_told(tmp_path):
    turned = np.float32([[0, -700, 320, 0], [700, 0, 120, 0], [0, 0, 1, 0]])
    with pytest.raises(DataError, match="record 1: A camera of a rectified image"):
        list(iterate(write(tmp_path, [make_record(camera=turned)])))


def test_empty_image_comes_back(tmp_path):
    nothing = {"boxes": np.zeros((0, 4)), "classes": np.zeros(0, np.int64), "crowd": np.zeros(0, bool)}
    nothing |= {"difficult": np.zeros(0, bool), "area": np.zeros(0), "names": ()}
    nothing |= dict.fromkeys(("neutral", "solids", "truncated", "occluded"))
    (back,) = iterate(write(tmp_path, [make_record(**nothing)]))
    assert back.solids.shape == (0, 8) and back.neutral.shape == (0,) and back.names == ()


def test_records_without_neutral_objects_have_no_such_key():
    record = make_record(camera=None, neutral=None, classes=np.array([0, 1, 1]))
    keys = tf.train.Example.FromString(serialize(record, CLASSES)).features.feature
    assert not [key for key in keys if "neutral" in key or "3d" in key or "camera" in key or "alpha" in key]
    assert not parse(serialize(record, CLASSES))["neutral"].numpy().any()


def test_keys_are_those_of_tfod():
    keys = tf.train.Example.FromString(serialize(make_record(), CLASSES)).features.feature
    assert keys["image/object/3d_bbox/rot_y"].float_list.value[0] == np.float32(0.3)
    assert keys["image/object/alpha"].float_list.value[0] == -1.5
    assert list(keys["image/object/class/text"].bytes_list.value) == [b"Car", b"Van", b"DontCare"]
    assert list(keys["image/object/class/label"].int64_list.value) == [2, 2, 0]
    np.testing.assert_array_equal(keys["image/camera/projection"].float_list.value, CAMERA.ravel())


def test_missing_camera_is_named():
    with pytest.raises(tf.errors.InvalidArgumentError, match="image/camera/projection"):
        parse(serialize(make_record(camera=None), CLASSES), CLASSES, solid=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"neutral": np.zeros(3, bool)}, "classes -1 to 1"),
        ({"neutral": np.zeros(2, bool)}, "2 values of neutral"),
        ({"names": ("Car",)}, "1 values of names"),
        ({"camera": np.full((3, 4), np.nan)}, "camera"),
        ({"camera": np.eye(3)}, "expected 3x4"),
        ({"solids": np.zeros((3, 7))}, r"expected \[3, 8\]"),
        ({"truncated": np.zeros(4)}, "4 values of truncated"),
    ],
)
def test_wrong_records_are_not_written(changes, message):
    with pytest.raises(DataError, match=message):
        serialize(make_record(**changes), CLASSES)
