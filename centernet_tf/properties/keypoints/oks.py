"""Average precision of keypoints as COCO counts it: object keypoint similarity in the place of IoU, any skeleton.

A keypoint that is d pixels off scores exp(-d^2 / (2 area (2 sigma)^2)), an object the mean over its labelled keypoints,
the hidden ones too; 0.50 to 0.95 of it make a hit.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from centernet_tf.errors import DataError
from centernet_tf.metrics.boxes import mean_where_known
from centernet_tf.metrics.coco_counting import CocoMetric, where_known
from centernet_tf.metrics.ignored import as_crowd
from centernet_tf.properties.keypoints.scores import KeypointScores
from centernet_tf.properties.keypoints.skeleton import COCO_PERSON, Skeleton
from centernet_tf.properties.metric import ImageKey, Metric
from centernet_tf.properties.property import Rows

MAX_DETECTIONS = 20
_COLUMNS = ("boxes", "classes", "crowd", "difficult", "ignored", "area", "keypoints", "keypoint_labels")


class CocoKeypoints(CocoMetric, Metric):
    """COCO's keypoint metric. Crowds and objects without a labelled keypoint are neither hits nor misses."""

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
            skeleton: Its keypoints and their sigmas.
            max_detections: Detections per image and class that count, the best ones. COCO's is 20, which is taken for
                its persons; other skeletons get as many as the fullest image has objects with keypoints, at least 20.
            digits: Decimals that keypoints and scores are rounded to; published CenterNet scores were computed with 2.

        Raises:
            DataError: There are no names.
            UsageError: max_detections is below 1.
        """
        super().__init__(names, MAX_DETECTIONS if max_detections is None else max_detections, digits)
        self.skeleton = skeleton
        self._grows = max_detections is None and skeleton.keypoints != COCO_PERSON.keypoints

    def update(self, image: ImageKey, found: Rows, truth: Rows) -> None:
        """Adds an image.

        Args:
            image: Which one; each comes once.
            found: As in `Metric.update`, with "keypoints" [K, J, 2] x, y in pixels of the original image.
            truth: As in `Metric.update`, with "keypoints" [N, J, 2] and "keypoint_labels" [N, J], above 0 where
                labelled. "area" is part of the similarity.

        Raises:
            DataError: As in `BoxMetric.add`, also for the keypoints.
        """
        places = self._points(f"detections of image {image.image_id}", found)
        self._points(f"ground truth of image {image.image_id}", truth)
        there = as_crowd({name: truth[name] for name in _COLUMNS}, len(self.names))
        self.add(image.image_id, found, there)
        added = self.images[image.image_id]
        labels = np.asarray(there["keypoint_labels"]).reshape(-1, len(self.skeleton.keypoints))
        added.found["keypoints"] = places
        added.truth["keypoints"] = np.asarray(there["keypoints"], np.float64).reshape(*labels.shape, 2)
        added.truth["keypoint_labels"] = labels
        added.truth["labelled"] = labelled = (labels > 0).any(axis=1)
        if self._grows:
            self.max_detections = max(self.max_detections, int(labelled.sum()))

    def result(self) -> KeypointScores | None:
        """Scores all images so far; None where no object has a labelled keypoint."""
        if not any((image.truth["labelled"] & ~image.truth["crowd"]).any() for image in self.images.values()):
            return None
        evaluation = self.evaluation()
        precision = where_known(evaluation.eval["precision"])[..., 0]  # [T, R, C, areas]
        recall = where_known(evaluation.eval["recall"])[..., 0]  # [T, C, areas]
        ap, ap50 = self.of_classes(precision[..., 0])
        return KeypointScores(
            summary=_summary(precision, recall),
            names=self.names,
            ap=ap,
            ap50=ap50,
            truth=self.count_truth("labelled"),
            keypoints=self.skeleton.keypoints,
            images=len(self.images),
            detections=self.detections,
        )

    def adjust(self, parameters: Any) -> None:
        """The skeleton's tolerances, and one limit."""
        parameters.kpt_oks_sigmas = np.array(self.skeleton.sigmas)
        parameters.maxDets = [self.max_detections]

    def _points(self, what: str, rows: Rows) -> np.ndarray:
        """[N, J, 2] float64 of rows, if they are."""
        points = np.array(rows["keypoints"], np.float64)
        count = len(np.asarray(rows["boxes"]).reshape(-1, 4))
        expected = (count, len(self.skeleton.keypoints), 2)
        if points.shape != expected and (points.size or count):
            raise DataError(f"{what}: keypoints have shape {points.shape}, expected {expected}.")
        if not np.isfinite(points).all():
            raise DataError(f"{what}: keypoints hold NaN or infinity.")
        return points.reshape(expected)

    def truth_rows(self, image_id: int, truth: dict[str, np.ndarray]) -> list[dict]:
        """Objects with all their keypoints, labelled or not."""
        columns = (truth["boxes"].tolist(), truth["classes"].tolist(), truth["area"].tolist(), truth["crowd"])
        points = np.concatenate([truth["keypoints"], truth["keypoint_labels"][..., None]], axis=-1)  # [N, J, 3]
        return [
            {
                "image_id": image_id,
                "category_id": label + 1,
                "bbox": [left, top, right - left, bottom - top],
                "area": area,
                "iscrowd": int(crowd),
                "keypoints": keypoints.ravel().tolist(),
                "num_keypoints": int((keypoints[:, 2] > 0).sum()),
            }
            for (left, top, right, bottom), label, area, crowd, keypoints in zip(*columns, points)
        ]

    def found_rows(self, image_id: int, found: dict[str, np.ndarray]) -> list[dict]:
        """Likewise, rounded where asked for."""
        keypoints, scores = found["keypoints"], found["scores"]
        if self.digits is not None:
            keypoints, scores = keypoints.round(self.digits), scores.round(self.digits)
        rows = []
        for label, score, points in zip(found["classes"].tolist(), scores.tolist(), keypoints):
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
