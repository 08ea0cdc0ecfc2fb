"""Percentage of correct keypoints: how many joints lie within a share of their object's size (Yang and Ramanan 2013).

It needs no tolerances of joints, and tells which of them are hard to find.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from centernet_tf.metrics.pairs import pair

SHARES = (0.05, 0.1, 0.2)


@dataclasses.dataclass(frozen=True)
class PckScores:
    """Shares of the labelled joints that are placed right, from 0 to 1.

    Attributes:
        shares: [T] of the longer side of an object's box, within which a joint is right.
        names: J names of joints.
        labelled: [J] int, labelled joints; those of objects that were not found count as wrong.
        right: [J, T] share of them; NaN for a joint that is labelled nowhere.
        all: [T] share of all of them.
    """

    shares: tuple[float, ...]
    names: tuple[str, ...]
    labelled: np.ndarray
    right: np.ndarray
    all: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON: "all" {share: PCK} and "joints" [{name, labelled, PCK {share: PCK or None}}]."""
        keys = [f"{share:g}" for share in self.shares]
        rows = [[None if value != value else value for value in row] for row in self.right.tolist()]  # NaN is no JSON
        joints = [
            {"name": name, "labelled": count, "PCK": dict(zip(keys, row))}
            for name, count, row in zip(self.names, self.labelled.tolist(), rows)
        ]
        return {"all": dict(zip(keys, self.all.tolist())), "joints": joints}


class CorrectKeypoints:
    """Gathers how far joints are off, whatever the scores of the detections."""

    def __init__(self, names: Sequence[str], shares: Sequence[float] = SHARES) -> None:
        """Starts without images.

        Args:
            names: Of the joints.
            shares: See `PckScores`.
        """
        self.names = tuple(names)
        self.shares = tuple(shares)
        self._right = np.zeros((len(self.names), len(self.shares)), np.int64)
        self._labelled = np.zeros(len(self.names), np.int64)

    def update(self, detections: Mapping[str, Any], truth: Mapping[str, Any]) -> None:
        """Adds an image.

        Args:
            detections: As in `pairs.pair`, and "joints" [K, J, 2] x, y in pixels.
            truth: "boxes" [N, 4], "classes" [N], "crowd" [N], objects that do not count, and "joints" [N, J, 3] x, y
                and label, above 0 where labelled.
        """
        own = ~np.asarray(truth["crowd"], bool)
        boxes, joints = (np.asarray(truth[name], np.float64)[own] for name in ("boxes", "joints"))
        found = pair(detections, boxes, np.asarray(truth["classes"])[own])
        labelled = joints[..., 2] > 0
        self._labelled += labelled.sum(axis=0)
        there = found >= 0
        places = np.asarray(detections["joints"], np.float64)[found[there]]
        away = np.linalg.norm(places - joints[there, :, :2], axis=-1)
        longer = np.maximum(boxes[there, 2] - boxes[there, 0], boxes[there, 3] - boxes[there, 1])
        for column, share in enumerate(self.shares):
            within = (away <= share * longer[:, None]) & labelled[there]
            self._right[:, column] += within.sum(axis=0)

    def result(self) -> PckScores | None:
        """Scores all images so far; None without labelled joints."""
        if not self._labelled.any():
            return None
        with np.errstate(invalid="ignore"):
            right = self._right / self._labelled[:, None]
        return PckScores(self.shares, self.names, self._labelled, right, self._right.sum(axis=0) / self._labelled.sum())
