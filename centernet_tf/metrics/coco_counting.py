"""What COCO's metrics share: pycocotools' own COCOeval does the counting, without files."""

import abc
import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from centernet_tf.errors import UsageError
from centernet_tf.metrics.boxes import BoxMetric, mean_where_known


class CocoMetric(BoxMetric):
    """Turns images into COCO's rows and counts them. Crowds are neither hits nor misses.

    Attributes:
        kind: What COCOeval compares, its `iouType`, such as "bbox".
    """

    kind = ""

    def __init__(self, names: Sequence[str], max_detections: int, digits: int | None) -> None:
        """Starts without images.

        Args:
            names: Name of each class, by 0-based index.
            max_detections: Detections per image and class that count, the best ones.
            digits: Decimals that numbers of detections are rounded to; None rounds nothing.

        Raises:
            DataError: There are no names.
            UsageError: max_detections is below 1.
        """
        super().__init__(names)
        if max_detections < 1:
            raise UsageError(f"{type(self).__name__}: max_detections is {max_detections}, expected at least 1.")
        self.max_detections = max_detections
        self.digits = digits

    @abc.abstractmethod
    def truth_rows(self, image_id: int, truth: dict[str, np.ndarray]) -> list[dict]:
        """Annotations of an image as COCO writes them, without ids."""

    @abc.abstractmethod
    def found_rows(self, image_id: int, found: dict[str, np.ndarray]) -> list[dict]:
        """Detections of an image as COCO's `loadRes` makes them, without ids."""

    def image_row(self, image_id: int) -> dict[str, Any]:
        """An image as COCO writes it."""
        return {"id": image_id}

    @abc.abstractmethod
    def adjust(self, parameters: Any) -> None:
        """Changes COCOeval's parameters."""

    def evaluation(self) -> COCOeval:
        """pycocotools' evaluation of all images so far, done and accumulated; its `ious` hold that of every pair."""
        images = self._sorted_images()
        with contextlib.redirect_stdout(io.StringIO()):
            truth = self._index([row for image_id, image in images for row in self.truth_rows(image_id, image.truth)])
            found = self._index([row for image_id, image in images for row in self.found_rows(image_id, image.found)])
            evaluation = COCOeval(truth, found, self.kind)
            self.adjust(evaluation.params)
            evaluation.evaluate()
            evaluation.accumulate()
        return evaluation

    def _index(self, rows: list[dict]) -> COCO:
        # Ids count from 1: COCOeval keeps the id of a match and reads 0 as no match.
        coco = COCO()
        coco.dataset = {
            "images": [self.image_row(image_id) for image_id in self.images],
            "categories": [{"id": index + 1, "name": name} for index, name in enumerate(self.names)],
            "annotations": [{"id": number, **row} for number, row in enumerate(rows, start=1)],
        }
        coco.createIndex()
        return coco

    def of_classes(self, precision: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[C] AP and [C] AP50 of a precision [IoUs, recalls, C]; NaN where a class has no truth."""
        ap, ap50 = (
            np.array([mean_where_known(part[..., index]) for index in range(len(self.names))])
            for part in (precision, precision[0])
        )
        return ap, ap50

    def count_truth(self, counts: str | None = None) -> np.ndarray:
        """[C] int, annotated objects that are no crowds; those only that a mask among the truth's arrays keeps."""
        total = np.zeros(len(self.names), np.int64)
        for image in self.images.values():
            kept = ~image.truth["crowd"] & (image.truth[counts] if counts else True)
            total += np.bincount(image.truth["classes"][kept], minlength=len(total))
        return total

    @property
    def detections(self) -> int:
        """Number of detections in all images."""
        return sum(len(image.found["scores"]) for image in self.images.values())


def where_known(values: np.ndarray) -> np.ndarray:
    """COCOeval's numbers, which are -1 where nothing is annotated, with NaN there."""
    return np.where(values < 0, np.nan, values)
