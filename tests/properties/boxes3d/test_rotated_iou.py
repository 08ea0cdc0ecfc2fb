"""Overlaps of turned boxes, against polygons cut edge by edge."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centernet_tf.properties.boxes3d.rotated_iou import boxes3d_iou, may_touch

CUBE = [1.0, 1, 1, 0, 0, 0, 0]


def corners(box):
    """Outline in x and z from the definition: rotate about y, then move."""
    _, width, length, x, _, z, turn = box
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    flat = np.array([[length, width], [length, -width], [-length, -width], [-length, width]]) / 2
    return flat @ rotation.T + [x, z]


def area(polygon):
    total = 0.0
    for (x, y), (u, v) in zip(polygon, polygon[1:] + polygon[:1]):
        total += x * v - y * u
    return total / 2


def cut(polygon, start, end):
    """Keeps what lies left of the line from start to end (Sutherland and Hodgman)."""
    kept = []
    side = [(end[0] - start[0]) * (p[1] - start[1]) - (end[1] - start[1]) * (p[0] - start[0]) for p in polygon]
    for here, after, a, b in zip(polygon, polygon[1:] + polygon[:1], side, side[1:] + side[:1]):
        if a >= 0:
            kept.append(here)
        if (a < 0) != (b < 0):
            kept.append(tuple(np.array(here) + a / (a - b) * (np.array(after) - here)))
    return kept


def slow(first, second):
    shapes = [[tuple(point) for point in corners(box)] for box in (first, second)]
    shapes = [shape if area(shape) > 0 else shape[::-1] for shape in shapes]
    polygon = shapes[0]
    for start, end in zip(shapes[1], shapes[1][1:] + shapes[1][:1]):
        polygon = cut(polygon, start, end) if polygon else []
    common = area(polygon) if polygon else 0.0
    ground = common / (first[1] * first[2] + second[1] * second[2] - common)
    low, high = min(first[4], second[4]), max(first[4] - first[0], second[4] - second[0])
    volume = common * max(low - high, 0)
    return ground, volume / (np.prod(first[:3]) + np.prod(second[:3]) - volume)


def random_boxes(random, count):
    boxes = random.uniform(0.5, 4, (count, 7))
    boxes[:, 6] = random.uniform(-4, 4, count)
    return boxes


def test_against_cut_polygons():
    random = np.random.default_rng(0)
    first, second = random_boxes(random, 500), random_boxes(random, 500)
    second[::5, 6] = first[::5, 6] + np.pi / 2 * random.integers(0, 4, 100)  # parallel edges
    second[::10, 3:6] = first[::10, 3:6]
    expected = np.array([slow(*pair) for pair in zip(first, second)])
    ground, has_box3d = boxes3d_iou(first, second)
    np.testing.assert_allclose(np.stack([ground, has_box3d], axis=-1), expected, atol=1e-12)
    assert (ground > 0).sum() > 200


@pytest.mark.parametrize(
    ("change", "ground", "has_box3d"),
    [
        ({}, 1, 1),
        ({6: np.pi / 2}, 1, 1),
        ({6: np.pi}, 1, 1),
        ({3: 0.5}, 1 / 3, 1 / 3),
        ({5: 1.0}, 0, 0),
        ({4: 0.5}, 1, 1 / 3),
        ({4: 2.0}, 1, 0),
        ({1: 0.5, 2: 0.5}, 0.25, 0.25),
        ({6: np.pi / 4}, 2 * (2**0.5 - 1) / (2 - 2 * (2**0.5 - 1)), 2 * (2**0.5 - 1) / (2 - 2 * (2**0.5 - 1))),
        ({3: np.nan}, 0, 0),
        ({0: 0.0, 1: 0.0}, 0, 0),
    ],
)
def test_known_overlaps(change, ground, has_box3d):
    other = np.array(CUBE)
    for index, value in change.items():
        other[index] = value
    for pair in ((CUBE, other), (other, CUBE)):
        np.testing.assert_allclose(
            np.ravel(boxes3d_iou(*(np.array([box]) for box in pair))), [ground, has_box3d], atol=1e-12
        )


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0.2, 5), min_size=14, max_size=14), st.floats(-10, 10), st.floats(-50, 50))
def test_moving_and_turning_both_changes_nothing(numbers, turn, shift):
    first, second = np.array(numbers).reshape(2, 1, 7)
    before = boxes3d_iou(first, second)
    moved = []
    for box in (first.copy(), second.copy()):
        x, z = box[0, 3], box[0, 5]
        box[0, 3] = np.cos(turn) * x + np.sin(turn) * z + shift
        box[0, 5] = np.cos(turn) * z - np.sin(turn) * x
        box[0, 6] += turn
        moved.append(box)
    np.testing.assert_allclose(boxes3d_iou(*moved), before, atol=1e-9)
    np.testing.assert_allclose(boxes3d_iou(second, first), before, atol=1e-9)
    assert (np.array(before) <= 1 + 1e-9).all() and (np.array(before) >= 0).all()
    assert may_touch(first, second) or before[0] < 1e-12


def test_many_at_once():
    boxes = random_boxes(np.random.default_rng(1), 120_000)
    ground, has_box3d = boxes3d_iou(boxes, boxes)
    np.testing.assert_allclose(ground, 1, atol=1e-9)
    np.testing.assert_allclose(has_box3d, 1, atol=1e-9)


def test_no_pairs():
    ground, has_box3d = boxes3d_iou(np.zeros((0, 7)), np.zeros((0, 7)))
    assert ground.shape == has_box3d.shape == (0,)
