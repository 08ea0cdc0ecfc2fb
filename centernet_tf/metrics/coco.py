"""Average precision of boxes as COCO counts it, by pycocotools' own COCOeval."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from centernet_tf.metrics.boxes import mean_where_known
from centernet_tf.metrics.coco_counting import CocoMetric, where_known


@dataclasses.dataclass(frozen=True)
class CocoScores:
    """What COCO's evaluation says. Numbers run from 0 to 1 and are NaN where there is no truth to score against.

    Attributes:
        summary: The means that COCO prints: AP (over IoU 0.50 to 0.95), AP50, AP75, APs, APm, APl (objects below
            32x32 pixels, up to 96x96, above), AR1, AR10, AR100 (by detections per image) and ARs, ARm, ARl. With a
            limit of detections other than 1, 10 and 100, also AR<limit>.
        names: Name of each class.
        ap: [C] AP of each class.
        ap50: [C] AP50 of each class.
        truth: [C] int, annotated objects that are no crowds.
        precision: [10, 101, C] at each IoU and recall.
        ious: [10] 0.5 to 0.95.
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
    ious: np.ndarray
    recall: np.ndarray
    images: int
    detections: int


class CocoBoxes(CocoMetric):
    """COCO's box metric. Crowds are neither hits nor misses; several detections may fall on one."""

    kind = "bbox"

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
        super().__init__(names, max_detections, digits)

    def result(self) -> CocoScores:
        """Scores all images so far.

        Raises:
            DataError: There are none.
        """
        evaluation = self.evaluation()
        last = evaluation.params.maxDets.index(self.max_detections)
        precision = where_known(evaluation.eval["precision"])  # [T, R, C, areas, limits]
        recall = where_known(evaluation.eval["recall"])  # [T, C, areas, limits]
        overall = precision[..., 0, last]
        ap, ap50 = self.of_classes(overall)
        return CocoScores(
            summary=summarize(precision, recall, evaluation.params.maxDets, last),
            names=self.names,
            ap=ap,
            ap50=ap50,
            truth=self.count_truth(),
            precision=overall,
            ious=evaluation.params.iouThrs,
            recall=evaluation.params.recThrs,
            images=len(self.images),
            detections=self.detections,
        )

    def adjust(self, parameters: Any) -> None:
        """AP at the limit, and COCO's recalls at 1, 10 and 100."""
        parameters.maxDets = limits_up_to(self.max_detections)

    def truth_rows(self, image_id: int, truth: dict[str, np.ndarray]) -> list[dict]:
        """Boxes as left, top, width, height."""
        return [
            {"image_id": image_id, "category_id": label + 1, "bbox": box, "area": area, "iscrowd": int(crowd)}
            for label, box, area, crowd in zip(
                truth["classes"].tolist(), _corner_and_size(truth["boxes"]), truth["area"].tolist(), truth["crowd"]
            )
        ]

    def found_rows(self, image_id: int, found: dict[str, np.ndarray]) -> list[dict]:
        """Likewise, rounded where asked for."""
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


def limits_up_to(most: int) -> list[int]:
    """Detections per image of COCO's recalls, and of an AP that looks at this many."""
    return sorted({1, 10, 100, most})


def summarize(precision: np.ndarray, recall: np.ndarray, limits: list[int], last: int) -> dict[str, float]:
    """COCO's means, from the arrays themselves: COCOeval.summarize prints -1 unless the limits are its own three.

    Args:
        precision: [IoUs, recalls, classes, areas, limits]; areas are all, small, medium, large.
        recall: [IoUs, classes, areas, limits].
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
