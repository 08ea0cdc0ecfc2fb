"""What is wrong with each detection that is no object, and what became of each object.

As in TIDE (Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", 2020), every false positive
has one kind, and every object that was not found is mended by at most one of them. Here the kinds are those of points:
errors of the box are split into those of size and of place, and a detection belongs to the object whose centre it is
nearest to instead of the one that it overlaps most.
"""

import dataclasses

import numpy as np

from centernet_tf.geometry.boxes import areas, box_iou
from centernet_tf.metrics.matched import Matched

# In the order in which `error_gains` mends them: from what is nearly right to what is not there.
KINDS = {
    "size": "right peak and class; with the object's size the box would do",
    "offset": "right peak and class; moved onto the object's centre the box would do",
    "size and offset": "right peak and class; the box would not do with one of the two mended",
    "class": "a good box at the right peak, of another class",
    "class and box": "at the right peak, of another class and with a poor box",
    "double": "a second peak at an object that another detection stands for",
    "background": "no object near",
    "missed": "an object without any detection near its centre",
}
FOUND = "found"  # what became of an object that is none of these
CLAIMING = tuple(KINDS)[:5]  # kinds of detections that would be an object, were they mended
NEAR = 0.1  # IoU with an object of the same size at the detection's centre, from which the peak is the object's


@dataclasses.dataclass(frozen=True)
class Judged:
    """What became of all detections and objects of a `Matched`.

    Attributes:
        matched: It.
        iou: That makes a hit.
        kinds: [D] text: a key of `KINDS` but "missed", `FOUND`, or "" for those that do not count.
        fates: [N] text: `FOUND`, one of `CLAIMING`, "missed", or "" for crowds.
        claims: [D] row of the object that each detection of a kind in `CLAIMING` would be, -1 for others.
    """

    matched: Matched
    iou: float
    kinds: np.ndarray
    fates: np.ndarray
    claims: np.ndarray


def judge(matched: Matched, iou: float) -> Judged:
    """Gives every detection and object what became of it.

    A detection that is no object belongs to the object whose centre is nearest to its own, as overlap of boxes of the
    object's size tells, at least `NEAR`: to one of its class where one is near. The best-scored first claims an object
    that no detection is; a later one is a double.

    Args:
        matched: At `iou`.
        iou: That makes a hit.
    """
    kinds = np.where(matched.hits, FOUND, "").astype("U16")
    fates = np.where(matched.wanted, "missed", "").astype("U16")
    fates[matched.match[matched.hits]] = FOUND
    claims = np.full(len(kinds), -1)
    wrong = np.flatnonzero(matched.counted & ~matched.hits)
    objects = np.flatnonzero(matched.wanted)
    starts = np.searchsorted(matched.image[wrong], np.arange(len(matched.ids) + 1))
    truth_starts = np.searchsorted(matched.truth_image[objects], np.arange(len(matched.ids) + 1))
    for place in range(len(matched.ids)):
        rows = wrong[starts[place] : starts[place + 1]]
        there = objects[truth_starts[place] : truth_starts[place + 1]]
        rows = rows[np.argsort(-matched.scores[rows], kind="stable")]
        _judge_image(matched, iou, rows, there, kinds, fates, claims)
    return Judged(matched, iou, kinds, fates, claims)


def _judge_image(
    matched: Matched,
    iou: float,
    rows: np.ndarray,
    there: np.ndarray,
    kinds: np.ndarray,
    fates: np.ndarray,
    claims: np.ndarray,
) -> None:
    """Fills in what became of the false positives `rows`, best first, and the objects `there` of one image."""
    kinds[rows] = "background"
    if not len(rows) or not len(there):
        return
    found, truth = (np.asarray(boxes, np.float64) for boxes in (matched.boxes[rows], matched.truth_boxes[there]))
    overlap, moved, resized = box_iou(found, truth), centred_iou(found, truth), sized_iou(found, truth)
    alike = matched.classes[rows][:, None] == matched.truth_classes[there]
    near = (resized >= NEAR) | (overlap >= iou)
    # Of its class before others, then the nearest.
    best = np.where(near, resized + 2.0 * alike, -1.0).argmax(axis=1)
    for row, place in zip(np.flatnonzero(near.any(axis=1)), best[near.any(axis=1)]):
        if fates[there[place]] != "missed":
            kinds[rows[row]] = "double"
            continue
        if alike[row, place]:
            kind = box_kind(resized[row, place], moved[row, place], iou)
        else:
            kind = "class" if overlap[row, place] >= iou else "class and box"
        kinds[rows[row]] = fates[there[place]] = kind
        claims[rows[row]] = there[place]


def box_kind(resized: float, moved: float, iou: float) -> str:
    """What is wrong with a box, from its IoU once it is resized and once it is moved: what mends it better alone."""
    if max(resized, moved) < iou:
        return "size and offset"
    return "size" if resized >= moved else "offset"


def sized_iou(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """[K, N] IoU of boxes [N, 4] with boxes of their own size at the centres of found ones [K, 4]."""
    away = np.abs((found[:, None, :2] + found[:, None, 2:]) - (truth[None, :, :2] + truth[None, :, 2:])) / 2
    sides = truth[:, 2:] - truth[:, :2]
    common = np.maximum(sides - away, 0).prod(axis=-1)
    return _ratio(common, 2 * areas(truth) - common)


def centred_iou(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """[K, N] IoU of boxes [N, 4] with found ones [K, 4] that are moved onto their centres."""
    first, second = found[:, None, 2:] - found[:, None, :2], truth[None, :, 2:] - truth[None, :, :2]
    common = np.maximum(np.minimum(first, second), 0).prod(axis=-1)
    return _ratio(common, areas(found)[:, None] + areas(truth) - common)


def _ratio(common: np.ndarray, union: np.ndarray) -> np.ndarray:
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)
