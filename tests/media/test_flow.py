"""Optical flow as pictures: what moves to the right is red, what moves down green."""

import cv2
import numpy as np
import pytest

from centernet_tf.media.flow import as_picture, flow_pictures


def ground(size=(64, 96)):
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def test_no_frames():
    assert list(flow_pictures([])) == []


@pytest.mark.parametrize(("right", "down"), [(0, 0), (3, 0), (-2, 0), (0, 2)])
def test_a_ground_that_moves(right, down):
    first = ground()
    frames = [np.roll(first, (step * down, step * right), axis=(0, 1)) for step in range(3)]
    pictures = list(flow_pictures(frames))
    assert len(pictures) == 3 and pictures[2] is pictures[1]
    for picture in pictures:
        assert picture.shape == (64, 96, 3) and picture.dtype == np.uint8
        inner = picture[16:-16, 16:-16].reshape(-1, 3)
        expected = [128 + 16 * right, 128 + 16 * down, 16 * np.hypot(right, down)]
        np.testing.assert_allclose(np.median(inner, axis=0), expected, atol=5)


def test_a_lone_frame_and_large_motion():
    (picture,) = flow_pictures([ground()])
    assert (picture == [128, 128, 0]).all()
    np.testing.assert_array_equal(as_picture(np.array([[[100.0, -100.0]]], np.float32)), [[[255, 0, 255]]])
