"""Maps to joints: what the centre says, moved to a peak of the joint's own heatmap where one is near.

Objects as Points, section 4.2; official code, `multi_pose_decode`. All in cells of the output grid.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from centernet_tf import losses

THRESHOLD = 0.1  # Least score of a joint's peak.
REACH = 0.3  # Of the longer side of the box: how far a joint moves at most.
UNSEEN = 0.1  # Score of a joint that the centre alone tells; the original has no score for joints.
AWAY = -10000.0


def decode(
    outputs: Mapping[str, Any],
    peaks: Mapping[str, Any],
    boxes: Any,
    joint_classes: tuple[int, ...] | None = None,
    joint_peaks: int = 100,
) -> dict[str, Any]:
    """Finds the joints of the peaks.

    A joint keeps the place that the object's cell gives it, unless the nearest peak of its heatmap scores at least 0.1,
    lies within the object's box and is no further away than 0.3 of the box's longer side. Several objects may take the
    same peak.

    Args:
        outputs: "joints" [B, h, w, 2 J], "joint_heatmap" [B, h, w, J] logits, "joint_offset" [B, h, w, 2].
        peaks: What `Centers.peaks` returned, K of them.
        boxes: [B, K, 4] left, top, right, bottom of each.
        joint_classes: Classes that have joints; all if None. Others have theirs at the centre, with score 0.
        joint_peaks: Peaks of each joint's heatmap that are looked at, M, at least K. They are the image's, so few
            objects need as many as many do.

    Returns:
        "joints" [B, K, J, 2] (x, y) and "joint_scores" [B, K, J] in 0..1.
    """
    batch, _, _, joints = ops.shape(outputs["joint_heatmap"])
    count = peaks["scores"].shape[1]
    told = ops.cast(losses.gather_cells(outputs["joints"], peaks["index"]), "float32")
    told = ops.reshape(told, (batch, count, joints, 2)) + peaks["cell"][:, :, None]
    told = ops.transpose(told, (0, 2, 1, 3))  # [B, J, K, 2]
    most = max(count, joint_peaks)
    points, scores = candidates(outputs["joint_heatmap"], outputs["joint_offset"], most)

    x, y = (told[..., axis, None] - points[:, :, None, :, axis] for axis in (0, 1))
    squares = x * x + y * y  # [B, J, K, M]
    least = ops.min(squares, axis=-1, keepdims=True)
    # A third of the time of `argmin`, which besides takes operators that phones lack.
    nearest = ops.min(ops.where(squares == least, ops.arange(most, dtype="int32"), most - 1), axis=-1)
    distance = ops.sqrt(least[..., 0])
    listed = ops.reshape(ops.concatenate([points, scores[..., None]], axis=-1), (-1, 3))
    start = ops.reshape(ops.arange(batch * joints, dtype="int32") * most, (batch, joints, 1))
    chosen = ops.take(listed, start + nearest, axis=0)  # [B, J, K, 3]

    left, top, right, bottom = (boxes[:, None, :, side] for side in range(4))
    x, y, score = (chosen[..., part] for part in range(3))
    inside = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
    near = distance <= REACH * ops.maximum(right - left, bottom - top)
    taken = inside & near & (score >= THRESHOLD)
    found = ops.where(taken[..., None], chosen[..., :2], told)
    score = ops.where(taken, score, UNSEEN)
    found, score = ops.transpose(found, (0, 2, 1, 3)), ops.transpose(score, (0, 2, 1))
    if joint_classes is None:
        return {"joints": found, "joint_scores": score}
    has = ops.any(peaks["classes"][..., None] == np.array(joint_classes, np.int32), axis=-1)[..., None]
    return {
        "joints": ops.where(has[..., None], found, peaks["center"][:, :, None]),
        "joint_scores": ops.where(has, score, 0.0),
    }


def candidates(heatmap: Any, offset: Any, count: int) -> tuple[Any, Any]:
    """The best local maxima of each joint's heatmap.

    Args:
        heatmap: [B, h, w, J] logits.
        offset: [B, h, w, 2] within a cell, of any joint.
        count: How many of each joint, K.

    Returns:
        [B, J, K, 2] (x, y) and [B, J, K] scores in 0..1; those up to 0.1 are far away and score -1.
    """
    batch, height, width, joints = ops.shape(heatmap)
    scores = ops.sigmoid(ops.cast(heatmap, "float32"))
    pooled = ops.max_pool(scores, 3, strides=1, padding="same")
    kept = ops.where(scores < pooled, 0.0, scores)
    listed = ops.reshape(ops.transpose(kept, (0, 3, 1, 2)), (batch, joints, height * width))
    if not isinstance(height * width, int) or height * width < count:
        listed = ops.pad(listed, ((0, 0), (0, 0), (0, count)))
    best, place = ops.top_k(listed, count)
    index = ops.minimum(ops.cast(place, "int32"), height * width - 1)
    shift = losses.gather_cells(offset, ops.reshape(index, (batch, joints * count)))
    shift = ops.reshape(ops.cast(shift, "float32"), (batch, joints, count, 2))
    points = ops.cast(ops.stack([index % width, index // width], axis=-1), "float32") + shift
    low = best <= THRESHOLD
    return ops.where(low[..., None], AWAY, points), ops.where(low, -1.0, best)
