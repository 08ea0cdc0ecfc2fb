"""Average precision of joints as COCO counts it: object keypoint similarity in the place of overlap, any skeleton.

A joint that is d pixels off scores exp(-d^2 / (2 area (2 sigma)^2)), an object the mean over its labelled joints, the
hidden ones too; 0.50 to 0.95 of it make a hit. pycocotools' own COCOeval does the counting, without files on the way.
"""

import contextlib
import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from centernet_tf.errors import DataError, UsageError
from centernet_tf.metrics.boxes import BoxMetric, mean_where_known
from centernet_tf.skeleton import Skeleton

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


class CocoJoints(BoxMetric):
    """COCO's keypoint metric. Crowds and objects without a labelled joint are neither hits nor misses."""

    def __init__(
        self,
        names: Sequence[str],
        skeleton: Skeleton,
        max_detections: int = MAX_DETECTIONS,
        digits: int | None = None,
    ) -> None:
        """Starts without images.

        Args:
            names: Name of each class, by 0-based index.
            skeleton: Its joints and their sigmas.
            max_detections: Detections per image and class that count, the best ones. COCO's is 20; raise it where
                images hold more objects.
            digits: Decimals that joints and scores are rounded to; published CenterNet scores were computed with 2.

        Raises:
            DataError: There are no names.
            UsageError: max_detections is below 1.
        """
        super().__init__(names)
        if max_detections < 1:
            raise UsageError(f"CocoJoints: max_detections is {max_detections}, expected at least 1.")
        self.skeleton = skeleton
        self.max_detections = max_detections
        self.digits = digits

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

    def result(self) -> JointScores:
        """Scores all images so far.

        Raises:
            DataError: There are none.
        """
        evaluation = self.evaluation()
        precision = _known(evaluation.eval["precision"])[..., 0]  # [T, R, C, areas]
        recall = _known(evaluation.eval["recall"])[..., 0]  # [T, C, areas]
        truth = np.zeros(len(self.names), np.int64)
        for image in self.images.values():
            counts = (image.truth["joints"][..., 2] > 0).any(axis=1) & ~image.truth["crowd"]
            truth += np.bincount(image.truth["classes"][counts], minlength=len(truth))
        return JointScores(
            summary=_summary(precision, recall),
            names=self.names,
            ap=np.array([mean_where_known(precision[:, :, index, 0]) for index in range(len(truth))]),
            ap50=np.array([mean_where_known(precision[0, :, index, 0]) for index in range(len(truth))]),
            truth=truth,
            joints=self.skeleton.joints,
            images=len(self.images),
            detections=sum(len(image.found["scores"]) for image in self.images.values()),
        )

    def evaluation(self) -> COCOeval:
        """pycocotools' evaluation of all images so far, done and accumulated; its `ious` hold every similarity."""
        images = self._sorted_images()
        with contextlib.redirect_stdout(io.StringIO()):
            truth = self._index([row for id_, image in images for row in self._truth_rows(id_, image.truth)])
            found = self._index([row for id_, image in images for row in self._found_rows(id_, image.found)])
            evaluation = COCOeval(truth, found, "keypoints")
            evaluation.params.kpt_oks_sigmas = np.array(self.skeleton.sigmas)
            evaluation.params.maxDets = [self.max_detections]
            evaluation.evaluate()
            evaluation.accumulate()
        return evaluation

    def _joints(self, what: str, rows: Mapping[str, Any], width: int) -> np.ndarray:
        joints = np.array(rows["joints"], np.float64)
        count = len(np.asarray(rows["boxes"]).reshape(-1, 4))
        expected = (count, len(self.skeleton.joints), width)
        if joints.shape != expected and (joints.size or count):
            raise DataError(f"{what}: joints have shape {joints.shape}, expected {expected}.")
        if not np.isfinite(joints).all():
            raise DataError(f"{what}: joints hold NaN or infinity.")
        return joints.reshape(expected)

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

    def _found_rows(self, image_id: int, found: dict[str, np.ndarray]) -> list[dict]:
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


def _known(values: np.ndarray) -> np.ndarray:
    """COCOeval says -1 where nothing is annotated."""
    return np.where(values < 0, np.nan, values)


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
