"""The pairs of one image as metrics compare them: found with annotated ones."""

import dataclasses

import numpy as np

from centernet_tf.geometry.boxes import box_iou
from centernet_tf.properties.property import Rows

OVERLAP = 0.5  # IoU from which two boxes are of the same object
NOTHING = -1  # class of the object of a verb that has none


@dataclasses.dataclass(frozen=True, eq=False)
class Told:
    """What was found or annotated in one image.

    Attributes:
        boxes: [N, 4] float64 left, top, right, bottom in pixels.
        classes: [N] of the objects.
        pairs: [P, 2] rows of subject and object; -1 for no object.
        verbs: [P].
        scores: [P]; zeros of annotated pairs.
    """

    boxes: np.ndarray
    classes: np.ndarray
    pairs: np.ndarray
    verbs: np.ndarray
    scores: np.ndarray

    @classmethod
    def of(cls, rows: Rows, digits: int | None = None) -> "Told":
        """From rows of an image; numbers of found ones rounded to `digits` decimals, the surest pair first."""
        boxes = np.asarray(rows["boxes"], np.float64).reshape(-1, 4)
        pairs, verbs = np.reshape(rows["pairs"], (-1, 2)).astype(np.int64), np.asarray(rows["verbs"], np.int64)
        scores = np.asarray(rows.get("pair_scores", np.zeros(len(pairs))), np.float64)
        if digits is not None:
            boxes, scores = boxes.round(digits), scores.round(digits)
        order = np.argsort(-scores, kind="stable")
        return cls(boxes, np.asarray(rows["classes"], np.int64), pairs[order], verbs[order], scores[order])

    @property
    def kinds(self) -> np.ndarray:
        """[P, 3] class of the subject, verb, class of the object or `NOTHING`."""
        subject, partner = self.pairs.T
        classes = np.append(self.classes, NOTHING)  # the last is that of -1, no object
        return np.stack([classes[subject], self.verbs, classes[partner]], axis=-1)


def overlaps(found: Told, truth: Told, pixel: float, any_class: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """IoU of the subjects and of the objects of every found and annotated pair, each [P, T].

    It is 0 of other classes, unless `any_class` will do. The objects of two pairs without one overlap wholly.
    """
    same = (found.classes[:, None] == truth.classes[None]) | any_class
    iou = np.zeros((len(found.boxes) + 1, len(truth.boxes) + 1))  # the last are those of -1, no object
    iou[:-1, :-1] = np.where(same, box_iou(found.boxes, truth.boxes, pixel), 0)
    iou[-1, -1] = 1
    return tuple(iou[np.ix_(found.pairs[:, member], truth.pairs[:, member])] for member in (0, 1))


def fitting(found: Told, truth: Told, pixel: float, any_class: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """[P, T] bool, whether a found and an annotated pair are the same, and the smaller of their two overlaps."""
    subjects, partners = overlaps(found, truth, pixel, any_class)
    smaller = np.minimum(subjects, partners)
    return (smaller >= OVERLAP) & (found.verbs[:, None] == truth.verbs[None]), smaller


def first_to_claim(claims: np.ndarray, count: int) -> np.ndarray:
    """Who is the first to claim each of `count` things.

    Args:
        claims: [P] what each claims, -1 for nothing.

    Returns:
        [P] bool, whether nobody before claimed the same.
    """
    hits = np.zeros(len(claims), bool)
    things, first = np.unique(claims, return_index=True)
    hits[first[(things >= 0) & (things < count)]] = True
    return hits
