import numpy as np
import pytest

from centernet_tf.geometry.boxes import areas, box_iou, paired_iou


def slow_iou(one, other, pixel):
    def side(low, high):
        return max(high - low + pixel, 0)

    def area(box):
        return side(box[0], box[2]) * side(box[1], box[3])

    common = side(max(one[0], other[0]), min(one[2], other[2])) * side(max(one[1], other[1]), min(one[3], other[3]))
    union = area(one) + area(other) - common
    return common / union if union > 0 else 0.0


@pytest.mark.parametrize("first, second", [(0, 0), (0, 3), (3, 0)])
def test_empty(first, second):
    assert areas(np.zeros((0, 4))).shape == (0,)
    assert box_iou(np.zeros((first, 4)), np.zeros((second, 4))).shape == (first, second)
    assert paired_iou(np.zeros((first, 4)), np.zeros(4)).shape == (first,)
    assert paired_iou(np.zeros((first, 1, 4)), np.zeros((second, 4))).shape == (first, second)
    assert paired_iou(np.zeros(4), np.zeros(4)).shape == ()


@pytest.mark.parametrize(
    "box, pixel, area",
    [([0, 0, 4, 5], 0, 20), ([0, 0, 4, 5], 1, 30), ([3, 3, 3, 3], 0, 0), ([3, 3, 3, 3], 1, 1), ([5, 0, 4, 9], 0, 0)],
)
def test_areas(box, pixel, area):
    assert areas(np.array([box], float), pixel).tolist() == [area]


@pytest.mark.parametrize(
    "one, other, pixel, expected",
    [
        ([0, 0, 10, 10], [0, 0, 10, 10], 0, 1),
        ([0, 0, 10, 10], [5, 0, 15, 10], 0, 1 / 3),
        ([0, 0, 10, 10], [10, 0, 20, 10], 0, 0),
        ([0, 0, 9, 9], [9, 0, 18, 9], 1, 10 / 190),
        ([0, 0, 10, 10], [20, 20, 30, 30], 0, 0),
        ([1, 1, 1, 1], [1, 1, 1, 1], 0, 0),
        ([1, 1, 1, 1], [1, 1, 1, 1], 1, 1),
        ([0, 0, 10, 10], [2, 2, 4, 4], 0, 0.04),
    ],
)
def test_overlaps(one, other, pixel, expected):
    value = box_iou(np.array([one], float), np.array([other], float), pixel)
    np.testing.assert_allclose(value, [[expected]])


@pytest.mark.parametrize("pixel", [0.0, 1.0])
def test_overlaps_equal_the_slow_twin(pixel):
    random = np.random.default_rng(0)
    first, second = (random.uniform(0, 40, (count, 4)) for count in (60, 50))
    first[:40, 2:] += first[:40, :2]
    second[:40, 2:] += second[:40, :2]
    expected = [[slow_iou(one, other, pixel) for other in second] for one in first]
    value = box_iou(first, second, pixel)
    np.testing.assert_allclose(value, expected, atol=1e-12)
    np.testing.assert_allclose(value, box_iou(second, first, pixel).T, atol=1e-12)
    np.testing.assert_allclose(value, paired_iou(first[:, None], second[None], pixel), atol=1e-12)
    assert paired_iou(first.astype(np.float32), first[0].astype(np.float32)).dtype == np.float32
    whole = paired_iou(first.astype(int), first.astype(int)[::-1], pixel)
    np.testing.assert_allclose(whole, paired_iou(np.trunc(first), np.trunc(first)[::-1], pixel))
    assert value.max() <= 1 and value.min() >= 0
