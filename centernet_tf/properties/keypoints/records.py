"""Keypoints in records: stored lists to rows and back, what is wrong with them, and how JSON tells them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from centernet_tf.properties.fields import Field
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.properties.property import Fault, Rows, Size

X, Y, VISIBILITY = (f"image/object/keypoint/{name}" for name in ("x", "y", "visibility"))
KEYS = {X: "float", Y: "float", VISIBILITY: "int"}
COUNTS = ("objects", "visible", "hidden", "unlabelled", "outside")
ROUNDING = 0.01  # pixels outside the image that are rounding of the source
# Times the longer side of the image that a keypoint may lie outside it; further out it is a damaged number.
FARTHEST = 10
LABELS = (0, 1, 2)  # unlabelled, hidden, visible


def fields(skeleton: Skeleton) -> tuple[Field, Field]:
    """The rows of objects with these J keypoints."""
    count, order = len(skeleton.keypoints), skeleton.flip_order
    return (
        Field("keypoints", "float32", (count, 2), "points", 0.0, "x, y in pixels", order, labels="keypoint_labels"),
        Field("keypoint_labels", "int32", (count,), "fixed", 0, "0 unlabelled, 1 hidden, 2 visible", order),
    )


def unpack(lists: Rows, count: int, size: Size, num_keypoints: int) -> Rows:
    """Flat lists of N x J, object by object, to rows.

    Missing lists mean unlabelled keypoints; where only their visibility is missing, all are visible.

    Args:
        lists: Of `KEYS`; x and y as fractions of the image.
        count: Objects, N.
        size: Width and height of the image in pixels.
        num_keypoints: J.

    Raises:
        ValueError: A list does not hold N x J numbers.
    """
    total = count * num_keypoints
    x, y, given = (lists[key] for key in KEYS)
    absent = not len(x)
    if absent:
        x, y = np.zeros(total, np.float32), y if len(y) else np.zeros(total, np.float32)
    if not len(given):
        given = np.full(total, 0 if absent else 2)
    for key, values in zip(KEYS, (x, y, given)):
        if len(values) != total:
            raise ValueError(
                f"{key} must hold {num_keypoints} numbers for each of {count} boxes; it holds {len(values)}."
            )
    labels = np.asarray(given, np.int32).reshape(count, num_keypoints)
    with np.errstate(over="ignore"):  # to infinity, which `faults` tells
        points = np.stack([x, y], axis=-1).astype(np.float32).reshape(count, num_keypoints, 2) * np.float32(size)
    return cleared({"keypoints": points, "keypoint_labels": labels})


def cleared(rows: Rows) -> Rows:
    """Rows whose unlabelled keypoints are 0; writers put NaN or -1 there."""
    points = np.where(rows["keypoint_labels"][..., None] > 0, rows["keypoints"], np.float32(0))
    return {**rows, "keypoints": points}


def pack(rows: Rows, size: Size, names: Sequence[str]) -> dict[str, Any]:
    """Rows to flat lists of N x J; names and the number of labelled ones are for readers of other programs."""
    points = np.asarray(rows["keypoints"], np.float64) / size
    labels = np.asarray(rows["keypoint_labels"], np.int64)
    return {
        X: points[..., 0].ravel().astype(np.float32),
        Y: points[..., 1].ravel().astype(np.float32),
        VISIBILITY: labels.ravel(),
        "image/object/keypoint/num": (labels > 0).sum(axis=1),
        "image/object/keypoint/text": [name.encode() for name in names] * len(labels),
    }


def faults(rows: Rows, size: Size) -> list[Fault | None]:
    """What is wrong with the keypoints of each object in an image of this width and height."""
    far = outside(rows, size, FARTHEST * max(size))
    return [_fault(*one) for one in zip(rows["keypoints"], rows["keypoint_labels"], far)]


def _fault(points: np.ndarray, labels: np.ndarray, far: np.ndarray) -> Fault | None:
    if len(odd := np.flatnonzero(~np.isin(labels, LABELS))):
        detail = f"labels keypoint {odd[0] + 1} with {labels[odd[0]]:g}; known are 0, 1 (hidden) and 2 (visible)"
        return Fault("unknown label of a keypoint", detail)
    if len(odd := np.flatnonzero((labels > 0) & ~np.isfinite(points).all(axis=1))):
        x, y = points[odd[0]]
        return Fault("keypoint not a number", f"has its keypoint {odd[0] + 1} at x {x:g}, y {y:g}, not numbers")
    if far.any():
        x, y = points[far.argmax()]
        detail = f"has its keypoint {far.argmax() + 1} at x {x:g}, y {y:g}, more than {FARTHEST} images outside"
        return Fault("keypoint far outside the image", detail)
    return None


def outside(rows: Rows, size: Size, margin: float = 0.0) -> np.ndarray:
    """[N, J] bool: labelled keypoints further than the margin in pixels outside the image."""
    points = rows["keypoints"]
    with np.errstate(invalid="ignore"):
        beyond = ((points < -margin) | (points > np.array(size, np.float64) + margin)).any(axis=-1)
    return beyond & (rows["keypoint_labels"] > 0)


def count(rows: Rows, size: Size) -> dict[str, int]:
    """How many keypoints are of each of `COUNTS`; "outside" counts those of the visible and hidden ones."""
    labels = rows["keypoint_labels"]
    figures = (
        (labels > 0).any(axis=1).sum(),
        (labels == 2).sum(),
        (labels == 1).sum(),
        (labels == 0).sum(),
        outside(rows, size, ROUNDING).sum(),
    )
    return {name: int(figure) for name, figure in zip(COUNTS, figures)}


def tell(counts: Mapping[str, int]) -> str:
    """The counts of a conversion as a sentence."""
    labelled = counts["visible"] + counts["hidden"]
    parts = [f"{_figure(counts[name])} {name}" for name in ("visible", "hidden")]
    if counts["outside"]:
        parts.append(f"{_figure(counts['outside'])} outside their image, kept")
    rest = f"; {_figure(counts['unlabelled'])} unlabelled" if counts["unlabelled"] else ""
    return f"{_figure(labelled)} keypoints on {_figure(counts['objects'])} objects: {', '.join(parts)}{rest}."


def certainty(rows: Rows) -> np.ndarray | None:
    """[N, J] how surely each is drawn: the score where found; annotated 1, hidden 0.1, unlabelled 0."""
    if "keypoint_labels" in rows:
        return np.choose(np.clip(rows["keypoint_labels"], 0, 2), (0.0, 0.1, 1.0))
    return rows.get("keypoint_scores")


def to_json(rows: Rows, digits: int | None) -> list[dict[str, Any]]:
    """COCO's "keypoints" of each object, x, y and 1 of each in turn, and "keypoint_scores".

    Objects all of whose keypoints score 0, those of classes without keypoints, have none.
    """
    points = np.asarray(rows["keypoints"])
    scores = np.asarray(rows.get("keypoint_scores", np.ones(points.shape[:2])))
    rounded = float if digits is None else lambda value: float(f"{value:.{digits}f}")
    lines = []
    for places, certain in zip(points, scores):
        line: dict[str, Any] = {}
        if (certain > 0).any():
            line["keypoints"] = [value for x, y in places for value in (rounded(x), rounded(y), 1)]
            if "keypoint_scores" in rows:
                line["keypoint_scores"] = [rounded(score) for score in certain]
        lines.append(line)
    return lines


def columns(skeleton: Skeleton) -> dict[str, tuple[str, ...]]:
    """Columns of tables for the keys of `to_json`."""
    names = skeleton.keypoints
    places = tuple(f"{name}_{part}" for name in names for part in ("x", "y", "visibility"))
    return {"keypoints": places, "keypoint_scores": tuple(f"{name}_score" for name in names)}


def class_to_json(skeleton: Skeleton) -> dict[str, Any]:
    """COCO's keys of a category: names of its keypoints, and pairs of them, counted from 1, that limbs connect."""
    limbs = [[one + 1, other + 1] for one, other in skeleton.limbs]
    return {"keypoints": list(skeleton.keypoints), "skeleton": limbs}


def _figure(count: int) -> str:
    return f"{count:,}".replace(",", " ")
