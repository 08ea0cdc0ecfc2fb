"""Each box is usable, clipped or a fault with its reason."""

import numpy as np
import pytest

from centernet_tf.datasets.items import Item, leads_out, usable_objects
from centernet_tf.errors import DataError
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.properties.boxes3d.records import columns, from_columns
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.properties.property import Fault

NAN = float("nan")


def make_item(boxes=(), classes=None, **fields):
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    values = {"key": "a", "image_id": 1, "source": b"", "filename": "a.jpg", "boxes": boxes}
    return Item(**{**values, "classes": [0] * len(boxes) if classes is None else classes, **fields})


def sort(item, *properties):
    return usable_objects(item, 100, 50, ("cat", "dog"), properties)


def keypoints(count):
    return Keypoints(skeleton=Skeleton(keypoints=tuple("abcd"[:count])))


def keypoint_rows(rows):
    """Rows of [[(x, y, label), ...], ...]."""
    values = np.array(rows, float)
    return {"keypoints": values[..., :2], "keypoint_labels": values[..., 2].astype(int)}


@pytest.mark.parametrize("name", ["a.jpg", "b/a.jpg", "b/../a.jpg", "./a", "..a/.."])
def test_paths_inside_their_folder(name):
    assert not leads_out(name)


@pytest.mark.parametrize("name", ["../a", "b/../../a", "/a", ".."])
def test_paths_that_lead_out_of_their_folder(name):
    assert leads_out(name)


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


def test_boxes_stay_as_annotated_beside_the_clipped_ones():
    objects = sort(make_item([(-5, 20, 30, 60), (1, 2, 3, 4), (0, 0, 100.001, 50)]))
    np.testing.assert_array_equal(objects.full_boxes, np.float32([(-5, 20, 30, 60), (1, 2, 3, 4), (0, 0, 100, 50)]))
    assert objects.full_boxes.dtype == np.float32 and sort(make_item()).full_boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("box", "label", "reason", "detail"),
    [
        ((0, 0, 1e39, 5), 0, "far beyond the image", "reaches further than any photo does: left 0, top 0, right 1e+39"),
        ((-1.1e7, 0, 9, 5), 0, "far beyond the image", "left -1.1e+07"),
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


def test_rows_follow_their_boxes_and_points_stay_outside():
    rows = keypoint_rows([[SEEN] * 3, [SEEN] * 3, [SEEN, HIDDEN, UNKNOWN]])
    objects = sort(make_item([(0, 0, 5, 5), (7, 7, 7, 7), (0, 0, 9, 9)], rows=rows), keypoints(3))
    np.testing.assert_array_equal(
        objects.rows["keypoints"], np.float32([[SEEN[:2]] * 3, [SEEN[:2], HIDDEN[:2], (0, 0)]])
    )
    np.testing.assert_array_equal(objects.rows["keypoint_labels"], [[2, 2, 2], [2, 1, 0]])
    assert objects.rows["keypoints"].dtype == np.float32 and len(objects.faults) == 1


def test_points_may_be_fractions_and_rows_may_be_missing():
    item = make_item([(0, 0, 0.5, 0.5)], normalised=True, rows=keypoint_rows([[(0.5, 0.5, 2)]]))
    objects = sort(item, keypoints(1))
    np.testing.assert_array_equal(objects.boxes, [[0, 0, 50, 25]])
    np.testing.assert_array_equal(objects.rows["keypoints"], [[[50, 25]]])
    np.testing.assert_array_equal(sort(make_item([(0, 0, 5, 5)]), keypoints(2)).rows["keypoints"], np.zeros((1, 2, 2)))
    assert sort(make_item([(0, 0, 5, 5)])).rows == {}


@pytest.mark.parametrize(
    ("keypoint", "reason", "detail"),
    [
        ((NAN, 5, 2), "keypoint not a number", "box 1 of 1 has its keypoint 2 at x nan, y 5, not numbers"),
        ((5, 5, 3), "unknown label of a keypoint", "box 1 of 1 labels keypoint 2 with 3; known are 0"),
    ],
)
def test_faults_of_a_property_leave_the_object_out(keypoint, reason, detail):
    objects = sort(make_item([(0, 0, 5, 5)], rows=keypoint_rows([[SEEN, keypoint]])), keypoints(2))
    (fault,) = objects.faults
    assert fault.reason == reason and detail in fault.detail and not len(objects.rows["keypoints"])


def test_an_object_is_told_of_once():
    rows = keypoint_rows([[(NAN, 5, 2)]])
    (fault,) = sort(make_item([(7, 7, 7, 7)], rows=rows), keypoints(1)).faults
    assert fault == Fault("zero area", "box 1 of 1 has zero area: left 7, top 7, right 7, bottom 7")


def test_rows_that_do_not_fit_are_refused():
    item = make_item([(0, 0, 5, 5)], rows=keypoint_rows([[SEEN, HIDDEN]]))
    with pytest.raises(DataError, match=r"a\.jpg: keypoints has shape \(1, 2, 2\), expected \(1, 3, 2\)"):
        sort(item, keypoints(3))
    with pytest.raises(DataError, match=r"a\.jpg: no property has the rows keypoints, keypoint_labels. Known: none"):
        sort(item)


COLUMNS = np.array([[-1.5, 1.5, 1.6, 3.9, 1, 2, 10, 0.3], [NAN] * 8], np.float32)


def boxes3d_item(made=COLUMNS, **changes):
    boxes = np.array([[1, 2, 30, 40], [0, 0, 20, 20]])
    values = {"boxes": boxes, "classes": ["cat", -1], "ignored": [False, True], "names": ["tom", "no one"]}
    rows = {"camera": np.eye(3, 4), **from_columns(made), "truncated": [0.5, 0], "occluded": [2, 3]}
    return make_item(**{**values, "rows": rows, **changes})


def test_ignored_objects_and_rows_of_the_image_are_kept():
    objects = sort(boxes3d_item(), Boxes3d())
    assert objects.names == ("tom", "no one") and not objects.faults and objects.broken is None
    np.testing.assert_array_equal(objects.classes, [0, -1])
    np.testing.assert_array_equal(objects.ignored, [False, True])
    np.testing.assert_array_equal(columns(objects.rows), COLUMNS)
    np.testing.assert_array_equal(objects.rows["truncated"], [0.5, 0])
    np.testing.assert_array_equal(objects.rows["camera"], np.eye(3, 4))


def test_what_is_left_out_takes_its_rows_along():
    objects = sort(boxes3d_item(boxes=np.array([[30, 2, 1, 40], [0, 0, 20, 20]])), Boxes3d())
    assert objects.names == ("no one",) and objects.rows["has_box3d"].tolist() == [False]
    assert objects.rows["occluded"].tolist() == [3] and objects.rows["camera"].shape == (3, 4)


def test_faults_of_several_properties():
    made = COLUMNS.copy()
    made[0, 2] = 0
    rows = {**boxes3d_item(made).rows, **keypoint_rows([[SEEN], [(NAN, 5, 2)]])}
    faults = sort(boxes3d_item(rows=rows), keypoints(1), Boxes3d()).faults
    assert [fault.reason for fault in faults] == ["3D box of zero size", "keypoint not a number"]


def test_an_image_may_be_unusable():
    rows = {name: values for name, values in boxes3d_item().rows.items() if name != "camera"}
    assert sort(boxes3d_item(rows=rows), Boxes3d()).broken.reason == "no camera"


def test_only_ignored_objects_may_have_no_class():
    faults = sort(boxes3d_item(ignored=None), Boxes3d()).faults
    assert [fault.reason for fault in faults] == ["unknown class"]
