"""Trails reach back as far as they say, however long the video."""

import numpy as np
import pytest

from centernet_tf.properties.tracks.trails import Trails, draw_trails

BLACK = np.zeros((40, 200, 3), np.uint8)


def rows(*objects):
    """Boxes of 4 x 4 pixels around (x, y) with their identities."""
    boxes = np.array([[x - 2, y - 2, x + 2, y + 2] for x, y, _ in objects], np.float32).reshape(-1, 4)
    return {"boxes": boxes, "track_ids": np.array([number for _, _, number in objects], np.int64)}


def test_a_trail_runs_through_the_last_middles():
    trails = Trails(3)
    for x in (10, 50, 90, 130):
        drawn = trails(BLACK, rows((x, 20, 1)))
    lit = drawn[20].any(axis=-1)
    assert lit[52:129].all() and not lit[:48].any() and not lit[134:].any()
    assert not BLACK.any()


def test_who_is_gone_leaves_no_trail():
    trails = Trails(3)
    for x in (10, 30):
        trails(BLACK, rows((x, 20, 1)))
    seen = [trails(BLACK, rows()).any() for _ in range(4)]
    assert seen[0] and not seen[-1]


@pytest.mark.parametrize("objects", [[], [(10, 20, -1)]])
def test_nobody_has_no_trail(objects):
    assert not Trails()(BLACK, rows(*objects)).any()


def test_a_long_video_takes_no_more_memory():
    trails = Trails(5)
    for number in range(300):
        trails(BLACK, rows((number % 200, 20, number), (20, 10, 0)))
    assert len(trails._trails) <= 6 and all(len(one) <= 5 for one in trails._trails.values())


def test_boxes_far_outside_do_no_harm():
    trails = Trails()
    for x in (1e9, -1e9):
        trails(BLACK, rows((x, 20, 1)))


def test_trails_of_frames_at_once_are_those_of_one_after_the_other():
    frames = [rows((10 + 9 * step, 20, 1), (150 - 5 * step, 30, 2)) for step in range(5)]
    trails = Trails(5)
    for frame in frames:
        expected = trails(BLACK, frame)
    np.testing.assert_array_equal(draw_trails(BLACK, frames), expected)
    # Frames whose identities could not be read are left out.
    np.testing.assert_array_equal(
        draw_trails(BLACK, [*frames[:2], {"boxes": frames[2]["boxes"]}, *frames[2:]]), expected
    )
    assert not draw_trails(BLACK, []).any()
