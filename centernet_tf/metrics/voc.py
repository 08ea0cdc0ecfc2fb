"""Average precision of boxes as the Pascal VOC development kit counts it."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from centernet_tf.errors import UsageError
from centernet_tf.geometry.boxes import box_iou
from centernet_tf.metrics.boxes import BoxMetric, Image, mean_where_known

# Floating-point multiples of 0.1, as in the kit's Python form: a recall of 3/10 lies below the fourth of them.
RECALL_LEVELS = np.arange(0.0, 1.1, 0.1)
# In place of an object's number: the detection lies on none, or on one that does not count.
MISS, DIFFICULT = -1, -2


@dataclasses.dataclass(frozen=True)
class VocScores:
    """What the Pascal VOC metric says. Numbers run from 0 to 1 and are NaN for a class without truth.

    Attributes:
        mean: Mean AP over the classes that have truth.
        names: Name of each class.
        ap: [C] AP of each class.
        truth: [C] int, annotated objects that are not difficult.
        precision: For each class [D], after each detection in order of falling score; difficult ones are left out.
        recall: For each class [D], likewise; NaN without truth.
        images: Number of images.
        detections: Number of detections in them.
    """

    mean: float
    names: tuple[str, ...]
    ap: np.ndarray
    truth: np.ndarray
    precision: tuple[np.ndarray, ...]
    recall: tuple[np.ndarray, ...]
    images: int
    detections: int


class VocBoxes(BoxMetric):
    """Pascal VOC's box metric: IoU above one half, each object found once, difficult objects left out.

    Right and bottom are taken as the last pixels that belong to a box, as in the annotations of VOC, so a width is
    right - left + 1.
    """

    def __init__(self, names: Sequence[str], iou: float = 0.5, area: bool = False, devkit_digits: bool = False) -> None:
        """Starts without images.

        Args:
            names: Name of each class, by 0-based index.
            iou: A hit has more than this.
            area: Take the area below the precision-recall curve (VOC 2010 and later) instead of the mean of eleven
                precisions (VOC 2007).
            devkit_digits: Round boxes to one decimal and scores to three, as in the files that published CenterNet
                scores were computed from.

        Raises:
            DataError: There are no names.
            UsageError: The IoU is not between 0 and 1.
        """
        super().__init__(names)
        if not 0 <= iou < 1:
            raise UsageError(f"VocBoxes: iou is {iou}, expected at least 0 and below 1.")
        self.iou = iou
        self.area = area
        self.devkit_digits = devkit_digits

    def result(self) -> VocScores:
        """Scores all images so far.

        Raises:
            DataError: There are none.
        """
        images = [image for _, image in self._sorted_images()]
        precision_of = area_below if self.area else eleven_points
        curves, scores, counts = [], [], []
        for label in range(len(self.names)):
            hits, count = self._hits(images, label)
            precision, recall = curve(hits, count)
            curves.append((precision, recall))
            counts.append(count)
            scores.append(precision_of(precision, recall) if count else np.nan)
        return VocScores(
            mean=mean_where_known(np.array(scores)),
            names=self.names,
            ap=np.array(scores),
            truth=np.array(counts),
            precision=tuple(precision for precision, _ in curves),
            recall=tuple(recall for _, recall in curves),
            images=len(images),
            detections=sum(len(image.found["scores"]) for image in images),
        )

    def _hits(self, images: list[Image], label: int) -> tuple[np.ndarray, int]:
        """Whether each counted detection of a class is a hit, by falling score, and how many objects there are."""
        scores, matches, count = [np.zeros(0)], [np.zeros(0, np.int64)], 0
        for image in images:
            found = image.found["classes"] == label
            there = image.truth["classes"] == label
            score, boxes = image.found["scores"][found], image.found["boxes"][found]
            if self.devkit_digits:
                score, boxes = score.round(3), boxes.astype(float).round(1)
            scores.append(score)
            difficult = image.truth["difficult"][there]
            matches.append(self._match(boxes, image.truth["boxes"][there], difficult, start=count))
            count += int((~difficult).sum())
        match = np.concatenate(matches)[np.argsort(-np.concatenate(scores), kind="stable")]
        match = match[match != DIFFICULT]
        hits = np.zeros(len(match), bool)
        # The first detection of an object is the hit, all later ones are misses.
        objects, first = np.unique(match, return_index=True)
        hits[first[objects != MISS]] = True
        return hits, count

    def _match(self, boxes: np.ndarray, truth: np.ndarray, difficult: np.ndarray, start: int) -> np.ndarray:
        """[K] number of the object that each detection lies on, counted from `start`, or MISS or DIFFICULT."""
        if not len(boxes) or not len(truth):
            return np.full(len(boxes), MISS)
        common = box_iou(boxes.astype(float), truth.astype(float), pixel=1.0)
        best = common.argmax(axis=1)
        # Only objects that are not difficult have a number.
        numbers = np.where(difficult, DIFFICULT, start + np.cumsum(~difficult) - 1)
        return np.where(common.max(axis=1) > self.iou, numbers[best], MISS)


def curve(hits: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall after each detection.

    Args:
        hits: [D] bool, by falling score.
        count: Objects that could be found.

    Returns:
        ([D], [D]) precision and recall; recall is NaN where count is 0.
    """
    found = np.cumsum(hits)
    precision = found / np.arange(1, len(hits) + 1)
    recall = found / count if count else np.full(len(hits), np.nan)
    return precision, recall


def eleven_points(precision: np.ndarray, recall: np.ndarray) -> float:
    """Mean of the best precisions at recalls of at least 0, 0.1, ..., 1 (VOC 2007). Both arrays are [D]."""
    # The best precision from each detection on; a level that is never reached counts 0.
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(best[np.searchsorted(recall, RECALL_LEVELS, side="left")].mean())


def area_below(precision: np.ndarray, recall: np.ndarray) -> float:
    """Area below the precision-recall curve, made falling first (VOC 2010). Both arrays are [D]."""
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0.0) * best).sum())
