"""Percentage of correct keypoints: how many keypoints lie within a fraction of their object's size (Yang and Ramanan
2013).

It needs no tolerances of keypoints, and tells which of them are hard to find.
"""

from collections.abc import Sequence

import numpy as np

from centernet_tf.metrics.matches import pair
from centernet_tf.properties.keypoints.scores import PckScores
from centernet_tf.properties.metric import ImageKey, Metric
from centernet_tf.properties.property import Rows

FRACTIONS = (0.05, 0.1, 0.2)


class CorrectKeypoints(Metric):
    """Gathers how far keypoints are off, whatever the scores of the detections."""

    def __init__(self, names: Sequence[str], fractions: Sequence[float] = FRACTIONS) -> None:
        """Starts without images.

        Args:
            names: Of the keypoints.
            fractions: See `scores.PckScores`.
        """
        self.names = tuple(names)
        self.fractions = tuple(fractions)
        self._right = np.zeros((len(self.names), len(self.fractions)), np.int64)
        self._labelled = np.zeros(len(self.names), np.int64)

    def update(self, image: ImageKey, found: Rows, truth: Rows) -> None:
        """Adds an image.

        Args:
            image: Not looked at.
            found: As in `Metric.update`, with "keypoints" [K, J, 2] x, y in pixels.
            truth: As in `Metric.update`, with "keypoints" [N, J, 2] and "keypoint_labels" [N, J], above 0 where
                labelled. Crowds and ignored objects do not count.
        """
        own = ~np.asarray(truth["crowd"], bool) & ~np.asarray(truth["ignored"], bool)
        boxes, keypoints = (np.asarray(truth[name], np.float64)[own] for name in ("boxes", "keypoints"))
        rows = pair(found, boxes, np.asarray(truth["classes"])[own])
        labelled = np.asarray(truth["keypoint_labels"])[own] > 0
        self._labelled += labelled.sum(axis=0)
        there = rows >= 0
        places = np.asarray(found["keypoints"], np.float64)[rows[there]]
        away = np.linalg.norm(places - keypoints[there], axis=-1)
        longer = np.maximum(boxes[there, 2] - boxes[there, 0], boxes[there, 3] - boxes[there, 1])
        for column, fraction in enumerate(self.fractions):
            within = (away <= fraction * longer[:, None]) & labelled[there]
            self._right[:, column] += within.sum(axis=0)

    def result(self) -> PckScores | None:
        """Scores all images so far; None without labelled keypoints."""
        if not self._labelled.any():
            return None
        with np.errstate(invalid="ignore"):
            right = self._right / self._labelled[:, None]
        return PckScores(
            self.fractions, self.names, self._labelled, right, self._right.sum(axis=0) / self._labelled.sum()
        )
