"""Average precision of joints as COCO counts it: object keypoint similarity in the place of overlap, any skeleton.

A joint that is d pixels off scores exp(-d^2 / (2 area (2 sigma)^2)), an object the mean over its labelled joints, the
hidden ones too; 0.50 to 0.95 of it make a hit.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from centernet_tf.errors import DataError
from centernet_tf.metrics.boxes import mean_where_known
from centernet_tf.metrics.coco_counting import CocoMetric, where_known
from centernet_tf.skeleton import COCO_PERSON, Skeleton

MAX_DETECTIONS = 20


@dataclasses.dataclass(frozen=True)
class JointScores:
    """What COCO's evaluation says of joints. Numbers run from 0 to 1 and are NaN where there is no truth.

    Attributes:
        summary: The means that COCO prints: AP (over similarities 0.50 to 0.95), AP50, AP75, APm, APl (objects of 32x32
            to 96x96 pixels, above), and AR, AR50, AR75, ARm, ARl.
        names: Name of each class.
        ap: [C] AP of each class; NaN for those without joints.
        ap50: [C] AP50 of each class.
        truth: [C] int, annotated objects with at least one labelled joint that are no crowds.
        joints: Name of each joint.
        images: Number of images.
        detections: Number of detections in them.
    """

    summary: dict[str, float]
    names: tuple[str, ...]
    ap: np.ndarray
    ap50: np.ndarray
    truth: np.ndarray
    joints: tuple[str, ...]
    images: int
    detections: int


class CocoJoints(CocoMetric):
    """COCO's keypoint metric. Crowds and objects without a labelled joint are neither hits nor misses."""

    kind = "keypoints"

    def __init__(
        self,
        names: Sequence[str],
        skeleton: Skeleton,
        max_detections: int | None = None,
        digits: int | None = None,
    ) -> None:
        """Starts without images.

        Args:
            names: Name of each class, by 0-based index.
            skeleton: Its joints and their sigmas.
            max_detections: Detections per image and class that count, the best ones. COCO's is 20, which is taken for
                its persons; other skeletons get as many as the fullest image has objects with joints, at least 20.
            digits: Decimals that joints and scores are rounded to; published CenterNet scores were computed with 2.

        Raises:
            DataError: There are no names.
            UsageError: max_detections is below 1.
        """
        super().__init__(names, MAX_DETECTIONS if max_detections is None else max_detections, digits)
        self.skeleton = skeleton
        self._grows = max_detections is None and skeleton.joints != COCO_PERSON.joints

    def update(self, image_id: int, detections: Mapping[str, Any], truth: Mapping[str, Any]) -> None:
        """Adds an image, each once.

        Args:
            image_id: Any whole number.
            detections: As in `BoxMetric.update`, and "joints" [K, J, 2] x, y in pixels of the original image.
            truth: As in `BoxMetric.update`, and "joints" [N, J, 3] x, y and label, above 0 where labelled. "area" is
                part of the similarity.

        Raises:
            DataError: As in `BoxMetric.update`, also for the joints.
        """
        found = self._joints(f"detections of image {image_id}", detections, 2)
        there = self._joints(f"truth of image {image_id}", truth, 3)
        super().update(image_id, detections, truth)
        self.images[image_id].found["joints"] = found
        self.images[image_id].truth["joints"] = there
        self.images[image_id].truth["labelled"] = labelled = (there[..., 2] > 0).any(axis=1)
        if self._grows:
            self.max_detections = max(self.max_detections, int(labelled.sum()))

    def result(self) -> JointScores:
        """Scores all images so far.

        Raises:
            DataError: There are none.
        """
        evaluation = self.evaluation()
        precision = where_known(evaluation.eval["precision"])[..., 0]  # [T, R, C, areas]
        recall = where_known(evaluation.eval["recall"])[..., 0]  # [T, C, areas]
        ap, ap50 = self.of_classes(precision[..., 0])
        return JointScores(
            summary=_summary(precision, recall),
            names=self.names,
            ap=ap,
            ap50=ap50,
            truth=self.count_truth("labelled"),
            joints=self.skeleton.joints,
            images=len(self.images),
            detections=self.detections,
        )

    def adjust(self, parameters: Any) -> None:
        """The skeleton's tolerances, and one limit."""
        parameters.kpt_oks_sigmas = np.array(self.skeleton.sigmas)
        parameters.maxDets = [self.max_detections]

    def _joints(self, what: str, rows: Mapping[str, Any], width: int) -> np.ndarray:
        joints = np.array(rows["joints"], np.float64)
        count = len(np.asarray(rows["boxes"]).reshape(-1, 4))
        expected = (count, len(self.skeleton.joints), width)
        if joints.shape != expected and (joints.size or count):
            raise DataError(f"{what}: joints have shape {joints.shape}, expected {expected}.")
        if not np.isfinite(joints).all():
            raise DataError(f"{what}: joints hold NaN or infinity.")
        return joints.reshape(expected)

    def truth_rows(self, image_id: int, truth: dict[str, np.ndarray]) -> list[dict]:
        """Objects with all their joints, labelled or not."""
        columns = (truth["boxes"].tolist(), truth["classes"].tolist(), truth["area"].tolist(), truth["crowd"])
        return [
            {
                "image_id": image_id,
                "category_id": label + 1,
                "bbox": [left, top, right - left, bottom - top],
                "area": area,
                "iscrowd": int(crowd),
                "keypoints": joints.ravel().tolist(),
                "num_keypoints": int((joints[:, 2] > 0).sum()),
            }
            for (left, top, right, bottom), label, area, crowd, joints in zip(*columns, truth["joints"])
        ]

    def found_rows(self, image_id: int, found: dict[str, np.ndarray]) -> list[dict]:
        """Likewise, rounded where asked for."""
        joints, scores = found["joints"], found["scores"]
        if self.digits is not None:
            joints, scores = joints.round(self.digits), scores.round(self.digits)
        rows = []
        for label, score, points in zip(found["classes"].tolist(), scores.tolist(), joints):
            (left, top), (width, height) = points.min(axis=0), np.ptp(points, axis=0)  # as COCO's loadRes has it
            rows.append(
                {
                    "image_id": image_id,
                    "category_id": label + 1,
                    "score": score,
                    "keypoints": np.pad(points, ((0, 0), (0, 1)), constant_values=1).ravel().tolist(),
                    "bbox": [float(value) for value in (left, top, width, height)],
                    "area": float(width * height),
                    "iscrowd": 0,
                }
            )
        return rows


def _summary(precision: np.ndarray, recall: np.ndarray) -> dict[str, float]:
    """COCO's means of precision [T, R, C, areas] and recall [T, C, areas]; areas are all, medium, large."""
    return {
        f"{kind}{name}": mean_where_known(part)
        for kind, values in (("AP", precision), ("AR", recall))
        for name, part in (
            ("", values[..., 0]),
            ("50", values[0, ..., 0]),
            ("75", values[5, ..., 0]),
            ("m", values[..., 1]),
            ("l", values[..., 2]),
        )
    }
