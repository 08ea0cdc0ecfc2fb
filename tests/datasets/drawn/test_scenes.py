"""Rendered objects: repeatable, and exactly where their labels and the camera say."""

import dataclasses

import cv2
import numpy as np
import pytest

from centernet_tf.datasets.drawn.raycast import FINE, render
from centernet_tf.datasets.drawn.scenes import CLASSES, FAR, draw_view, read
from centernet_tf.datasets.drawn.yard import (
    GROUND,
    Thing,
    Yard,
    choose_camera,
    corners_of,
    place_objects,
    projected_box,
)
from centernet_tf.errors import UsageError
from centernet_tf.geometry.camera import alpha_to_rotation, corners, project, unproject
from centernet_tf.properties.boxes3d import Boxes3d

SIZE = (96, 160)
EMPTY = Yard(objects=(0, 0))


def alone(number):
    """One object somewhere in the image, the camera, and what was rendered."""
    rng = np.random.default_rng(number)
    camera = choose_camera(rng, SIZE)
    objects = []
    while not objects:
        objects = place_objects(rng, camera, SIZE, Yard(objects=(1, 1), outside=0.0, far=0.0))
    return objects, camera, render(rng, camera, SIZE, objects, np.full((1, 3), 200, np.float32), haze=0.0)


def test_an_empty_yard_gives_empty_arrays():
    view = draw_view(0, SIZE, EMPTY)
    assert view.image.shape == (*SIZE, 3) and view.image.dtype == np.uint8
    assert view.boxes.shape == (0, 4) and view.columns.shape == (0, 8) and view.names == ()
    assert view.camera.shape == (3, 4) and view.occluded.shape == view.truncated.shape == view.ignored.shape == (0,)


def test_same_seed_same_image():
    first, second = draw_view((3, 1), SIZE), draw_view((3, 1), SIZE)
    for field in dataclasses.fields(first):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name))
    assert not np.array_equal(first.image, draw_view((3, 2), SIZE).image)


@pytest.mark.parametrize("number", range(16))
def test_projected_corners_bound_the_rendered_pixels(number):
    (thing,), camera, rendered = alone(number)
    rows, columns = np.nonzero(rendered.owners)
    outer = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / FINE
    np.testing.assert_allclose(projected_box(thing, camera), outer, atol=1 / FINE)
    assert rendered.covered[0] == len(rows)
    # And the hull around all eight covers just these samples.
    hull = cv2.convexHull(project(corners_of(thing), np.float64(camera)).astype(np.float32))[:, 0]
    expected = np.zeros_like(rendered.owners)
    cv2.fillPoly(expected, [np.round((hull * FINE - 0.5) * 256).astype(np.int32)], 1, shift=8)
    seen = rendered.owners > 0
    assert (seen != (expected > 0)).sum() <= 2 * FINE * np.ptp(hull, axis=0).sum()


@pytest.mark.parametrize("kind", range(len(CLASSES)))
@pytest.mark.parametrize("turn", [0.0, np.pi])
def test_lamps_are_on_the_front(kind, turn):
    # At 90 degrees the length, whose end is the front, points back at the camera: see the order of the corners.
    thing = Thing(kind, np.array([0.0, GROUND, 9.0]), np.array([2.0, 2.0, 3.0]), np.pi / 2 + turn, far=False)
    camera = choose_camera(np.random.default_rng(0), SIZE, varied=0.0)
    assert (corners_of(thing)[:2, 2].mean() < 9) == (turn == 0)
    lamps = np.array([[side, GROUND - 1 + 0.35, 7.5] for side in (-0.7, 0.7)])
    image = render(np.random.default_rng(1), camera, SIZE, [thing], np.full((1, 3), 90, np.float32), 0.0).image
    for column, row in project(lamps, np.float64(camera)).astype(int):
        red, green, _ = image[row, column]
        assert (green > 0.8 * red) if turn == 0 else (green < 0.3 * red)


def test_labels_agree_with_the_camera():
    for number in range(10):
        view = draw_view((1, number), SIZE)
        known = np.isfinite(view.columns).all(axis=1)
        assert (known == [name != FAR for name in view.names]).all()
        assert (view.ignored | known).all() and ((view.classes >= 0) == known).all()
        alphas, places, turns = view.columns[known, 0], view.columns[known, 4:7], view.columns[known, 7]
        sizes = view.columns[known, 1:4]
        points = corners(places, sizes, turns)
        pixels = project(points, np.broadcast_to(view.camera, (len(points), 3, 4)))
        boxes = np.concatenate([pixels.min(axis=1), pixels.max(axis=1)], axis=1)
        np.testing.assert_allclose(boxes.clip(0, [160, 96, 160, 96]), view.boxes[known], atol=1e-2)
        middles = project(places - [[0, 0.5, 0]] * sizes[:, :1], view.camera)
        back = unproject(middles, places[:, 2] + view.camera[2, 3], view.camera)
        np.testing.assert_allclose(back + [[0, 0.5, 0]] * sizes[:, :1], places, atol=1e-3)
        np.testing.assert_allclose(np.cos(alpha_to_rotation(alphas, middles[:, 0], view.camera) - turns), 1, atol=1e-5)


@pytest.mark.parametrize("difficulty", [0.0, 1.0])
def test_labels_are_sound(difficulty):
    views = [draw_view((2, number), SIZE, Yard.at(difficulty)) for number in range(25)]
    for view in views:
        assert (view.boxes >= 0).all() and (view.boxes <= [160, 96, 160, 96]).all()
        assert (view.boxes[:, 2:] > view.boxes[:, :2]).all()
        assert (view.truncated >= 0).all() and (view.truncated <= Yard.at(difficulty).outside + 1e-6).all()
    occluded = np.concatenate([view.occluded for view in views])
    names = {name for view in views for name in view.names}
    assert names == {*CLASSES, FAR} and any(view.ignored.any() for view in views)
    assert (occluded == 0).mean() > 0.4 and occluded.any()
    assert (occluded.max() == 2) == (difficulty == 1)


def test_items_carry_everything():
    classes, items, properties = read(3, SIZE, seed=4, split="val")
    assert classes == CLASSES and properties == (Boxes3d(),) and len(items) == 3
    item = items[2]
    assert item.rows["camera"].shape == (3, 4) and len(item.names) == len(item.boxes)
    filled = Boxes3d().fill(item.rows, len(item.boxes))
    assert Boxes3d().faults(filled, SIZE[::-1]) == [None] * len(item.boxes) and filled["has_box3d"].any()
    assert not np.array_equal(item.source, read(3, SIZE, seed=4)[1][2].source)
    with pytest.raises(IndexError):
        items[3]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Yard(objects=(3, 1)), "fewest first"),
        (lambda: Yard(distances=(1, 20)), "from 5 to 200"),
        (lambda: Yard(hidden=2), "hidden 2 must be from 0 to 1"),
        (lambda: Yard(variety=0.9), "variety 0.9"),
        (lambda: Yard.at(1.1), "difficulty 1.1"),
        (lambda: draw_view(0, (32, 128)), "at least 64"),
        (lambda: read(0), "at least 1 image"),
    ],
)
def test_impossible_yards_are_refused(call, words):
    with pytest.raises(UsageError, match=words):
        call()
