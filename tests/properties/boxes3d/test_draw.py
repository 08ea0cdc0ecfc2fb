import numpy as np
import pytest

from centernet_tf.geometry.camera import corners, project
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.properties.boxes3d.draw import REACH, STEPS, birds_eye, draw_boxes3d
from centernet_tf.properties.property import Look

CAMERA = np.array([[200, 0, 80, 4], [0, 200, 50, 0], [0, 0, 1, 0.01]], np.float32)
NOTHING = np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0)
CAR = np.array([[0.5, 1.6, 9.0]]), np.array([[1.5, 1.7, 4.0]]), np.array([0.4])


def grey(height=100, width=160):
    return np.full((height, width, 3), 127, np.uint8)


def changed(drawn):
    return np.argwhere((drawn != 127).any(axis=-1))


def test_nothing_leaves_a_copy():
    image = grey()
    drawn = draw_boxes3d(image, *NOTHING, CAMERA)
    np.testing.assert_array_equal(drawn, image)
    assert drawn is not image
    assert birds_eye(*NOTHING, side=200).shape == (200, 200, 3)


@pytest.mark.parametrize("rotation", np.linspace(-3, 3, 7))
def test_lines_reach_just_to_the_projected_corners(rotation):
    image = grey()
    places, sizes, _ = CAR
    drawn = draw_boxes3d(image, places, sizes, np.array([rotation]), CAMERA)
    pixels = project(corners(places, sizes, np.array([rotation]))[0], np.float64(CAMERA))
    rows = changed(drawn)
    np.testing.assert_allclose(rows.min(axis=0)[::-1] + 0.5, pixels.min(axis=0), atol=1.6)
    np.testing.assert_allclose(rows.max(axis=0)[::-1] + 0.5, pixels.max(axis=0), atol=1.6)
    assert (image == 127).all()


@pytest.mark.parametrize(("rotation", "crossed"), [(np.pi / 2, True), (0.0, False)])
def test_the_front_is_crossed(rotation, crossed):
    # Straight ahead; at 90 degrees the front faces the camera, at 0 a side does.
    sizes = np.array([[2.0, 2.0, 2.0]])
    drawn = draw_boxes3d(grey(), np.array([[-0.02, 1.0, 8.0]]), sizes, np.array([rotation]), CAMERA)
    middle = project(np.array([[-0.02, 0.0, 7.0]]), np.float64(CAMERA))[0].astype(int)
    near = drawn[middle[1] - 1 : middle[1] + 2, middle[0] - 1 : middle[0] + 2]
    assert (near != 127).any() == crossed


def test_boxes_around_the_camera_are_cut_and_those_beside_it_left_out():
    long = np.array([[2.0, 2.0, 12.0]])
    drawn = draw_boxes3d(grey(), np.array([[0.0, 1.5, 4.0]]), long, np.array([np.pi / 2]), CAMERA)
    assert len(changed(drawn))
    for depth in (0.9, -5.0):
        hidden = draw_boxes3d(grey(), np.array([[0.0, 1.5, depth]]), long, np.array([0.3]), CAMERA, ["bus"])
        assert not len(changed(hidden))
    aside = draw_boxes3d(grey(), np.array([[500.0, 1.5, 9.0]]), long, np.array([0.3]), CAMERA, ["bus"])
    assert not len(changed(aside))


def test_labels_are_written():
    plain, named = (draw_boxes3d(grey(), *CAR, CAMERA, labels) for labels in (None, ["car 9.0 m"]))
    assert (plain != named).any()


@pytest.mark.parametrize("reach", [20.0, REACH])
def test_the_map_shows_places_in_metres(reach):
    places, sizes, turns = np.array([[-4.0, 1.6, 12.0]]), np.array([[1.5, 2.0, 4.0]]), np.array([0.0])
    empty = birds_eye(*NOTHING, side=400, reach=reach)
    rows = np.argwhere((birds_eye(places, sizes, turns, side=400, reach=reach) != empty).any(axis=-1))
    low, high = (rows.min(axis=0) + 0.5) * reach / 400, (rows.max(axis=0) + 0.5) * reach / 400
    slack = 5 * reach / 400
    np.testing.assert_allclose([reach / 2 - 6, reach / 2 - 2], [low[1], high[1]], atol=slack)
    np.testing.assert_allclose([reach - 13, reach - 11], [low[0], high[0]], atol=slack)
    # The front, at x = -2, is thick.
    columns = np.bincount(rows[:, 1])
    assert (columns[-4:-1] > 0.8 * (rows[:, 0].max() - rows[:, 0].min())).all()


def test_the_map_reaches_as_far_as_the_boxes():
    def far(depth):
        return birds_eye(np.array([[0.0, 1.6, depth]]), np.array([[1.5, 1.7, 4.0]]), np.zeros(1), side=300)

    for depth, step in ((10, STEPS[0]), (40, STEPS[2])):
        fixed = birds_eye(np.array([[0.0, 1.6, depth]]), np.array([[1.5, 1.7, 4.0]]), np.zeros(1), side=300, reach=step)
        np.testing.assert_array_equal(far(depth), fixed)
    assert far(9000).shape == (300, 300, 3)


def test_truth_lies_filled_below():
    drawn = birds_eye(*NOTHING, truth=CAR, side=300, reach=16)
    empty = birds_eye(*NOTHING, side=300, reach=16)
    assert (drawn != empty).any(axis=-1).sum() > 0.8 * 1.7 * 4.0 * (300 / 16) ** 2


def rows(**changes):
    """Two cars, of which the second has no 3D box."""
    values = {
        "boxes": np.array([[10.0, 10, 20, 20]] * 2),
        "has_box3d": np.array([True, False]),
        "locations": np.concatenate([CAR[0], np.zeros((1, 3))]),
        "dimensions": np.concatenate([CAR[1], np.zeros((1, 3))]),
        "rotations": np.array([0.4, 0]),
        "camera": CAMERA,
    }
    return {**values, **changes}


LOOK = Look(["car", "van"], np.uint8([[255, 0, 0], [0, 255, 0]]))


def test_the_known_boxes_of_rows_are_drawn_with_their_distance():
    found = Boxes3d()
    assert found.outlined(rows()).tolist() == [True, False]
    labels = found.labels(LOOK.labels, rows())
    assert labels == ["car 9.0 m", "van"]
    assert found.labels(["", "van"], rows()) == ["", "van"]
    drawn = found.draw(grey(), rows(), Look(labels, LOOK.colors))
    np.testing.assert_array_equal(drawn, draw_boxes3d(grey(), *CAR, CAMERA, labels[:1], LOOK.colors[:1]))
    view = found.panel(rows(), LOOK, 200)
    np.testing.assert_array_equal(view, birds_eye(*CAR, LOOK.colors[:1], side=200))


def test_without_a_camera_nothing_is_drawn():
    flat = rows()
    del flat["camera"]
    found = Boxes3d()
    assert found.outlined(flat) is None and found.panel(flat, LOOK, 200) is None
    assert found.labels(LOOK.labels, flat) == LOOK.labels
    np.testing.assert_array_equal(found.draw(grey(), flat, LOOK), grey())


def test_ground_truth_lies_below_without_ignored_objects():
    truth = rows(ignored=np.array([False, False]))
    both = Boxes3d().panel(rows(), Look(LOOK.labels, LOOK.colors, truth), 200)
    np.testing.assert_array_equal(both, birds_eye(*CAR, LOOK.colors[:1], side=200, truth=CAR))
    none = Look(LOOK.labels, LOOK.colors, rows(ignored=np.array([True, False])))
    np.testing.assert_array_equal(Boxes3d().panel(rows(), none, 200), birds_eye(*CAR, LOOK.colors[:1], side=200))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: draw_boxes3d(grey(), CAR[0], CAR[1], np.zeros(2), CAMERA), "2 rotations"),
        (lambda: draw_boxes3d(grey(), CAR[0] * np.nan, *CAR[1:], CAMERA), "NaN"),
        (lambda: draw_boxes3d(grey(), *CAR, CAMERA[:, :3]), "expected finite numbers .3, 4."),
        (lambda: draw_boxes3d(grey(), *CAR, CAMERA, []), "0 labels for 1 boxes"),
        (lambda: birds_eye(*CAR, truth=(CAR[0], CAR[1], np.zeros(0))), "0 rotations"),
    ],
)
def test_wrong_boxes_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
