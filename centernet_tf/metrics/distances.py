"""How far off the distances of found objects are, by how far away the objects are."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from centernet_tf.metrics.pairs import pair

_STEPS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_MOST = 8  # ranges, as far as the steps reach


@dataclasses.dataclass(frozen=True)
class DistanceScores:
    """Errors of depth by ranges of it; R ranges of equal width, only those with objects.

    Attributes:
        ranges: [R, 2] metres.
        objects: [R] int, annotated objects.
        found: [R] int, those that a detection overlaps enough in the image.
        error: [R] median of |found - annotated| in metres; NaN where none was found.
        relative: [R] median of the same in parts of the annotated depth.
        bias: [R] median of found - annotated in metres.
    """

    ranges: np.ndarray
    objects: np.ndarray
    found: np.ndarray
    error: np.ndarray
    relative: np.ndarray
    bias: np.ndarray

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary for each range, ready for JSON."""
        columns = (self.ranges.tolist(), self.objects.tolist(), self.found.tolist())
        errors = (self.error.tolist(), self.relative.tolist(), self.bias.tolist())
        names = ("metres", "objects", "found", "error", "relative", "bias")
        return [
            {name: None if value != value else value for name, value in zip(names, row)}  # NaN is no JSON
            for row in zip(*columns, *errors)
        ]


class DepthErrors:
    """Gathers the depths of objects and of the detections that lie on them, whatever their scores."""

    def __init__(self) -> None:
        self._depths: list[np.ndarray] = []
        self._found: list[np.ndarray] = []

    def update(self, detections: Mapping[str, Any], truth: Mapping[str, Any]) -> None:
        """Adds an image.

        Args:
            detections: "boxes" [K, 4], "scores" [K], "classes" [K], "solids" [K, 8] as in `Record`.
            truth: "boxes" [N, 4], "classes" [N], "neutral" [N], "solids" [N, 8], NaN for objects without.
        """
        solids = np.asarray(truth["solids"], np.float64)
        own = ~np.asarray(truth["neutral"], bool) & np.isfinite(solids).all(axis=1)
        rows = pair(detections, np.asarray(truth["boxes"])[own], np.asarray(truth["classes"])[own])
        found = np.full(len(rows), np.nan)
        found[rows >= 0] = np.asarray(detections["solids"])[rows[rows >= 0], 6]
        self._depths.append(solids[own, 6])
        self._found.append(found)

    def result(self) -> DistanceScores | None:
        """Scores all images so far; None without objects in space."""
        depths = np.concatenate([np.zeros(0), *self._depths])
        found = np.concatenate([np.zeros(0), *self._found])
        if not len(depths):
            return None
        step = next((step for step in _STEPS if depths.max() / step <= _MOST), _STEPS[-1])
        ranges = np.floor(depths / step)
        rows = []
        for number in np.unique(ranges):
            here = ranges == number
            errors, true = (found - depths)[here & ~np.isnan(found)], depths[here & ~np.isnan(found)]
            figures = [
                float(np.median(one)) if len(one) else np.nan for one in (abs(errors), abs(errors) / true, errors)
            ]
            rows.append(((number * step, (number + 1) * step), here.sum(), len(errors), *figures))
        return DistanceScores(*(np.array(column) for column in zip(*rows)))
