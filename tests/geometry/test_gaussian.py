import math

import numpy as np
import pytest
from keras import ops

from centernet_tf.geometry import gaussian


def slow_radius(height, width, iou=0.7, corrected=False):
    """The three quadratics in float64."""

    def root(a, b, c, sign):
        root = math.sqrt(max(b * b - 4 * a * c, 0.0))
        return (b + sign * root) / (2 * a) if corrected else (b + root) / 2

    total, area = height + width, height * width
    one = root(1, total, area * (1 - iou) / (1 + iou), -1)
    two = root(4, 2 * total, (1 - iou) * area, -1)
    three = root(4 * iou, -2 * iou * total, (iou - 1) * area, +1)
    return min(one, two, three)


def radius(height, width, **settings):
    height, width = np.float32(height), np.float32(width)
    return ops.convert_to_numpy(
        gaussian.radius(ops.convert_to_tensor(height), ops.convert_to_tensor(width), **settings)
    )


def profile(centers, reaches, length):
    return ops.convert_to_numpy(gaussian.profile(np.float32(centers), np.float32(reaches), length))


@pytest.mark.parametrize(
    "height, width, expected, truncated",
    [
        (1, 1, 0.273320, 0),
        (5, 5, 1.366600, 1),
        (10, 10, 2.733201, 2),
        (16, 16, 4.373121, 4),
        (20, 40, 7.355851, 7),
        (32, 32, 8.746242, 8),
        (64, 64, 17.492483, 17),
        (100, 50, 18.389627, 18),
        (128, 128, 34.984967, 34),
        (3, 60, 1.682202, 1),
        (0, 0, 0, 0),
    ],
)
def test_radius_as_published(height, width, expected, truncated):
    value = radius([height], [width])
    np.testing.assert_allclose(value, [expected], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(slow_radius(height, width), expected, atol=5e-7)
    assert ops.convert_to_numpy(gaussian.whole(ops.convert_to_tensor(value))).tolist() == [truncated]


@pytest.mark.parametrize("corrected", [False, True])
def test_radius_equals_the_slow_twin(corrected):
    random = np.random.default_rng(0)
    height, width = random.uniform(0.01, 300, (2, 500)).astype(np.float32)
    expected = [slow_radius(float(h), float(w), corrected=corrected) for h, w in zip(height, width)]
    np.testing.assert_allclose(radius(height, width, corrected=corrected), expected, rtol=2e-4 if corrected else 2e-6)


def test_whole_radius_of_all_whole_sides():
    """float32 truncates to the same cell as float64 for every object on a grid of 300 x 300."""
    side = np.arange(1, 301)
    height, width = (values.ravel() for values in np.meshgrid(side, side))
    expected = [int(slow_radius(float(h), float(w))) for h, w in zip(height, width)]
    found = ops.convert_to_numpy(gaussian.whole(ops.convert_to_tensor(radius(height, width))))
    np.testing.assert_array_equal(found, expected)


def worst_iou(height, width, reach):
    """Least IoU of a box with one whose corners stray by `reach`: shifted, shrunk and grown."""
    common = max(height - reach, 0) * max(width - reach, 0)
    shifted = common / (2 * height * width - common)
    shrunk = max(height - 2 * reach, 0) * max(width - 2 * reach, 0) / (height * width)
    grown = height * width / ((height + 2 * reach) * (width + 2 * reach))
    return min(shifted, shrunk, grown)


@pytest.mark.parametrize("height, width", [(1, 1), (10, 10), (20, 40), (100, 50), (3, 60)])
@pytest.mark.parametrize("iou", [0.5, 0.7, 0.9])
def test_corrected_radius_keeps_the_overlap(height, width, iou):
    reach = float(radius(height, width, iou=iou, corrected=True))
    assert worst_iou(height, width, reach) == pytest.approx(iou, abs=1e-3)


def test_published_radius_is_larger():
    ratio = radius([64.0], [64.0]) / radius([64.0], [64.0], corrected=True)
    assert 3.3 < ratio[0] < 3.4


@pytest.mark.parametrize(
    "reach, expected",
    [
        (-1, [0, 0, 0, 0, 0, 0, 0]),
        (0, [0, 0, 0, 1, 0, 0, 0]),
        (1, [0, 0, 0.135335, 1, 0.135335, 0, 0]),
        (2, [0, 0.056135, 0.486752, 1, 0.486752, 0.056135, 0]),
        (3, [0.036658, 0.230066, 0.692569, 1, 0.692569, 0.230066, 0.036658]),
    ],
)
def test_profile(reach, expected):
    values = profile([3], [reach], 7)
    np.testing.assert_allclose(values, [expected], atol=1e-6)
    assert (values == 1).sum() == (reach >= 0)


@pytest.mark.parametrize("center, expected", [(0, [1, 0.135335, 0]), (2, [0, 0.135335, 1]), (5, [0, 0, 0])])
def test_profile_is_cut_at_the_border(center, expected):
    np.testing.assert_allclose(profile([center], [1], 3), [expected], atol=1e-6)


def test_corner_of_the_plane():
    rows = columns = profile([[1]], [[1]], 3)
    plane = ops.convert_to_numpy(gaussian.merge_planes(rows, columns, np.int32([[0]]), 1))
    np.testing.assert_allclose(plane[0, 0, 0, 0], 0.018316, atol=1e-6)


def test_merge_planes_of_no_objects():
    rows, columns = np.zeros((2, 0, 3), np.float32), np.zeros((2, 0, 4), np.float32)
    merged = ops.convert_to_numpy(gaussian.merge_planes(rows, columns, np.zeros((2, 0), np.int32), 5))
    np.testing.assert_array_equal(merged, np.zeros((2, 3, 4, 5)))


def test_merge_planes_equals_the_slow_twin():
    random = np.random.default_rng(0)
    rows, columns = random.random((3, 6, 4), np.float32), random.random((3, 6, 5), np.float32)
    classes = random.integers(0, 4, (3, 6)).astype(np.int32)
    rows[0, 0], columns[0, 0], classes[0, 0] = 0, 0, -1
    rows[1, 5], columns[1, 5], classes[1, 5] = 0, 0, 99
    expected = np.zeros((3, 4, 5, 4), np.float32)
    for image in range(3):
        for thing in range(6):
            channel = min(max(classes[image, thing], 0), 3)
            plane = np.outer(rows[image, thing], columns[image, thing])
            expected[image, :, :, channel] = np.maximum(expected[image, :, :, channel], plane)
    merged = ops.convert_to_numpy(gaussian.merge_planes(rows, columns, classes, 4))
    np.testing.assert_allclose(merged, expected, rtol=1e-6)
