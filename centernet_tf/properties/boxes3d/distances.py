"""How far off the distances of found objects are, by how far away the objects are."""

import numpy as np

from centernet_tf.metrics.matches import pair
from centernet_tf.properties.boxes3d.records import columns
from centernet_tf.properties.boxes3d.scores import DepthScores
from centernet_tf.properties.metric import ImageKey, Metric
from centernet_tf.properties.property import Rows

_STEPS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_MOST = 8  # ranges, as far as the steps reach
_DEPTH = 6  # among KITTI's columns


class DepthErrors(Metric):
    """Gathers the depths of objects and of the detections that lie on them, whatever their scores."""

    def __init__(self, digits: int | None = None) -> None:
        """Starts without images; `digits` are the decimals that numbers of detections are rounded to, None for all."""
        self.digits = digits
        self._depths: list[np.ndarray] = []
        self._found: list[np.ndarray] = []

    def update(self, image: ImageKey, found: Rows, truth: Rows) -> None:
        """Adds an image.

        Args:
            image: Not looked at.
            found: As in `Metric.update`, with the rows of 3D boxes.
            truth: As in `Metric.update`, with the rows of 3D boxes. Ignored objects do not count.
        """
        there, placed = columns(truth), columns(found)
        detections = {name: np.asarray(found[name]) for name in ("boxes", "scores", "classes")}
        if self.digits is not None:
            placed = placed.round(self.digits)
            detections |= {name: detections[name].round(self.digits) for name in ("boxes", "scores")}
        own = ~np.asarray(truth["ignored"], bool) & np.isfinite(there).all(axis=1)
        rows = pair(detections, np.asarray(truth["boxes"])[own], np.asarray(truth["classes"])[own])
        depths = np.full(len(rows), np.nan)
        depths[rows >= 0] = placed[rows[rows >= 0], _DEPTH]
        self._depths.append(there[own, _DEPTH].astype(np.float64))
        self._found.append(depths)

    def result(self) -> DepthScores | None:
        """Scores all images so far; None without 3D boxes."""
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
        return DepthScores(*(np.array(column) for column in zip(*rows)))
