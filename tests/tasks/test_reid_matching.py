"""Pairs of tracks and objects: the original's, and all choices tried one by one."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from centernet_tf.tasks.reid import matching


def test_equals_the_original(golden):
    arrays, meta = golden("matching_fm")
    differ = 0
    for number, limit in enumerate(meta["limits"]):
        cost, expected = arrays[f"cost_{number}"], arrays[f"match_{number}"].tolist()
        assert matching.assign(cost, limit).tolist() == expected, number
        differ += afterwards(cost, limit) != expected
    assert len(meta["limits"]) == meta["number"] and differ == meta["differ_from_hungarian_then_drop"] > 0
    np.testing.assert_allclose(matching.overlaps(arrays["iou_a"], arrays["iou_b"]), arrays["iou"], rtol=1e-6)


def afterwards(cost, limit):
    """The cheapest choice of all, with dear pairs dropped: what `assign` is not."""
    rows, columns = linear_sum_assignment(np.minimum(cost, 1e6))
    match = np.full(len(cost), -1)
    kept = cost[rows, columns] <= limit
    match[rows[kept]] = columns[kept]
    return match.tolist()


def total(cost, match, limit):
    """What a choice costs, single rows and columns at half the limit each."""
    pairs = sum(cost[row, column] for row, column in enumerate(match) if column >= 0)
    taken = sum(column >= 0 for column in match)
    return pairs + (len(cost) + cost.shape[1] - 2 * taken) * limit / 2


def cheapest(cost, limit):
    """Of all choices, tried one by one."""
    return min(
        total(cost, match, limit)
        for match in itertools.product(range(-1, cost.shape[1]), repeat=len(cost))
        if len(taken := [column for column in match if column >= 0]) == len(set(taken))
    )


@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 10**6), st.floats(0.1, 1))
@settings(deadline=None, max_examples=150)
def test_nothing_is_cheaper(rows, columns, seed, limit):
    random = np.random.default_rng(seed)
    cost = random.random((rows, columns)).round(1 if seed % 2 else 6)
    cost[random.random(cost.shape) < 0.2] = np.inf
    match = matching.assign(cost, limit)
    taken = match[match >= 0].tolist()
    assert len(taken) == len(set(taken)) and all(cost[row, match[row]] < limit for row in np.flatnonzero(match >= 0))
    assert total(cost, match, limit) == pytest.approx(cheapest(cost, limit))


def padded(cost, limit):
    """The same as one square problem: each row and column may choose a partner of its own at half the limit."""
    rows, columns = cost.shape
    square = np.full((rows + columns, rows + columns), limit / 2)
    square[:rows, :columns], square[rows:, columns:] = np.minimum(cost, 1e6), 0
    match = linear_sum_assignment(square)[1][:rows]
    return np.where(match < columns, match, -1).tolist()


@pytest.mark.parametrize("seed", range(20))
def test_equals_the_padded_square(seed):
    random = np.random.default_rng(seed)
    cost = random.random(random.integers(1, 40, 2))
    cost[random.random(cost.shape) < 0.3] = np.inf
    for limit in (0.1, 0.4, 0.9):
        assert matching.assign(cost, limit).tolist() == padded(cost, limit)


def test_a_cheap_pair_is_kept():
    # The cheapest whole choice is the other one, 0.4 and 0.7, of which one is too dear.
    cost = np.array([[0.1, 0.4], [0.7, np.inf]])
    assert matching.assign(cost, 0.5).tolist() == [0, -1]
    assert matching.assign(cost, 1.1).tolist() == [1, 0]
    assert afterwards(cost, 0.5) == [1, -1]


def test_of_nobody_and_of_what_is_no_number():
    assert matching.assign(np.zeros((0, 3)), 1).tolist() == []
    assert matching.assign(np.zeros((2, 0)), 1).tolist() == [-1, -1]
    assert matching.assign(np.full((2, 2), np.inf), 1).tolist() == [-1, -1]
    assert matching.assign(np.array([[np.nan, 0.2], [0.1, np.nan]]), 1).tolist() == [1, 0]
    none = np.zeros((0, 4))
    assert matching.overlaps(none, np.ones((2, 4))).shape == matching.cosine_distances(none, np.ones((2, 4))).shape


def test_cosine_distances_are_of_directions():
    vectors = np.array([[1, 0], [0, 1], [-1, 0], [0.6, 0.8]], np.float32)
    expected = [[0, 1, 2, 0.4], [1, 0, 1, 0.2], [2, 1, 0, 1.6], [0.4, 0.2, 1.6, 0]]
    np.testing.assert_allclose(matching.cosine_distances(vectors, vectors), expected, atol=1e-6)
    assert (matching.cosine_distances(vectors * 1.001, vectors) >= 0).all()


def test_fused_distances_stop_at_the_gate():
    fused = matching.fuse(np.array([[0.1, 0.1, 0.5]]), np.array([[9.4, 9.6, 0]]), 0.98, 9.4877)
    np.testing.assert_allclose(fused, [[0.286, np.inf, 0.49]])


@pytest.mark.parametrize(
    ("second", "iou"),
    [
        ([0, 0, 9, 9], 1),
        ([10, 0, 19, 9], 0),  # the next pixel
        ([9, 0, 18, 9], 10 / 190),  # one column of pixels is both's
        ([0, 0, 4, 9], 0.5),
        ([3, 3, 3, 3], 0.01),  # one pixel
    ],
)
def test_overlaps_count_pixels(second, iou):
    assert matching.overlaps(np.array([[0, 0, 9, 9.0]]), np.array([second, second], float)).tolist() == [[iou, iou]]
