import numpy as np
import pytest

from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.draw import COLORS, draw_keypoints
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.properties.property import Look

ARMS = Skeleton(keypoints=("head", "left", "right"), flip_pairs=((1, 2),), limbs=((0, 1), (0, 2)))
POINTS = np.array([[[50, 20], [80, 60], [20, 60]]], float)


def grey():
    return np.full((100, 120, 3), 127, np.uint8)


def test_keypoints_have_the_colour_of_their_side():
    image = grey()
    drawn = draw_keypoints(image, POINTS, None, ARMS)
    for (x, y), color in zip(POINTS[0].astype(int), COLORS):
        np.testing.assert_array_equal(drawn[y, x], color)
    assert (drawn[40, 65] != 127).any() and (drawn[40, 35] != 127).any()
    assert (image == 127).all()


def test_unsure_keypoints_fade_and_those_of_score_zero_are_left_out():
    full, faint, none = (draw_keypoints(grey(), POINTS, np.full((1, 3), score), ARMS) for score in (1, 0.1, 0))
    change = [np.abs(drawn.astype(int) - 127).sum() for drawn in (full, faint, none)]
    assert change[0] > change[1] * 1.3 > 0 and change[2] == 0
    one_missing = draw_keypoints(grey(), POINTS, np.array([[1, 1, 0]]), ARMS)
    assert (one_missing[60, 20] == 127).all() and (one_missing[40, 35] == 127).all()


def test_rows_found_and_annotated_are_drawn():
    look = Look(["person"], np.uint8([[255, 0, 0]]))
    found = {"keypoints": POINTS, "keypoint_scores": np.array([[0.9, 0.1, 0]])}
    annotated = {"keypoints": POINTS, "keypoint_labels": np.array([[2, 1, 0]])}
    for rows, scores in ((found, found["keypoint_scores"]), (annotated, np.array([[1, 0.1, 0]]))):
        drawn = Keypoints(skeleton=ARMS).draw(grey(), rows, look)
        np.testing.assert_array_equal(drawn, draw_keypoints(grey(), POINTS, scores, ARMS))


def test_without_skeleton_points_are_drawn():
    drawn = draw_keypoints(grey(), POINTS)
    assert (drawn[60, 20] == COLORS[0]).all() and (drawn[40, 65] == 127).all()


@pytest.mark.parametrize("points", [[[-9e9, 5], [5, 9e9], [60, -70]], [[200, 200], [0, 0], [119, 99]]])
def test_keypoints_outside_are_cut(points):
    assert draw_keypoints(grey(), np.array([points]), None, ARMS).shape == (100, 120, 3)


def test_nobody_leaves_a_copy():
    image = grey()
    drawn = draw_keypoints(image, np.zeros((0, 3, 2)), np.zeros((0, 3)), ARMS)
    np.testing.assert_array_equal(drawn, image)
    assert drawn is not image


@pytest.mark.parametrize(
    ("keypoints", "scores", "words"),
    [
        (POINTS[:, :2], None, "keypoints .1, 2, 2. and scores"),
        (POINTS, np.ones((1, 2)), "for 3 keypoints each"),
        (POINTS * np.nan, None, "NaN"),
    ],
)
def test_wrong_keypoints_are_refused(keypoints, scores, words):
    with pytest.raises(ValueError, match=words):
        draw_keypoints(grey(), keypoints, scores, ARMS)
