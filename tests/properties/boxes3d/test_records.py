"""Cameras and 3D boxes come back from records as they were written, and go through the input pipeline."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centernet_tf.data.augment import Augmentation
from centernet_tf.data.dataset import open_dataset
from centernet_tf.data.pipeline import Feed
from centernet_tf.datasets.drawn import scenes
from centernet_tf.datasets.writer import write_records
from centernet_tf.geometry.camera import project
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.properties.boxes3d.records import columns, from_columns
from centernet_tf.properties.fields import JITTERED, SHARED

BOXES3D = Boxes3d()
CAMERA = np.array([[700.0, 0, 600, 45], [0, 700, 180, -0.3], [0, 0, 1, 0.005]], np.float32)
COLUMNS = np.array([[-1.5, 1.5, 1.6, 3.9, 1, 2, 10, 0.3], [0.1, 2, 2, 5, -4, 1.7, 30, 3.1], [np.nan] * 8], np.float32)
ROWS = {"camera": CAMERA, **from_columns(COLUMNS), "truncated": [0, 0.25, 0], "occluded": [2, 0, 3]}
SIZE = (64, 48)
STILL = Augmentation(crop=False, shift=0, scale=0, flip=0, brightness=0, contrast=0, saturation=0, lighting=0)


def stored(packed):
    """Packed lists as records give them."""
    kinds = {"float": np.float32, "int": np.int64}
    return {key: np.asarray(packed[key], kinds[kind]) for key, kind in BOXES3D.keys.items()}


def unpack(lists, count=3):
    return BOXES3D.unpack(lists, np.zeros((count, 4), np.float32), SIZE)


def test_no_objects_come_back():
    rows = BOXES3D.fill({"camera": CAMERA}, 0)
    back = unpack(stored(BOXES3D.pack(rows, SIZE)), 0)
    assert {name: value.shape for name, value in back.items()} == {
        field.name: field.shape if field.level == "image" else (0, *field.shape) for field in BOXES3D.fields
    }
    assert columns(back).shape == (0, 8) and BOXES3D.faults(back, SIZE) == []


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_3d_boxes_come_back(data):
    count, seed = data.draw(st.integers(0, 9)), data.draw(st.integers(0, 2**32))
    random = np.random.default_rng(seed)
    made = random.uniform(-3, 3, (count, 8)).astype(np.float32)
    made[:, 1:4] = random.uniform(0.1, 5, (count, 3))
    made[random.random(count) < 0.3] = np.nan
    given_rows = {"camera": CAMERA, **from_columns(made), "occluded": random.integers(0, 4, count)}
    rows = BOXES3D.fill({**given_rows, "truncated": random.random(count)}, count)
    back = unpack(stored(BOXES3D.pack(rows, SIZE)), count)
    assert set(back) == {field.name for field in BOXES3D.fields} == set(rows)
    for field in BOXES3D.fields:
        np.testing.assert_array_equal(back[field.name], rows[field.name])
        assert back[field.name].dtype == field.dtype
    np.testing.assert_array_equal(columns(back), made)
    assert BOXES3D.faults(back, SIZE) == [None] * count and BOXES3D.image_fault(back) is None


def test_rows_follow_from_the_columns():
    rows = BOXES3D.fill(ROWS, 3)
    assert rows["has_box3d"].tolist() == [True, True, False]
    np.testing.assert_array_equal(rows["depths"], [10, 30, 0])
    middles = COLUMNS[:2, 4:7] - np.float32([0, 0.5, 0]) * COLUMNS[:2, 1:2]
    np.testing.assert_allclose(rows["middles"][:2], project(middles, CAMERA), rtol=1e-5)
    np.testing.assert_array_equal(rows["alphas"], np.float32([-1.5, 0.1, 0]))
    np.testing.assert_array_equal(rows["dimensions"][0], np.float32([1.5, 1.6, 3.9]))
    np.testing.assert_array_equal(rows["locations"], [[1, 2, 10], np.float32([-4, 1.7, 30]), [0, 0, 0]])
    np.testing.assert_array_equal(rows["rotations"], np.float32([0.3, 3.1, 0]))
    assert not any(np.any(rows[name][2]) for name in ("middles", "dimensions"))


def test_keys_are_those_of_tfod():
    packed = BOXES3D.pack(BOXES3D.fill(ROWS, 3), SIZE)
    assert packed["image/object/3d_bbox/rot_y"][0] == np.float32(0.3)
    assert packed["image/object/alpha"][0] == -1.5 and np.isnan(packed["image/object/3d_bbox/z"][2])
    np.testing.assert_array_equal(packed["image/camera/projection"], CAMERA.ravel())
    np.testing.assert_array_equal(packed["image/object/occluded"], [2, 0, 3])
    np.testing.assert_array_equal(packed["image/object/truncated"], [0, 0.25, 0])


@pytest.mark.parametrize(
    ("key", "change", "code", "message"),
    [
        ("image/camera/projection", lambda values: values[:0], "bad_camera", "must hold the 12 numbers"),
        ("image/camera/projection", lambda values: values[:7], "bad_camera", "must hold the 12 numbers"),
        ("image/camera/projection", lambda values: values * np.nan, "bad_camera", "finite numbers"),
        ("image/camera/projection", lambda values: -values, "bad_camera", "A camera of a rectified image"),
        ("image/object/3d_bbox/z", lambda values: values[:2], "bad_box3d", "3d_bbox/z holds 2 numbers for 3 boxes"),
        ("image/object/truncated", lambda values: values[:1], "bad_box3d", "truncated holds 1 numbers for 3 boxes"),
        ("image/object/alpha", lambda values: values * np.nan, "bad_box3d", "object 1 has the 3D box"),
    ],
)
def test_lists_that_make_no_rows_are_told(key, change, code, message):
    full = stored(BOXES3D.pack(BOXES3D.fill(ROWS, 3), SIZE))
    with pytest.raises(ValueError, match=message) as error:
        unpack({**full, key: change(full[key])})
    assert error.value.code == code


def test_objects_need_no_3d_boxes():
    full = stored(BOXES3D.pack(BOXES3D.fill(ROWS, 3), SIZE))
    rows = unpack({key: values if "camera" in key else values[:0] for key, values in full.items()})
    assert not rows["has_box3d"].any() and not rows["locations"].any() and rows["occluded"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [(0, np.nan, "3D box not a number"), (2, 0.0, "3D box of zero size"), (3, -1.0, "3D box of zero size")],
)
def test_faults_are_told(column, value, reason):
    made = COLUMNS.copy()
    made[1, column] = value
    faults = BOXES3D.faults(BOXES3D.fill({**ROWS, **from_columns(made)}, 3), SIZE)
    assert [fault and fault.reason for fault in faults] == [None, reason, None]


def test_an_image_without_camera_is_told():
    fault = BOXES3D.image_fault(BOXES3D.fill({}, 0))
    assert fault.reason == "no camera" and "expected 3x4 numbers" in fault.detail


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    directory = tmp_path_factory.mktemp("scenes")
    classes, items, properties = scenes.read(4, (96, 160))
    options = {"name": "scenes", "split": "train", "shards": 1, "properties": properties}
    write_records(items, directory=directory, classes=classes, **options)
    return open_dataset(directory)


def rows_of(records, augment):
    feed = Feed((96, 160), fields=(*SHARED, *BOXES3D.fields, JITTERED), properties=(BOXES3D,))
    return next(itertools.islice(feed.training(records, 4, augment).as_numpy_iterator(), 1))[1]


def test_a_mirror_turns_angles_and_nothing_else_in_space(records):
    plain, mirrored = rows_of(records, STILL), rows_of(records, dataclasses.replace(STILL, flip=1.0))
    assert not plain["jittered"].any() and not mirrored["jittered"].any()
    assert plain["has_box3d"].any() and plain["ignored"].shape == plain["has_box3d"].shape
    for name in ("depths", "dimensions", "has_box3d", "ignored", "classes", "valid"):
        np.testing.assert_array_equal(plain[name], mirrored[name])
    has_box3d = plain["has_box3d"]
    turned = np.exp(1j * mirrored["alphas"][has_box3d])
    np.testing.assert_allclose(turned, -np.exp(-1j * plain["alphas"][has_box3d]), atol=1e-6)
    boxes, other = plain["boxes"][has_box3d], mirrored["boxes"][has_box3d]
    np.testing.assert_allclose(other[:, [2, 0]], 160 - boxes[:, [0, 2]], atol=1e-3)
    np.testing.assert_allclose(
        mirrored["middles"][has_box3d], plain["middles"][has_box3d] * [-1, 1] + [160, 0], atol=1e-3
    )


def test_jittered_images_keep_what_they_are(records):
    plain = rows_of(records, STILL)
    jittered = rows_of(records, dataclasses.replace(STILL, scale=0.4, shift=0.1, jitter_probability=0.999))
    assert jittered["jittered"].all()
    for name in ("depths", "dimensions", "alphas"):
        np.testing.assert_array_equal(plain[name], jittered[name])
    assert not np.allclose(plain["boxes"], jittered["boxes"])
    shares = []
    for rows in (plain, jittered):  # Where in its box the middle lies, in parts of the box's sides.
        low, high = rows["boxes"][rows["has_box3d"]].reshape(-1, 2, 2).swapaxes(0, 1)
        shares.append((rows["middles"][rows["has_box3d"]] - low) / (high - low))
    np.testing.assert_allclose(*shares, atol=1e-3)
