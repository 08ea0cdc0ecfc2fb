"""Which track is which object: distances of pairs, and the cheapest choice among them."""

import numpy as np

from centernet_tf.geometry.assignment import best_pairs
from centernet_tf.geometry.boxes import box_iou


def assign(cost: np.ndarray, limit: float) -> np.ndarray:
    """The cheapest choice of pairs, where leaving a row or a column single costs half the limit.

    That is not the cheapest choice of all with dear pairs dropped afterwards: a cheap pair is not given up so that
    others, which are then too dear, can be.

    Args:
        cost: [N, M]; infinite or not a number where a pair is forbidden.
        limit: Pairs are cheaper.

    Returns:
        [N] column of each row, -1 for none.
    """
    # A pair saves two halves. What saves nothing counts as nothing, so that no row has to stay single, and SciPy, which
    # takes no infinity, needs no further rows and columns.
    gain = np.where(cost < limit, cost - limit, 0.0)
    match = np.full(len(cost), -1)
    rows, columns = best_pairs(gain)
    kept = gain[rows, columns] < 0
    match[rows[kept]] = columns[kept]
    return match


def cosine_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[N, M], 0 for the same direction, 2 for opposite ones, of vectors of unit length [N, D] and [M, D]."""
    # Not by `@`: where all cores are busy, BLAS waits for its threads ten times as long as this takes.
    alike = np.einsum("nd,md->nm", first.astype(np.float64), second.astype(np.float64))
    return np.maximum(1 - alike, 0)


def fuse(appearance: np.ndarray, motion: np.ndarray, weight: float, gate: float) -> np.ndarray:
    """Joins how unlike objects look with how far they are from where they should be.

    Args:
        appearance: [N, M] cosine distances.
        motion: [N, M] squared Mahalanobis distances.
        weight: Of appearance; motion has the rest.
        gate: Pairs further apart than this are forbidden.

    Returns:
        [N, M], infinite where forbidden.
    """
    return np.where(motion > gate, np.inf, weight * appearance + (1 - weight) * motion)


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[N, M] IoU of boxes left, top, right, bottom that count the pixels of both edges, as FairMOT's code does.

    The width is right - left + 1, which decides pairs of small boxes.
    """
    return box_iou(first, second, pixel=1.0)
