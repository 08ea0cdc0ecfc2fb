"""What the metrics of 3D boxes say, as numbers, tables and JSON."""

import dataclasses
import math
from typing import Any

import numpy as np
from rich.table import Table

from centernet_tf.errors import UsageError
from centernet_tf.host.plain import plain
from centernet_tf.metrics.boxes import mean_where_known
from centernet_tf.metrics.tables import number, percent
from centernet_tf.properties.metric import Score

MEASURES = ("2D", "AOS", "BEV", "3D")


@dataclasses.dataclass(frozen=True)
class Boxes3dScores(Score):
    """What KITTI's evaluation says. Numbers run from 0 to 1 and are NaN where there is no truth to score against.

    Attributes:
        names: Name of each class.
        difficulties: Name of each of the F difficulties.
        precision: [4, C, F, 41] of `MEASURES` at recalls 0, 1/40, ..., 1; of AOS the similarity of orientation.
        truth: [C, F] int, annotated objects that count.
        ious: [C, 3] demanded in the image, on the ground and in space.
        images: Number of images.
        detections: Number of detections in them.
    """

    names: tuple[str, ...]
    difficulties: tuple[str, ...]
    precision: np.ndarray
    truth: np.ndarray
    ious: np.ndarray
    images: int
    detections: int

    def ap(self, points: int = 40) -> np.ndarray:
        """[4, C, F] mean precision at 40 recalls, 1/40 to 1, or at 11, 0 to 1 (as published CenterNet scores).

        Raises:
            UsageError: `points` is neither.
        """
        if points not in (11, 40):
            raise UsageError(f"Boxes3dScores.ap: {points} recalls, expected 11 or 40.")
        return (self.precision[..., 1:] if points == 40 else self.precision[..., ::4]).mean(axis=-1)

    def mean(self, measure: str = "3D", difficulty: str = "moderate", points: int = 40) -> float:
        """Mean AP of the classes that have truth."""
        place = MEASURES.index(measure), slice(None), self.difficulties.index(difficulty)
        return mean_where_known(self.ap(points)[place])

    @property
    def main(self) -> dict[str, float]:
        """Mean 3D AP over 40 recalls of moderate objects, of the last difficulty where none is."""
        moderate = "moderate" in self.difficulties and self.truth[:, self.difficulties.index("moderate")].any()
        return {"3D AP": self.mean("3D", "moderate" if moderate else self.difficulties[-1])}

    def tables(self) -> list[Table]:
        """AP in percent by class, measure and difficulty, over 40 recalls and over 11."""
        counted = ", ".join(f"{name} {count}" for name, count in zip(self.difficulties, self.truth.sum(axis=0)))
        table = Table(title=f"3D boxes, KITTI's way; objects that count: {counted}")
        for name in ("class", "score", "IoU", "recalls", *self.difficulties):
            table.add_column(name, justify="left" if name in ("class", "score") else "right")
        by_recalls = {points: self.ap(points) for points in (40, 11)}
        for label, name in enumerate(self.names):
            for row, measure in enumerate(MEASURES):
                first = (plain(name if not row else ""), measure, f"{self._iou(label, row):g}")
                for points, ap in by_recalls.items():
                    start = first if points == 40 else ("", "", "")
                    table.add_row(*start, str(points), *map(percent, ap[row, label]))
            table.add_section()
        return [table]

    def as_dict(self) -> dict[str, Any]:
        """The numbers under the key "boxes3d", None where a class has no truth.

        Returns:
            "main" and "classes" [{name, objects {difficulty: count}, ious {measure: IoU}, "R40" and "R11" {measure:
            {difficulty: AP}}}].
        """
        classes = []
        for label, name in enumerate(self.names):
            row = {
                "name": name,
                "objects": dict(zip(self.difficulties, self.truth[label].tolist())),
                "ious": {measure: self._iou(label, row) for row, measure in enumerate(MEASURES)},
            }
            for points in (40, 11):
                ap = self.ap(points)[:, label]
                row[f"R{points}"] = {
                    measure: dict(zip(self.difficulties, map(number, values))) for measure, values in zip(MEASURES, ap)
                }
            classes.append(row)
        return {"boxes3d": {"main": number(self.main["3D AP"]), "classes": classes}}

    def _iou(self, label: int, row: int) -> float:
        """What a class needs in one of `MEASURES`; the orientation is measured where the image is."""
        return float(self.ious[label, max(row - 1, 0)])


@dataclasses.dataclass(frozen=True)
class DepthScores(Score):
    """Errors of depth by ranges of it; R ranges of equal width, only those with objects.

    Attributes:
        ranges: [R, 2] metres.
        objects: [R] int, annotated objects.
        found: [R] int, those that a detection overlaps enough in the image.
        error: [R] median of |found - annotated| in metres; NaN where none was found.
        relative: [R] median of the same as a fraction of the annotated depth.
        bias: [R] median of found - annotated in metres.
    """

    ranges: np.ndarray
    objects: np.ndarray
    found: np.ndarray
    error: np.ndarray
    relative: np.ndarray
    bias: np.ndarray

    def tables(self) -> list[Table]:
        """Errors of depth by distance."""
        table = Table(title="Depth of found objects, medians")
        for name in ("metres", "objects", "found", "error, m", "error, %", "bias, m"):
            table.add_column(name, justify="right")
        for index, (low, high) in enumerate(self.ranges):
            figures = self.error[index], 100 * self.relative[index], self.bias[index]
            told = (
                "-" if math.isnan(figure) else f"{round(figure, digits) + 0.0:.{digits}f}"  # no -0.00
                for figure, digits in zip(figures, (2, 1, 2))
            )
            table.add_row(f"{low:g} to {high:g}", str(self.objects[index]), str(self.found[index]), *told)
        return [table]

    def as_dict(self) -> dict[str, Any]:
        """ "depths": [{metres, objects, found, error, relative, bias}], one for each range; None where none was."""
        counts = zip(self.ranges.tolist(), self.objects.tolist(), self.found.tolist())
        errors = zip(self.error, self.relative, self.bias)
        names = ("metres", "objects", "found", "error", "relative", "bias")
        return {"depths": [dict(zip(names, (*one, *map(number, other)))) for one, other in zip(counts, errors)]}
