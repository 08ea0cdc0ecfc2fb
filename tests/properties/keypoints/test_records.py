"""Keypoints come back from records as they were written; what other programs wrote is read; faults are told."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.skeleton import Skeleton

FACE = Keypoints(skeleton=Skeleton(keypoints=("nose", "eye_l", "eye_r"), flip_pairs=((1, 2),), limbs=((0, 1),)))
X, Y, VISIBILITY = (f"image/object/keypoint/{name}" for name in ("x", "y", "visibility"))
SIZE = (64, 48)
# Outside the image is kept; unlabelled has no place.
ROWS = {
    "keypoints": np.float32([[[3, 4], [-5.5, 70], [0, 0]], [[0, 0]] * 3]),
    "keypoint_labels": np.int32([[2, 1, 0], [0, 0, 0]]),
}


def stored(packed):
    """Packed lists as records give them."""
    return {
        key: np.asarray(packed[key], np.float32 if kind == "float" else np.int64) for key, kind in FACE.keys.items()
    }


def boxes(count):
    return np.zeros((count, 4), np.float32)


def test_no_objects_come_back():
    rows = FACE.fill({}, 0)
    packed = FACE.pack(rows, SIZE)
    assert all(len(values) == 0 for values in packed.values())
    back = FACE.unpack(stored(packed), boxes(0), SIZE)
    assert back["keypoints"].shape == (0, 3, 2) and back["keypoint_labels"].shape == (0, 3)
    assert FACE.faults(back, SIZE) == []
    assert FACE.count(back, SIZE) == {"objects": 0, "visible": 0, "hidden": 0, "unlabelled": 0, "outside": 0}


@settings(max_examples=50, deadline=None)
@given(count=st.integers(0, 9), size=st.tuples(*[st.integers(1, 5000)] * 2), seed=st.integers(0, 2**32))
def test_keypoints_come_back(count, size, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, (count, 3)).astype(np.int32)
    points = random.uniform(-0.5, 1.5, (count, 3, 2)) * size * (labels[..., None] > 0)
    rows = FACE.fill({"keypoints": points, "keypoint_labels": labels}, count)
    back = FACE.unpack(stored(FACE.pack(rows, size)), boxes(count), size)
    np.testing.assert_allclose(back["keypoints"], points, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(back["keypoint_labels"], labels)
    assert {name: value.dtype for name, value in back.items()} == {
        field.name: np.dtype(field.dtype) for field in FACE.fields
    }
    assert FACE.faults(back, size) == [None] * count


def test_keypoints_have_the_standard_keys():
    packed = FACE.pack(ROWS, SIZE)
    assert packed[VISIBILITY].tolist() == [2, 1, 0, 0, 0, 0]
    assert packed["image/object/keypoint/num"].tolist() == [2, 0]
    assert packed["image/object/keypoint/text"] == [b"nose", b"eye_l", b"eye_r"] * 2
    np.testing.assert_allclose(packed[X][:2], [3 / 64, -5.5 / 64], rtol=1e-6)
    np.testing.assert_allclose(packed[Y][:2], [4 / 48, 70 / 48], rtol=1e-6)


def test_records_of_others_may_lack_keypoints_or_their_labels():
    none = {key: np.zeros(0, np.float32) for key in FACE.keys}
    rows = FACE.unpack(none, boxes(2), SIZE)
    assert rows["keypoints"].shape == (2, 3, 2) and not rows["keypoint_labels"].any()
    full = stored(FACE.pack(ROWS, SIZE))
    seen = FACE.unpack({**full, VISIBILITY: np.zeros(0, np.int64)}, boxes(2), SIZE)
    np.testing.assert_array_equal(seen["keypoint_labels"], 2)


@pytest.mark.parametrize("nothing", [np.nan, -1])
def test_unlabelled_keypoints_are_0_whatever_is_stored(nothing):
    full = stored(FACE.pack(ROWS, SIZE))
    back = FACE.unpack({**full, X: np.float32([0.5, 0.5, *[nothing] * 4])}, boxes(2), SIZE)
    np.testing.assert_array_equal(back["keypoints"][0], [[32, 4], [32, 70], [0, 0]])
    np.testing.assert_array_equal(back["keypoints"][1], 0)
    given = {"keypoints": np.full((1, 3, 2), nothing), "keypoint_labels": [[0, 0, 2]]}
    np.testing.assert_array_equal(FACE.fill(given, 1)["keypoints"][0], [[0, 0], [0, 0], [nothing] * 2])


@pytest.mark.parametrize("key", [X, Y, VISIBILITY])
def test_lists_that_make_no_objects_are_named(key):
    full = stored(FACE.pack(ROWS, SIZE))
    with pytest.raises(ValueError, match=f"{key} must hold 3 numbers for each of 2 boxes; it holds 5"):
        FACE.unpack({**full, key: full[key][:-1]}, boxes(2), SIZE)


def test_rows_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"keypoints has shape \(1, 2, 2\), expected \(1, 3, 2\)"):
        FACE.fill({"keypoints": np.zeros((1, 2, 2))}, 1)


@pytest.mark.parametrize(
    ("point", "label", "reason", "detail"),
    [
        ((np.nan, 5), 2, "keypoint not a number", "has its keypoint 2 at x nan, y 5, not numbers"),
        ((5, np.inf), 1, "keypoint not a number", "y inf"),
        ((5, 5), 3, "unknown label of a keypoint", "labels keypoint 2 with 3; known are 0"),
        ((5, 5), -1, "unknown label of a keypoint", "with -1"),
    ],
)
def test_faults_are_told(point, label, reason, detail):
    rows = {name: values.copy() for name, values in ROWS.items()}
    rows["keypoints"][0, 1], rows["keypoint_labels"][0, 1] = point, label
    fault, other = FACE.faults(rows, SIZE)
    assert fault.reason == reason and detail in fault.detail and other is None


def test_a_conversion_counts_and_tells():
    counts = FACE.count(ROWS, SIZE)
    assert counts == {"objects": 1, "visible": 1, "hidden": 1, "unlabelled": 4, "outside": 1}
    assert FACE.tell(counts) == (
        "2 keypoints on 1 objects: 1 visible, 1 hidden, 1 outside their image, kept; 4 unlabelled."
    )
