"""The filter of boxes: the original's numbers, one track at a time, and what must hold of any filter."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from centernet_tf.tasks.reid import kalman


def assert_equal(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12)


def test_equals_the_original(golden):
    arrays, _ = golden("kalman_fm")
    mean, covariance = kalman.initiate(arrays["measurement"])
    assert_equal(mean, arrays["mean0"])
    assert_equal(covariance, arrays["covariance0"])
    mean, covariance = kalman.predict(arrays["mean"], covariance)
    assert_equal(mean, arrays["predicted_mean"])
    assert_equal(covariance, arrays["predicted_covariance"])
    expected, spread = kalman.project(mean, covariance)
    assert_equal(expected, arrays["projected_mean"])
    assert_equal(spread, arrays["projected_covariance"])
    measured = arrays["next_measurement"]
    for only, name in ((False, "all"), (True, "position")):
        for metric in ("maha", "gaussian"):
            told = kalman.distances(mean, covariance, measured, only, metric)
            np.testing.assert_allclose(told, arrays[f"gating_{name}_{metric}"], rtol=1e-6, atol=1e-9)
    mean, covariance = kalman.update(mean, covariance, measured)
    assert_equal(mean, arrays["updated_mean"])
    assert_equal(covariance, arrays["updated_covariance"])


def test_gates_are_quantiles(golden):
    _, meta = golden("kalman_fm")
    for count, gate in kalman.GATES.items():
        assert gate == meta["chi2_95"][str(count)]
        assert gate == pytest.approx(scipy.stats.chi2.ppf(0.95, count), abs=5e-4)


def test_of_nobody():
    mean, covariance = kalman.initiate(np.zeros((0, 4)))
    assert mean.shape == (0, 8) and covariance.shape == (0, 8, 8)
    mean, covariance = kalman.predict(mean, covariance)
    mean, covariance = kalman.update(mean, covariance, np.zeros((0, 4)))
    assert mean.shape == (0, 8) and covariance.shape == (0, 8, 8)
    assert kalman.distances(mean, covariance, np.ones((3, 4))).shape == (0, 3)
    assert kalman.boxes_of(mean).shape == kalman.measurements_of(np.zeros((0, 4))).shape == (0, 4)
    one = kalman.initiate(np.ones((1, 4)))
    assert kalman.distances(*one, np.zeros((0, 4))).shape == (1, 0)


def slow_distance(mean, covariance, measured, used):
    """Of one track and one measurement, by the triangle of its covariance."""
    noise = np.diag([mean[3] / 20, mean[3] / 20, 0.1, mean[3] / 20]) ** 2
    lower = np.linalg.cholesky((covariance[:4, :4] + noise)[:used, :used])
    return (scipy.linalg.solve_triangular(lower, (measured - mean[:4])[:used], lower=True) ** 2).sum()


def random_tracks(seed, count=6):
    """Of several frames, with covariances that join all numbers."""
    random = np.random.default_rng(seed)
    mean = random.uniform(20, 200, (count, 8))
    mean[:, 2], mean[:, 4:] = random.uniform(0.3, 3, count), random.normal(0, 3, (count, 4))
    factors = random.normal(0, 1, (count, 8, 8))
    return mean, factors @ factors.swapaxes(1, 2) + np.eye(8), mean[:, :4] + random.normal(0, 4, (count, 4))


@pytest.mark.parametrize("used", [2, 4])
def test_distances_are_those_of_single_pairs(used):
    mean, covariance, measured = random_tracks(used)
    told = kalman.distances(mean, covariance, measured, position_only=used == 2)
    slow = [[slow_distance(m, c, z, used) for z in measured] for m, c in zip(mean, covariance, strict=True)]
    np.testing.assert_allclose(told, slow, rtol=1e-9)


def test_update_is_that_of_single_tracks():
    mean, covariance, measured = random_tracks(1)
    corrected, narrowed = kalman.update(mean, covariance, measured)
    for row in range(len(mean)):
        noise = np.diag([mean[row, 3] / 20, mean[row, 3] / 20, 0.1, mean[row, 3] / 20]) ** 2
        sees = np.eye(4, 8)
        gain = covariance[row] @ sees.T @ np.linalg.inv(sees @ covariance[row] @ sees.T + noise)
        np.testing.assert_allclose(corrected[row], mean[row] + gain @ (measured[row] - mean[row, :4]), rtol=1e-9)
        np.testing.assert_allclose(narrowed[row], covariance[row] - gain @ sees @ covariance[row], atol=1e-8)


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=40)
def test_seeing_narrows_and_waiting_widens(seed):
    random = np.random.default_rng(seed)
    measured = random.uniform(5, 500, (4, 4))
    mean, covariance = kalman.initiate(measured)
    mean, wide = kalman.predict(mean, covariance)
    np.testing.assert_allclose(mean[:, :4], measured)
    assert (np.diagonal(wide, axis1=1, axis2=2) > np.diagonal(covariance, axis1=1, axis2=2)).all()
    narrow = kalman.update(mean, wide, measured + random.normal(0, 5, (4, 4)))[1]
    assert (np.linalg.eigvalsh(wide - narrow) > -1e-6).all() and (np.linalg.eigvalsh(narrow) > 0).all()


def test_velocity_is_learnt():
    measured = np.array([[100, 50, 0.5, 80]])
    state = kalman.initiate(measured)
    for _ in range(60):
        measured = measured + np.array([[4, -2, 0, 0]])
        state = kalman.update(*kalman.predict(*state), measured)
    np.testing.assert_allclose(state[0][0, 4:6], [4, -2], atol=0.01)
    np.testing.assert_allclose(kalman.predict(*state)[0][0, :2], measured[0, :2] + [4, -2], atol=0.1)


@given(st.lists(st.tuples(*[st.floats(-1e3, 1e3)] * 2, *[st.floats(0.1, 1e3)] * 2), max_size=5))
@settings(deadline=None, max_examples=50)
def test_boxes_come_back(rows):
    boxes = np.array(rows).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    np.testing.assert_allclose(kalman.boxes_of(kalman.measurements_of(boxes)), boxes, atol=1e-6)
