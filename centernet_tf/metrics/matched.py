"""Which detection is which object at one IoU, of all images as long columns, as COCO's evaluation decides it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from centernet_tf.errors import UsageError
from centernet_tf.metrics.boxes import Image
from centernet_tf.metrics.coco import CocoBoxes

RECALLS = np.linspace(0.0, 1.0, 101)  # that COCO averages precision over


@dataclasses.dataclass(frozen=True)
class Matched:
    """Detections and objects of all images, those of an image behind each other and in its order.

    Attributes:
        names: Of the classes.
        ids: [I] of the images, rising.
        boxes: [D, 4] left, top, right, bottom in pixels of the image.
        scores: [D].
        classes: [D].
        image: [D] place of its image in `ids`.
        match: [D] row of the object that it is, -1 where it is none.
        counted: [D] bool: neither on a crowd nor beyond the most detections of an image and class.
        truth_boxes: [N, 4].
        truth_classes: [N].
        truth_area: [N] in pixels squared, as annotated.
        truth_image: [N] place of its image in `ids`.
        wanted: [N] bool: no crowd.
    """

    names: tuple[str, ...]
    ids: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    image: np.ndarray
    match: np.ndarray
    counted: np.ndarray
    truth_boxes: np.ndarray
    truth_classes: np.ndarray
    truth_area: np.ndarray
    truth_image: np.ndarray
    wanted: np.ndarray

    @property
    def hits(self) -> np.ndarray:
        """[D] bool: those that count and are an object."""
        return self.counted & (self.match >= 0)

    @property
    def objects(self) -> np.ndarray:
        """[C] int: wanted objects of each class."""
        return np.bincount(self.truth_classes[self.wanted], minlength=len(self.names))

    def above(self, thresholds: np.ndarray) -> "Matched":
        """The same with detections that score above the threshold of their class [C] only; none of them loses its
        object by that, for objects go to the best first."""
        kept = self.scores > thresholds[self.classes]
        columns = ("boxes", "scores", "classes", "image", "match", "counted")
        return dataclasses.replace(self, **{name: getattr(self, name)[kept] for name in columns})


def match(boxes: CocoBoxes, iou: float = 0.5) -> Matched:
    """Matches what was found with what is there, as `boxes` counts it but at one IoU.

    Args:
        boxes: All images.
        iou: That makes a hit.

    Raises:
        UsageError: The IoU is not above 0 and at most 1.
        DataError: There are no images.
    """
    if not 0 < iou <= 1:
        raise UsageError(f"IoU {iou:g}: expected above 0 and at most 1, such as 0.5.")
    evaluated = _AtOne(boxes, iou)
    columns = _columns(boxes.names, sorted(boxes.images.items()))
    for part in evaluated.evaluation().evalImgs:
        if part is None:
            continue
        # Ids count all rows from 1.
        rows = np.array(part["dtIds"], int) - 1
        columns["scores"][rows] = part["dtScores"]
        columns["match"][rows] = np.asarray(part["dtMatches"][0], int) - 1
        columns["counted"][rows] = ~np.asarray(part["dtIgnore"][0], bool)
    columns["match"][~columns["counted"]] = -1
    return Matched(**columns)


class _AtOne(CocoBoxes):
    """COCO's evaluation at a single IoU and of objects of any size."""

    def __init__(self, boxes: CocoBoxes, iou: float) -> None:
        super().__init__(boxes.names, boxes.max_detections, boxes.digits)
        self.images, self.iou = boxes.images, iou

    def adjust(self, parameters: Any) -> None:
        parameters.iouThrs = np.array([self.iou])
        parameters.maxDets = [self.max_detections]
        parameters.areaRng, parameters.areaRngLbl = [[0, 1e10]], ["all"]


def _columns(names: tuple[str, ...], images: Sequence[tuple[int, Image]]) -> dict[str, Any]:
    """`Matched` before anything is matched."""
    found, truth = ([getattr(image, part) for _, image in images] for part in ("found", "truth"))

    def joined(parts: Sequence[Mapping[str, np.ndarray]], name: str) -> np.ndarray:
        return np.concatenate([part[name] for part in parts])

    counts = [[len(part["boxes"]) for part in parts] for parts in (found, truth)]
    image, truth_image = (np.repeat(np.arange(len(images)), count) for count in counts)
    return {
        "names": names,
        "ids": np.array([image_id for image_id, _ in images]),
        **{name: joined(found, name) for name in ("boxes", "scores", "classes")},
        "image": image,
        "match": np.full(len(image), -1),
        "counted": np.zeros(len(image), bool),
        **{f"truth_{name}": joined(truth, name) for name in ("boxes", "classes", "area")},
        "truth_image": truth_image,
        "wanted": ~joined(truth, "crowd"),
    }


def average_precision(hits: np.ndarray, scores: np.ndarray, count: int) -> float:
    """COCO's AP of one class at one IoU: the mean over 101 recalls of the best precision at such a recall or above.

    Args:
        hits: [D] bool.
        scores: [D]; of equal ones the first counts as better.
        count: Objects that could be found; NaN where there are none.
    """
    if not count:
        return float("nan")
    found = np.cumsum(hits[np.argsort(-scores, kind="stable")])
    precision = found / np.arange(1, len(found) + 1)
    # The best precision from each detection on; a recall that is never reached counts 0.
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(best[np.searchsorted(found / count, RECALLS, side="left")].mean())
