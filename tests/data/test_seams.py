"""Every field of every property cut at seams and put behind each other, beside one object at a time."""

import numpy as np
import pytest

from centernet_tf.data.seams import OPEN, joined, resampled, within
from centernet_tf.properties.fields import SHARED
from centernet_tf.properties.interactions import Interactions
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.properties.masks import Masks
from centernet_tf.properties.tracks import Tracks

SKELETON = Skeleton(keypoints=("nose", "left", "right"))
PROPERTIES = (Keypoints(skeleton=SKELETON), Masks(), Interactions(verbs=("rides", "holds")), Tracks())
FIELDS = (*SHARED, *(field for one in PROPERTIES for field in one.fields if field.dtype != "object"))
SEAMS = np.array([-np.inf, 20.0, 30.0, np.inf])  # a right upper corner is cut off


def drawn(seed, count, pairs):
    """Rows of all fields, with boxes around a middle of (30, 20)."""
    random, rows = np.random.default_rng(seed), {}
    for field in FIELDS:
        length = pairs if field.level == "pair" else count
        low, high = (-1, count) if field.refers else (0, 3)
        values = random.integers(low, high, (length, *field.shape))
        if field.dtype.startswith("float"):
            values = random.uniform(0, 60, (length, *field.shape))
        rows[field.name] = values.astype(field.dtype)
    corners = random.uniform((0, 0), (50, 30), (count, 2))
    rows["boxes"] = np.concatenate([corners, corners + random.uniform(1, 20, (count, 2))], axis=1).astype(np.float32)
    return rows


def one_by_one(rows):
    """What is left, {row before: its values}, and the pairs as rows before."""
    left = {}
    for row, (x0, y0, x1, y1) in enumerate(rows["boxes"].tolist()):
        if x0 < 30 and y1 > 20:
            left[row] = {field.name: rows[field.name][row] for field in FIELDS if field.level == "object"}
            left[row]["boxes"] = [x0, max(y0, 20), min(x1, 30), y1]
            inside = (rows["keypoints"][row] < [30, np.inf]) & (rows["keypoints"][row] >= [-np.inf, 20])
            left[row]["keypoint_labels"] = rows["keypoint_labels"][row] * inside.all(axis=1)
    pairs = []
    for (subject, thing), verb in zip(rows["pairs"].tolist(), rows["verbs"].tolist()):
        if {subject, thing} - {-1} <= set(left) and (subject, thing) != (-1, -1):
            pairs.append((subject, thing, verb))
    return left, pairs


@pytest.mark.parametrize(("count", "pairs"), [(0, 0), (1, 1), (9, 12)])
def test_as_one_object_at_a_time(count, pairs):
    for seed in range(5):
        rows = drawn(seed, count, pairs)
        left, wanted = one_by_one(rows)
        found = within(rows, FIELDS, SEAMS)
        for field in FIELDS:
            assert found[field.name].dtype == rows[field.name].dtype, field.name
            if field.level == "object" and field.motion != "patches":
                values = np.reshape([one[field.name] for one in left.values()], (len(left), *field.shape))
                np.testing.assert_allclose(found[field.name], values, rtol=1e-6, err_msg=field.name)
        before = np.array([*left, -1])
        told = [(*before[pair].tolist(), verb) for pair, verb in zip(found["pairs"], found["verbs"].tolist())]
        assert told == wanted


def test_nothing_is_cut_without_seams():
    rows = drawn(0, 6, 0)
    found = within(rows, FIELDS, OPEN)
    assert all(np.array_equal(found[name], rows[name]) for name in rows if name not in ("pairs", "verbs"))


def test_patches_show_the_part_that_is_left():
    """A box whose left half is the object's: of its left half all, of its right half nothing, of its middle half."""
    values = np.zeros((3, 8, 8), np.float32)
    values[:, :, :4] = 1
    boxes = np.float32([[0, 0, 16, 8]] * 3)
    parts = np.float32([[0, 0, 7, 4], [9, 0, 16, 8], [4, 2, 12, 8]])
    left, right, middle = resampled(values, boxes, parts)
    assert (left == 1).all() and (right == 0).all()
    np.testing.assert_array_equal(middle > 0.5, np.arange(8) < 4 + np.zeros((8, 1)))


def test_numbers_count_on():
    images = [drawn(seed, count, 4) for seed, count in enumerate((3, 0, 2))]
    images[1] = within(images[1], FIELDS, OPEN)  # nobody, and so no pairs
    found = joined(images, FIELDS)
    for field in FIELDS:
        first, _, last = (rows[field.name] for rows in images)
        if field.refers:
            last = np.where(last >= 0, last + 3, -1)
        assert np.array_equal(found[field.name], np.concatenate([first, last])), field.name
