"""Tubelets: the boxes of one object in K frames that follow one another. Which show the same, and what a frame shows.

A window of K frames slides over a video, so a frame is in up to K windows and has boxes of each. What is left out or
made worse is the official code's ("Actions as Moving Points", Li et al., 2020), with its convention that the right and
bottom pixels belong to a box.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from centernet_tf.geometry.boxes import paired_iou
from centernet_tf.properties.property import Rows

PIXEL = 1.0  # that belongs to a box on its right and bottom, see `geometry.boxes`
OVERLAP = 0.6

Suppression = Literal["original", "mean", "hard"]


def suppress(
    tubelets: np.ndarray,
    scores: np.ndarray,
    classes: np.ndarray,
    overlap: float = OVERLAP,
    way: Suppression = "original",
) -> np.ndarray:
    """Lowers the scores of tubelets that show what a better one of their class shows, in one pass from the best down.

    Args:
        tubelets: [N, K, 4] left, top, right, bottom in pixels; boxes of single frames with K = 1.
        scores: [N]; of equal ones the first counts as the better.
        classes: [N].
        overlap: Two show the same where the mean of their IoUs in K frames is above this.
        way: The factor of a score: "original" is 1 - the sum of the IoUs, as in the official code, which is negative
            unless K is 1; "mean" is 1 - their mean; "hard" gives a score of -infinity. Who was lowered lowers nobody.

    Returns:
        [N] float32, the new scores.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    count, length = np.shape(tubelets)[:2]
    ordered, kinds = np.asarray(tubelets, np.float32)[order], np.asarray(classes)[order]
    first, second = np.nonzero(np.triu(kinds[:, None] == kinds[None], 1))
    sums = np.zeros((count, count), np.float32)
    sums[first, second] = paired_iou(ordered[first], ordered[second], PIXEL).sum(axis=1)
    same = sums > overlap * length
    by = np.full(count, -1)  # who lowers each
    for row in np.flatnonzero(same.any(axis=1)).tolist():
        if by[row] < 0:
            by[same[row] & (by < 0)] = row
    free, factors = by < 0, np.ones(count, np.float32)
    factors[~free] = 1 - sums[by[~free], np.flatnonzero(~free)] / (length if way == "mean" else 1)
    lower = np.asarray(scores, np.float32)[order] * factors
    result = np.empty(count, np.float32)
    result[order] = np.where(free, lower, -np.inf) if way == "hard" else lower
    return result


def frame_detections(windows: Mapping[int, Rows], frame: int, overlap: float = OVERLAP) -> Rows:
    """The boxes of one frame in all windows that show it, of which nothing is left out and doubles score low.

    Args:
        windows: {number of the first frame: "tubelets" [N, K, 4] in pixels, "scores" [N], "classes" [N]}.
        frame: The number of the frame.
        overlap: As of `suppress`.

    Returns:
        "boxes" [M, 4] float32, "scores" [M] float32, "classes" [M] int64, in the order of the windows.
    """
    found = [(rows, frame - start) for start, rows in sorted(windows.items())]
    shown = [(rows, place) for rows, place in found if 0 <= place < np.shape(rows["tubelets"])[1]]
    boxes = [np.asarray(rows["tubelets"], np.float32)[:, place] for rows, place in shown]
    scores, classes = ([np.asarray(rows[name]) for rows, _ in shown] for name in ("scores", "classes"))
    pooled = np.concatenate([np.zeros((0, 4), np.float32), *boxes])
    labels = np.concatenate([np.zeros(0, np.int64), *classes]).astype(np.int64)
    weighed = suppress(pooled[:, None], np.concatenate([np.zeros(0, np.float32), *scores]), labels, overlap)
    return {"boxes": pooled, "scores": weighed, "classes": labels}
