"""Average precision of boxes as COCO counts it, by pycocotools' own COCOeval, without files on the way."""

import contextlib
import dataclasses
import io
from collections.abc import Sequence

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from centernet_tf.errors import UsageError
from centernet_tf.metrics.boxes import BoxMetric, mean_where_known


@dataclasses.dataclass(frozen=True)
class CocoScores:
    """What COCO's evaluation says. Numbers run from 0 to 1 and are NaN where there is no truth to score against.

    Attributes:
        summary: The means that COCO prints: AP (over overlaps 0.50 to 0.95), AP50, AP75, APs, APm, APl (objects below
            32x32 pixels, up to 96x96, above), AR1, AR10, AR100 (by detections per image) and ARs, ARm, ARl. With a
            limit of detections other than 1, 10 and 100, also AR<limit>.
        names: Name of each class.
        ap: [C] AP of each class.
        ap50: [C] AP50 of each class.
        truth: [C] int, annotated objects that are no crowds.
        precision: [10, 101, C] at each overlap and recall.
        overlaps: [10] the overlaps, 0.5 to 0.95.
        recall: [101] the recalls, 0 to 1.
        images: Number of images.
        detections: Number of detections in them.
    """

    summary: dict[str, float]
    names: tuple[str, ...]
    ap: np.ndarray
    ap50: np.ndarray
    truth: np.ndarray
    precision: np.ndarray
    overlaps: np.ndarray
    recall: np.ndarray
    images: int
    detections: int


class CocoBoxes(BoxMetric):
    """COCO's box metric. Crowds are neither hits nor misses; several detections may fall on one."""

    def __init__(self, names: Sequence[str], max_detections: int = 100, digits: int | None = None) -> None:
        """Starts without images.

        Args:
            names: Name of each class, by 0-based index.
            max_detections: Detections per image and class that AP looks at, the best ones. COCO's is 100; raise it
                where images hold more objects.
            digits: Decimals that boxes (left, top, width, height) and scores are rounded to. Published CenterNet scores
                were computed with 2; None rounds nothing.

        Raises:
            DataError: There are no names.
            UsageError: max_detections is below 1.
        """
        super().__init__(names)
        if max_detections < 1:
            raise UsageError(f"CocoBoxes: max_detections is {max_detections}, expected at least 1.")
        self.max_detections = max_detections
        self.digits = digits

    def result(self) -> CocoScores:
        """Scores all images so far.

        Raises:
            DataError: There are none.
        """
        evaluation = self._evaluate()
        last = evaluation.params.maxDets.index(self.max_detections)
        precision = _known(evaluation.eval["precision"])  # [T, R, C, areas, limits]
        recall = _known(evaluation.eval["recall"])  # [T, C, areas, limits]
        truth = np.zeros(len(self.names), np.int64)
        for image in self.images.values():
            truth += np.bincount(image.truth["classes"][~image.truth["crowd"]], minlength=len(truth))
        overall = precision[..., 0, last]
        return CocoScores(
            summary=_summary(precision, recall, evaluation.params.maxDets, last),
            names=self.names,
            ap=np.array([mean_where_known(overall[:, :, index]) for index in range(len(truth))]),
            ap50=np.array([mean_where_known(overall[0, :, index]) for index in range(len(truth))]),
            truth=truth,
            precision=overall,
            overlaps=evaluation.params.iouThrs,
            recall=evaluation.params.recThrs,
            images=len(self.images),
            detections=sum(len(image.found["scores"]) for image in self.images.values()),
        )

    def _evaluate(self) -> COCOeval:
        images = self._sorted_images()
        with contextlib.redirect_stdout(io.StringIO()):
            truth = self._index([row for image_id, image in images for row in self._truth_rows(image_id, image.truth)])
            found = self._index([row for image_id, image in images for row in self._found_rows(image_id, image.found)])
            evaluation = COCOeval(truth, found, "bbox")
            evaluation.params.maxDets = sorted({1, 10, 100, self.max_detections})
            evaluation.evaluate()
            evaluation.accumulate()
        return evaluation

    def _index(self, rows: list[dict]) -> COCO:
        # Ids count from 1: COCOeval keeps the id of a match and reads 0 as no match.
        coco = COCO()
        coco.dataset = {
            "images": [{"id": image_id} for image_id in self.images],
            "categories": [{"id": index + 1, "name": name} for index, name in enumerate(self.names)],
            "annotations": [{"id": number, **row} for number, row in enumerate(rows, start=1)],
        }
        coco.createIndex()
        return coco

    @staticmethod
    def _truth_rows(image_id: int, truth: dict[str, np.ndarray]) -> list[dict]:
        return [
            {"image_id": image_id, "category_id": label + 1, "bbox": box, "area": area, "iscrowd": int(crowd)}
            for label, box, area, crowd in zip(
                truth["classes"].tolist(), _corner_and_size(truth["boxes"]), truth["area"].tolist(), truth["crowd"]
            )
        ]

    def _found_rows(self, image_id: int, found: dict[str, np.ndarray]) -> list[dict]:
        rounded = float if self.digits is None else lambda value: float(f"{value:.{self.digits}f}")
        rows = []
        for label, box, score in zip(found["classes"].tolist(), _corner_and_size(found["boxes"]), found["scores"]):
            box = [rounded(value) for value in box]
            rows.append(
                {
                    "image_id": image_id,
                    "category_id": label + 1,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                    "score": rounded(score),
                }
            )
        return rows


def _corner_and_size(boxes: np.ndarray) -> list[list[float]]:
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).tolist()


def _known(values: np.ndarray) -> np.ndarray:
    """COCOeval says -1 where nothing is annotated."""
    return np.where(values < 0, np.nan, values)


def _summary(precision: np.ndarray, recall: np.ndarray, limits: list[int], last: int) -> dict[str, float]:
    """COCO's means, from the arrays themselves: COCOeval.summarize prints -1 unless the limits are its own three.

    Args:
        precision: [overlaps, recalls, classes, areas, limits]; areas are all, small, medium, large.
        recall: [overlaps, classes, areas, limits].
        limits: Detections per image.
        last: Index of the limit that AP is taken at.
    """
    small, medium, large = 1, 2, 3
    values = {
        "AP": precision[..., 0, last],
        "AP50": precision[0, ..., 0, last],
        "AP75": precision[5, ..., 0, last],
        "APs": precision[..., small, last],
        "APm": precision[..., medium, last],
        "APl": precision[..., large, last],
        **{f"AR{limit}": recall[..., 0, index] for index, limit in enumerate(limits)},
        "ARs": recall[..., small, last],
        "ARm": recall[..., medium, last],
        "ARl": recall[..., large, last],
    }
    return {name: mean_where_known(array) for name, array in values.items()}
