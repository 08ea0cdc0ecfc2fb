"""A Kalman filter of boxes that keep their velocity, for all tracks at once.

Of SORT with a Deep Association Metric (Wojke et al., 2017), section 2.1, with the noise of FairMOT's code. A state is
[8]: x and y of the middle, width / height and height of a box, then how much each changes from frame to frame. A
measurement is the first four. Pixels of the image, but for width / height, which has no unit; all in float64.
"""

from typing import Literal

import numpy as np

# 95 % of measurements of the same object are within this squared distance, by how many numbers are compared.
GATES = {2: 5.9915, 4: 9.4877}

_PLACE, _PACE = 1 / 20, 1 / 160  # standard deviations of place and of velocity, in heights of the object
_ASPECT, _ASPECT_PACE, _ASPECT_MEASURED = 1e-2, 1e-5, 1e-1  # and of width / height, which a height says nothing of
_MOVE = np.eye(8) + np.eye(8, k=4)  # one frame: each number and its velocity


def initiate(measurements: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """States of objects that are seen for the first time.

    Args:
        measurements: [N, 4].

    Returns:
        mean [N, 8], velocities 0; covariance [N, 8, 8].
    """
    measured = np.asarray(measurements, np.float64).reshape(-1, 4)
    variance = _variances(measured[:, 3], 2 * _PLACE, 10 * _PACE)
    return np.concatenate([measured, np.zeros_like(measured)], axis=1), variance[:, :, None] * np.eye(8)


def predict(mean: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """States one frame later; [N, 8] and [N, 8, 8] in, the same out."""
    noise = _variances(mean[:, 3], _PLACE, _PACE)[:, :, None] * np.eye(8)
    return mean @ _MOVE.T, _MOVE @ covariance @ _MOVE.T + noise


def project(mean: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What would be measured: [N, 4] and, with the noise of measuring, [N, 4, 4]."""
    noise = _variances(mean[:, 3], _PLACE, _PACE)[:, :4]
    noise[:, 2] = _ASPECT_MEASURED**2
    return mean[:, :4], covariance[:, :4, :4] + noise[:, :, None] * np.eye(4)


def update(mean: np.ndarray, covariance: np.ndarray, measurements: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """States of objects that were measured.

    Args:
        mean: [N, 8] predicted.
        covariance: [N, 8, 8].
        measurements: [N, 4], one of each.

    Returns:
        mean [N, 8], covariance [N, 8, 8].
    """
    expected, spread = project(mean, covariance)
    gain = np.linalg.solve(spread, covariance[:, :4]).swapaxes(1, 2)
    corrected = mean + (gain @ (measurements - expected)[:, :, None])[:, :, 0]
    return corrected, covariance - gain @ spread @ gain.swapaxes(1, 2)


def distances(
    mean: np.ndarray,
    covariance: np.ndarray,
    measurements: np.ndarray,
    position_only: bool = False,
    metric: Literal["maha", "gaussian"] = "maha",
) -> np.ndarray:
    """How far each measurement is from what each track would be measured as.

    Args:
        mean: [M, 8] predicted.
        covariance: [M, 8, 8].
        measurements: [N, 4].
        position_only: Compare the middles alone.
        metric: "maha", Mahalanobis, in standard deviations, to be compared with `GATES`; "gaussian", Euclidean.

    Returns:
        [M, N] squared.
    """
    used = 2 if position_only else 4
    expected, spread = project(mean, covariance)
    apart = np.asarray(measurements, np.float64).T[None, :used] - expected[:, :used, None]
    weighted = apart if metric == "gaussian" else np.linalg.inv(spread[:, :used, :used]) @ apart
    return (apart * weighted).sum(axis=1)


def measurements_of(boxes: np.ndarray) -> np.ndarray:
    """[N, 4] measurements of boxes [N, 4] left, top, right, bottom that have a height."""
    sides = boxes[:, 2:] - boxes[:, :2]
    middle = boxes[:, :2] + sides / 2
    return np.stack([middle[:, 0], middle[:, 1], sides[:, 0] / sides[:, 1], sides[:, 1]], axis=1)


def boxes_of(mean: np.ndarray) -> np.ndarray:
    """[N, 4] left, top, right, bottom of states [N, 8] or measurements [N, 4]."""
    sides = np.stack([mean[:, 2] * mean[:, 3], mean[:, 3]], axis=1)
    corner = mean[:, :2] - sides / 2
    return np.concatenate([corner, corner + sides], axis=1)


def _variances(heights: np.ndarray, place: float, pace: float) -> np.ndarray:
    """[N, 8] of states, by factors of the height."""
    deviations = heights[:, None] * np.array([place] * 4 + [pace] * 4)
    deviations[:, 2], deviations[:, 6] = _ASPECT, _ASPECT_PACE
    return deviations**2
