"""Verb points to pairs of objects: each end is the object that best explains where the point says it is."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from centernet_tf.losses import gather_cells
from centernet_tf.points import peaks as maxima

NONE = -1  # the row of what is no object


@dataclasses.dataclass(frozen=True, eq=False)
class Rules:
    """What may go together.

    Attributes:
        points: Verb points of an image that are looked at, R.
        subjects: [C] bool, classes whose objects may be subjects.
        alone: [V] bool, verbs that never have an object.
        allowed: [V, C] float32 of 0 and 1, classes that the objects of each verb may have; None for all.
    """

    points: int
    subjects: np.ndarray
    alone: np.ndarray
    allowed: np.ndarray | None = None


def decode(outputs: Mapping[str, Any], peaks: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    """Pairs among the objects at the peaks (PPDM, section 3.4).

    The original looks for subjects among the best persons, which may be worse than any object that is told; here they
    are among these.

    Args:
        outputs: "verb" [B, h, w, V] logits; "subject_offset" and "object_offset" [B, h, w, 2] in cells, from the member
            to the point.
        peaks: What `Centers.peaks` returned.
        rules: What may go together.

    Returns:
        "pairs" [B, R, 2] int32, rows of the peaks, an object of -1 for none; "verbs" [B, R] int32; "pair_scores" [B,
        R], falling; 0 of rows that hold no pair.
    """
    points = points_of(outputs, rules.points)
    for name in ("subject", "object"):
        away = ops.cast(gather_cells(outputs[f"{name}_offset"], points["index"]), "float32")
        points[name] = points["cell"] - away
    allowed = ops.take(rules.subjects.astype(np.float32), peaks["classes"])
    subjects = {**peaks, "scores": peaks["scores"] * allowed}
    return told(*match(points, subjects, peaks, rules), ops.shape(peaks["scores"])[1])


def points_of(outputs: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The best peaks of the verbs' heatmaps: "scores", "verbs", "index" [B, R] and "cell" [B, R, 2]."""
    scores = maxima.local_maxima(ops.sigmoid(ops.cast(outputs["verb"], "float32")))
    best, verbs, index = maxima.best_of_all(scores, count)
    return {"scores": best, "verbs": verbs, "index": index, "cell": maxima.cells_of(index, ops.shape(scores)[2])}


def match(
    points: Mapping[str, Any], subjects: Mapping[str, Any], objects: Mapping[str, Any], rules: Rules
) -> tuple[Any, Any, Any, Any]:
    """The subject and the object of each point: the best of score / ((|dx| + 1) (|dy| + 1)), in cells.

    A verb whose object would be its own subject has none, nor has one that never has.

    Args:
        points: "cell", "subject" and "object" [B, R, 2], where the members are; "scores" and "verbs" [B, R].
        subjects: "cell" [B, K, 2] and "scores" [B, K], 0 for what is no subject.
        objects: The same objects with their scores, and "classes" [B, K].
        rules: See `decode`.

    Returns:
        Rows of subjects and of objects, verbs and scores [B, R]: those of members and point multiplied, without their
        distance; 0 where the verb may not have the object.
    """
    _, subject = best_of(subjects["scores"][:, None] * nearness(points["subject"], subjects["cell"]))
    ends = objects["scores"][:, None] * nearness(points["object"], objects["cell"])
    if rules.allowed is not None:
        classes = rules.allowed.shape[1]
        place = points["verbs"][:, :, None] * classes + objects["classes"][:, None]
        ends = ends * ops.take(rules.allowed.reshape(-1), place)
    likeliest, target = best_of(ends)
    scores = points["scores"] * ops.take_along_axis(subjects["scores"], subject, axis=1)
    alone = ops.take(rules.alone, points["verbs"])
    sure = ops.where(likeliest > 0, ops.take_along_axis(objects["scores"], target, axis=1), 0.0)
    scores = scores * ops.where(alone, 1.0, sure)
    nothing = ops.logical_or(alone, ops.equal(subject, target))
    return subject, ops.where(nothing, NONE, target), points["verbs"], scores


def best_of(values: Any) -> tuple[Any, Any]:
    """The largest of the last axis and its place, int32; Keras' argmax has operators that ONNX lacks."""
    best, place = ops.top_k(values, 1)
    return best[..., 0], ops.cast(place[..., 0], "int32")


def nearness(places: Any, cells: Any) -> Any:
    """[B, R, K]: 1 where a cell [B, K, 2] lies at a place [B, R, 2], falling with the distance along both axes."""
    dx, dy = (ops.abs(places[:, :, None, axis] - cells[:, None, :, axis]) for axis in (0, 1))
    return 1 / ((dx + 1) * (dy + 1))


def told(subject: Any, target: Any, verbs: Any, scores: Any, count: Any) -> dict[str, Any]:
    """Pairs [B, R], each once, with the best of its scores and in their order; `count` objects, see `decode`."""
    order = ops.cast(ops.top_k(scores, scores.shape[1])[1], "int32")
    subject, target, verbs, scores = (
        ops.take_along_axis(values, order, axis=1) for values in (subject, target, verbs, scores)
    )
    own = (verbs * (count + 1) + target + 1) * count + subject
    better = np.tril(np.ones((scores.shape[1],) * 2, bool), -1)
    again = ops.any(ops.logical_and(ops.equal(own[:, :, None], own[:, None]), better), axis=-1)
    return {
        "pairs": ops.stack([subject, target], axis=-1),
        "verbs": verbs,
        "pair_scores": ops.where(again, 0.0, scores),
    }
