"""Each box is usable, clipped or a fault with its reason."""

import numpy as np
import pytest

from centernet_tf.datasets.items import Fault, Item, usable_objects
from centernet_tf.errors import DataError

NAN = float("nan")


def make_item(boxes=(), classes=None, **fields):
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    values = {"key": "a", "image_id": 1, "source": b"", "filename": "a.jpg", "boxes": boxes}
    return Item(**{**values, "classes": [0] * len(boxes) if classes is None else classes, **fields})


def sort(item):
    return usable_objects(item, 100, 50, ("cat", "dog"))


def test_no_boxes_give_empty_arrays():
    objects = sort(make_item())
    assert objects.boxes.shape == (0, 4) and objects.boxes.dtype == np.float32
    assert objects.classes.shape == (0,) and objects.classes.dtype == np.int64
    assert objects.crowd.dtype == objects.difficult.dtype == bool and objects.area.dtype == np.float32
    assert objects.faults == () and objects.clipped == 0


@pytest.mark.parametrize(
    ("box", "expected", "clipped"),
    [
        ((10, 20, 30, 40), (10, 20, 30, 40), 0),
        ((0, 0, 100, 50), (0, 0, 100, 50), 0),
        ((-5, 20, 30, 60), (0, 20, 30, 50), 1),
        ((-500, -500, 500, 500), (0, 0, 100, 50), 1),
        ((0, 0, 100.001, 50), (0, 0, 100, 50), 0),
        ((10, 10, 10.5, 10.25), (10, 10, 10.5, 10.25), 0),
    ],
)
def test_usable_boxes_are_clipped_and_counted(box, expected, clipped):
    objects = sort(make_item([box]))
    np.testing.assert_array_equal(objects.boxes, np.array([expected], np.float32))
    assert (objects.clipped, objects.faults) == (clipped, ())
    np.testing.assert_allclose(objects.area, (expected[2] - expected[0]) * (expected[3] - expected[1]))


@pytest.mark.parametrize(
    ("box", "label", "reason", "detail"),
    [
        ((NAN, 0, 5, 5), 0, "not a number", "box 2 of 2 is not a number: left nan, top 0, right 5, bottom 5"),
        ((0, 0, float("inf"), 5), 0, "not a number", "right inf"),
        ((5, 0, 1, 5), 0, "negative size", "box 2 of 2 has a negative size: left 5, top 0, right 1, bottom 5"),
        ((5, 5, 5, 5), 0, "zero area", "box 2 of 2 has zero area: left 5, top 5, right 5, bottom 5"),
        ((5, 5, 9, 5), 0, "zero area", "has zero area"),
        ((100, 0, 120, 5), 0, "outside the image", "box 2 of 2 lies outside the image: left 100"),
        ((0, -9, 10, 0), 0, "outside the image", "lies outside the image"),
        ((0, 0, 5, 5), "cow", "unknown class", "box 2 of 2 has class 'cow', which is not declared"),
        ((0, 0, 5, 5), 2, "unknown class", "class 2"),
        ((0, 0, 5, 5), -1, "unknown class", "class -1"),
    ],
)
def test_other_boxes_are_faults(box, label, reason, detail):
    item = make_item([(1, 2, 3, 4), box], [1 if isinstance(label, int) else "dog", label], area=[3, 9])
    objects = sort(item)
    (fault,) = objects.faults
    assert fault.reason == reason and detail in fault.detail
    np.testing.assert_array_equal(objects.boxes, [[1, 2, 3, 4]])
    np.testing.assert_array_equal(objects.classes, [1])
    np.testing.assert_array_equal(objects.area, [3])


def test_flags_and_names_follow_their_boxes():
    boxes = [(0, 0, 5, 5), (7, 7, 7, 7), (0, 0, 9, 9)]
    objects = sort(make_item(boxes, ["dog", "cat", "cat"], crowd=[True, True, False], difficult=[False, True, True]))
    np.testing.assert_array_equal(objects.classes, [1, 0])
    np.testing.assert_array_equal(objects.crowd, [True, False])
    np.testing.assert_array_equal(objects.difficult, [False, True])


def test_area_never_exceeds_the_clipped_box():
    np.testing.assert_array_equal(sort(make_item([(90, 0, 110, 10)], area=[200])).area, [100])


@pytest.mark.parametrize("area", [0, -5, np.nan, np.inf])
def test_area_that_is_none_is_the_box(area):
    np.testing.assert_array_equal(sort(make_item([(0, 0, 10, 10)], area=[area])).area, [100])


def test_all_annotations_are_counted():
    item = make_item([(0, 0, 5, 5)], faults=(Fault("no box", "row 2"),), left_out={"class not chosen": 3})
    assert item.num_boxes == 5
    assert sort(item).faults == (Fault("no box", "row 2"),)


def test_lists_of_other_length_are_refused():
    with pytest.raises(DataError, match=r"a\.jpg: 1 values of crowd for 2 boxes"):
        sort(make_item([(0, 0, 5, 5), (0, 0, 5, 5)], crowd=[True]))


SEEN, HIDDEN, UNKNOWN = (5, 6, 2), (-40, 900, 1), (NAN, NAN, 0)


def test_joints_follow_their_boxes_and_stay_outside():
    item = make_item(
        [(0, 0, 5, 5), (7, 7, 7, 7), (0, 0, 9, 9)], joints=[[SEEN] * 3, [SEEN] * 3, [SEEN, HIDDEN, UNKNOWN]]
    )
    objects = usable_objects(item, 100, 50, ("cat",), 3)
    np.testing.assert_array_equal(objects.joints, np.float32([[SEEN] * 3, [SEEN, HIDDEN, (0, 0, 0)]]))
    assert objects.joints.dtype == np.float32 and len(objects.faults) == 1


def test_joints_may_be_fractions_or_missing():
    item = make_item([(0, 0, 0.5, 0.5)], normalised=True, joints=[[(0.5, 0.5, 2)]])
    np.testing.assert_array_equal(usable_objects(item, 100, 50, ("cat",), 1).joints, [[[50, 25, 2]]])
    np.testing.assert_array_equal(
        usable_objects(make_item([(0, 0, 5, 5)]), 9, 9, ("cat",), 2).joints, np.zeros((1, 2, 3))
    )
    assert sort(make_item([(0, 0, 5, 5)])).joints.shape == (1, 0, 3)


@pytest.mark.parametrize(
    ("joint", "reason", "detail"),
    [
        ((NAN, 5, 2), "joint not a number", "box 1 of 1 has its joint 2 at x nan, y 5, no numbers"),
        ((5, float("inf"), 1), "joint not a number", "y inf"),
        ((5, 5, 3), "unknown label of a joint", "box 1 of 1 labels joint 2 with 3; known are 0"),
        ((5, 5, NAN), "unknown label of a joint", "with nan"),
    ],
)
def test_broken_joints_are_faults(joint, reason, detail):
    objects = usable_objects(make_item([(0, 0, 5, 5)], joints=[[SEEN, joint]]), 100, 50, ("cat",), 2)
    (fault,) = objects.faults
    assert fault.reason == reason and detail in fault.detail and not len(objects.joints)


def test_joints_of_another_skeleton_are_refused():
    with pytest.raises(DataError, match=r"a\.jpg: joints are \(1, 2, 3\), expected \(1, 3, 3\)"):
        usable_objects(make_item([(0, 0, 5, 5)], joints=[[SEEN, HIDDEN]]), 100, 50, ("cat",), 3)


def solid_item(**changes):
    solids = np.array([[-1.5, 1.5, 1.6, 3.9, 1, 2, 10, 0.3], [np.nan] * 8], np.float32)
    boxes = np.array([[1, 2, 30, 40], [0, 0, 20, 20]])
    values = {"boxes": boxes, "classes": ["cat", -1], "neutral": [False, True], "names": ["tom", "no one"]}
    values |= {"solids": solids, "truncated": [0.5, 0], "occluded": [2, 3], **changes}
    return make_item(**values)


def test_neutral_objects_and_solids_are_kept():
    objects = usable_objects(solid_item(), 64, 48, ("cat",))
    assert objects.names == ("tom", "no one") and not objects.faults
    np.testing.assert_array_equal(objects.classes, [0, -1])
    np.testing.assert_array_equal(objects.neutral, [False, True])
    np.testing.assert_array_equal(objects.solids, solid_item().solids)
    np.testing.assert_array_equal(objects.truncated, [0.5, 0])
    np.testing.assert_array_equal(objects.occluded, [2, 3])


def test_what_is_left_out_takes_its_solid_along():
    objects = usable_objects(solid_item(boxes=np.array([[30, 2, 1, 40], [0, 0, 20, 20]])), 64, 48, ("cat",))
    assert objects.names == ("no one",) and objects.solids.shape == (1, 8) and objects.occluded.tolist() == [3]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [(0, np.nan, "3D box not a number"), (2, 0.0, "3D box without extent"), (3, -1.0, "3D box without extent")],
)
def test_unusable_solids_are_faults(column, value, reason):
    item = solid_item()
    item.solids[0, column] = value
    assert [fault.reason for fault in usable_objects(item, 64, 48, ("cat",)).faults] == [reason]


def test_only_neutral_objects_may_have_no_class():
    faults = usable_objects(solid_item(neutral=None), 64, 48, ("cat",)).faults
    assert [fault.reason for fault in faults] == ["unknown class"]


def test_solids_of_another_number_are_refused():
    with pytest.raises(DataError, match="solids"):
        usable_objects(solid_item(solids=np.zeros((2, 7))), 64, 48, ("cat",))
