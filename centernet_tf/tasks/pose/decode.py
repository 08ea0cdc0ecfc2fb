"""Maps to keypoints: what the centre says, moved to a peak of the keypoint's own heatmap where one is near.

Objects as Points, section 4.2; official code, `multi_pose_decode`. All in cells of the output grid.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from centernet_tf.losses import gather_cells
from centernet_tf.points.peaks import best_of_each, cells_of, local_maxima

THRESHOLD = 0.1  # Least score of a keypoint's peak.
REACH = 0.3  # Of the longer side of the box: how far a keypoint moves at most.
UNSEEN = 0.1  # Score of a keypoint that the centre alone tells; the original has no score for keypoints.
AWAY = -10000.0


@dataclasses.dataclass(frozen=True)
class Search:
    """How peaks of keypoints are found; what stands here is CenterNet's.

    Attributes:
        most: Peaks of each keypoint's heatmap that are looked at, M, at least K. They are the image's, so few objects
            need as many as many do.
        threshold: Least score of a peak.
        reach: Of the longer side of the box, how far a keypoint moves at most; anywhere in the box if None.
    """

    most: int = 100
    threshold: float = THRESHOLD
    reach: float | None = REACH


def decode(
    outputs: Mapping[str, Any],
    peaks: Mapping[str, Any],
    boxes: Any,
    classes: tuple[int, ...] | None = None,
    search: Search = Search(),
) -> dict[str, Any]:
    """Finds the keypoints of the peaks.

    A keypoint keeps the place that the object's cell gives it, unless the nearest peak of its heatmap scores at least
    0.1, lies within the object's box and is no further away than 0.3 of the box's longer side, or as `search` has it.
    Several objects may take the same peak.

    Args:
        outputs: "keypoints" [B, h, w, 2 J], "keypoint_heatmap" [B, h, w, J] logits, "keypoint_offset" [B, h, w, 2].
        peaks: What `Centers.peaks` returned, K of them.
        boxes: [B, K, 4] left, top, right, bottom of each.
        classes: Numbers of those that have keypoints; all if None. Others have theirs at the centre, with score 0.
        search: How peaks are found.

    Returns:
        "keypoints" [B, K, J, 2] (x, y) and "keypoint_scores" [B, K, J] in 0..1.
    """
    batch, _, _, keypoints = ops.shape(outputs["keypoint_heatmap"])
    count = ops.shape(peaks["scores"])[1]
    told = ops.cast(gather_cells(outputs["keypoints"], peaks["index"]), "float32")
    told = ops.reshape(told, (batch, count, keypoints, 2)) + peaks["cell"][:, :, None]
    told = ops.transpose(told, (0, 2, 1, 3))  # [B, J, K, 2]
    most = max(count, search.most) if isinstance(count, int) else search.most
    points, scores = candidates(outputs["keypoint_heatmap"], outputs["keypoint_offset"], most, search.threshold)

    x, y = (told[..., axis, None] - points[:, :, None, :, axis] for axis in (0, 1))
    squares = x * x + y * y  # [B, J, K, M]
    least = ops.min(squares, axis=-1, keepdims=True)
    # A third of the time of `argmin`, which besides takes operators that phones lack.
    nearest = ops.min(ops.where(squares == least, ops.arange(most, dtype="int32"), most - 1), axis=-1)
    distance = ops.sqrt(least[..., 0])
    listed = ops.reshape(ops.concatenate([points, scores[..., None]], axis=-1), (-1, 3))
    start = ops.reshape(ops.arange(batch * keypoints, dtype="int32") * most, (batch, keypoints, 1))
    chosen = ops.take(listed, start + nearest, axis=0)  # [B, J, K, 3]

    left, top, right, bottom = (boxes[:, None, :, side] for side in range(4))
    x, y, score = (chosen[..., part] for part in range(3))
    inside = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
    taken = inside & (score >= search.threshold)
    if search.reach is not None:
        taken &= distance <= search.reach * ops.maximum(right - left, bottom - top)
    found = ops.where(taken[..., None], chosen[..., :2], told)
    score = ops.where(taken, score, UNSEEN)
    found, score = ops.transpose(found, (0, 2, 1, 3)), ops.transpose(score, (0, 2, 1))
    if classes is None:
        return {"keypoints": found, "keypoint_scores": score}
    has = ops.any(peaks["classes"][..., None] == np.array(classes, np.int32), axis=-1)[..., None]
    return {
        "keypoints": ops.where(has[..., None], found, peaks["center"][:, :, None]),
        "keypoint_scores": ops.where(has, score, 0.0),
    }


def candidates(heatmap: Any, offset: Any, count: int, threshold: float = THRESHOLD) -> tuple[Any, Any]:
    """The best local maxima of each keypoint's heatmap.

    Args:
        heatmap: [B, h, w, J] logits.
        offset: [B, h, w, 2] within a cell, of any keypoint.
        count: How many of each keypoint, K.
        threshold: Score that they must be above.

    Returns:
        [B, J, K, 2] (x, y) and [B, J, K] scores in 0..1; those up to the threshold are far away and score -1.
    """
    batch, _, width, keypoints = ops.shape(heatmap)
    best, index = best_of_each(local_maxima(ops.sigmoid(ops.cast(heatmap, "float32"))), count)
    shift = gather_cells(offset, ops.reshape(index, (batch, keypoints * count)))
    shift = ops.reshape(ops.cast(shift, "float32"), (batch, keypoints, count, 2))
    points = cells_of(index, width) + shift
    low = best <= threshold
    return ops.where(low[..., None], AWAY, points), ops.where(low, -1.0, best)
