"""Interaction points with a vector: pairs of objects whose centres are the corners that a point tells (IP-Net)."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from centernet_tf.losses import gather_cells
from centernet_tf.tasks.hoi.decode import NONE, Rules, best_of, points_of, told

SURE = 6 / (1 + np.exp(6 - 7))  # the largest of the original's score of an object


@dataclasses.dataclass(frozen=True)
class Limits:
    """When a point belongs to two objects; the original's are for photographs of 640 x 480 pixels.

    Attributes:
        reach: How far the corners of the box between two centres lie from those that the point tells, in pixels of the
            image; closer than this.
        alone_reach: How far a point without an object lies from its subject's centre, likewise.
        subject: Score that a subject is above.
        object: Score that an object is above.
        point: Score that a point is above.
    """

    reach: float = 80.0
    alone_reach: float = 10.0
    subject: float = 0.3
    object: float = 0.1
    point: float = 0.05


def decode(outputs: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The best interaction points, with the boxes that they say lie between the centres of two objects.

    Args:
        outputs: "verb" [B, h, w, V] logits, "vector" [B, h, w, 2] width and height in cells.
        count: How many, R.

    Returns:
        "verb_boxes" [B, R, 4] in cells, whose centre is the point, the middle of its cell; "point_verbs" [B, R] int32;
        "point_scores" [B, R], falling.
    """
    points = points_of(outputs, count)
    middle = points["cell"] + 0.5
    half = ops.cast(gather_cells(outputs["vector"], points["index"]), "float32") / 2
    boxes = ops.concatenate([middle - half, middle + half], axis=-1)
    return {"verb_boxes": boxes, "point_verbs": points["verbs"], "point_scores": points["scores"]}


def place(found: Mapping[str, Any], rules: Rules, limits: Limits) -> dict[str, Any]:
    """Pairs of objects that points belong to, with what `decode` found in pixels of the image.

    A subject does one thing to one object, the best of all; what is its own object is none.

    Args:
        found: "boxes" [B, K, 4], "scores" and "classes" [B, K], and what `decode` gave.
        rules: What may go together.
        limits: When it does.

    Returns:
        As of `decode.decode`.
    """
    who = ops.take(rules.subjects.astype(np.float32), found["classes"])
    subjects = {"boxes": found["boxes"], "scores": found["scores"] * who}
    points, count = found["point_scores"].shape[1], ops.shape(found["scores"])[1]
    own = ops.arange(count)
    apart = ops.cast(ops.not_equal(own[:, None], own), "float32")
    target, scores = group(found, subjects, found, rules, limits, apart)
    listed = ops.reshape(scores, (-1, points * count))
    best, place = ops.top_k(listed, points)
    place = ops.cast(place, "int32")
    verbs = ops.take_along_axis(found["point_verbs"], place // count, axis=1)
    target = ops.take_along_axis(ops.reshape(target, (-1, points * count)), place, axis=1)
    return _one_each(place % count, target, verbs, best, count)


def group(
    points: Mapping[str, Any],
    subjects: Mapping[str, Any],
    objects: Mapping[str, Any],
    rules: Rules,
    limits: Limits,
    apart: Any = 1.0,
) -> tuple[Any, Any]:
    """The best object of each point and subject (IP-Net, section 4.3; official code, `test_HOI.py`).

    A point belongs to a subject and an object where its box overlaps both, and where each of its four corners lies
    nearer than `reach` to that of the box between their centres. What the original does by accident, the last of
    several points winning over better ones, is left out.

    Args:
        points: "verb_boxes" [B, R, 4], "point_verbs" and "point_scores" [B, R].
        subjects: "boxes" [B, H, 4], "scores" [B, H], 0 for what is no subject.
        objects: "boxes" [B, O, 4], "scores" and "classes" [B, O].
        rules: What may go together.
        limits: When it does. All in pixels of the image.
        apart: [H, O] of 0 and 1, whether a subject may have an object.

    Returns:
        Rows of objects [B, R, H] int32, -1 for none, and scores [B, R, H]: those of the point, the subject and the
        object multiplied, objects' behind the original's sigmoid of 7 s - 6, but its largest value is 1; 0 where they
        do not belong together.
    """
    boxes, middles = points["verb_boxes"], [_middles(one["boxes"]) for one in (subjects, objects)]
    who, what = (
        ops.where(one["scores"] > limit, likely(one["scores"]), 0.0)
        for one, limit in ((subjects, limits.subject), (objects, limits.object))
    )
    ends = what[:, None] * overlap(boxes, objects["boxes"])  # [B, R, O]
    if rules.allowed is not None:
        place = points["point_verbs"][:, :, None] * rules.allowed.shape[1] + objects["classes"][:, None]
        ends = ends * ops.take(rules.allowed.reshape(-1), place)
    fits = _fits(boxes, *middles, limits.reach) * ends[:, :, None] * apart  # [B, R, H, O]
    best, target = best_of(fits)
    best = best * overlap(boxes, subjects["boxes"])
    alone = ops.take(rules.alone, points["point_verbs"])[..., None]
    near = ops.sqrt(ops.sum((_middles(boxes)[:, :, None] - middles[0][:, None]) ** 2, axis=-1)) < limits.alone_reach
    sure = ops.where(points["point_scores"] > limits.point, points["point_scores"], 0.0)
    scores = sure[..., None] * who[:, None] * ops.where(alone, ops.cast(near, "float32"), best)
    return ops.where(alone, NONE, target), scores


def likely(scores: Any) -> Any:
    """The original's score of an object, 6 / (1 + exp(6 - 7 s)), over its largest value."""
    return 6 / (1 + ops.exp(6 - 7 * scores)) / np.float32(SURE)


def overlap(first: Any, second: Any) -> Any:
    """[B, R, K] 0 or 1, whether boxes [B, R, 4] and [B, K, 4] have any IoU, sides counted as one pixel longer."""
    low = ops.maximum(first[:, :, None, :2], second[:, None, :, :2])
    high = ops.minimum(first[:, :, None, 2:], second[:, None, :, 2:])
    shared = ops.prod(ops.maximum(high - low + 1, 0.0), axis=-1)
    areas = [ops.prod(boxes[..., 2:] - boxes[..., :2] + 1, axis=-1) for boxes in (first, second)]
    both = areas[0][:, :, None] + areas[1][:, None] - shared
    return ops.cast(ops.logical_and(shared > 0, both > 0), "float32")


def _middles(boxes: Any) -> Any:
    """[..., 2] (x, y)."""
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def _fits(boxes: Any, subjects: Any, objects: Any, reach: float) -> Any:
    """[B, R, H, O] 0 or 1, whether all corners of two boxes are nearer than `reach`.

    Corners differ by one of two numbers along each axis, so the farthest is as far as the larger of both says.

    Args:
        boxes: [B, R, 4].
        subjects: [B, H, 2] centres, corners of the other box.
        objects: [B, O, 2] the opposite ones.
        reach: In pixels.
    """
    total = 0.0
    for axis in (0, 1):
        one, other = subjects[:, :, None, axis], objects[:, None, :, axis]
        low, high = ops.minimum(one, other)[:, None], ops.maximum(one, other)[:, None]
        near, far = (boxes[:, :, None, None, side] for side in (axis, axis + 2))
        total += ops.maximum(ops.square(low - near), ops.square(high - far))
    return ops.cast(total < reach**2, "float32")


def _one_each(subject: Any, target: Any, verbs: Any, scores: Any, count: Any) -> dict[str, Any]:
    """Pairs in the order of their scores; of what one subject does of one verb, only the first counts."""
    own = verbs * count + subject
    better = np.tril(np.ones((scores.shape[1],) * 2, bool), -1)
    again = ops.any(ops.logical_and(ops.equal(own[:, :, None], own[:, None]), better), axis=-1)
    return told(subject, target, verbs, ops.where(again, 0.0, scores), count)
