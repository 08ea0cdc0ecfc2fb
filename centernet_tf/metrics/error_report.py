"""What is missing of the AP, by kind of error: tables, JSON, a bar chart, and which images have most errors."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from centernet_tf.geometry.boxes import areas
from centernet_tf.host.plain import plain
from centernet_tf.metrics.boxes import mean_where_known
from centernet_tf.metrics.coco import CocoBoxes
from centernet_tf.metrics.error_gains import Gains, gains
from centernet_tf.metrics.error_kinds import CLAIMING, FOUND, KINDS, Judged, judge
from centernet_tf.metrics.matched import match
from centernet_tf.metrics.tables import number

THRESHOLD = 0.3  # of detections that errors are counted of, where no other is given
SIZES = {"small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, np.inf)}  # COCO's, in pixels squared
_OF_OBJECTS = (FOUND, *CLAIMING, "missed")
_OF_DETECTIONS = ("double", "background")
# Columns of the table of classes, which has no room for every kind.
_SHORT = {
    "objects": ("objects",),
    FOUND: (FOUND,),
    "poor box": ("size", "offset", "size and offset"),
    "other class": ("class", "class and box"),
    "missed": ("missed",),
    "double": ("double",),
    "background": ("background",),
}


@dataclasses.dataclass(frozen=True)
class Errors:
    """The errors of a detector at one IoU.

    AP takes all detections into account, but nobody looks at those with low scores. So errors are counted among the
    detections above a threshold, as if there were no others, while the gains in AP are of all.

    Attributes:
        iou: That makes a hit.
        thresholds: [C] of each class; errors are counted of detections that score above.
        gains: AP that each kind costs.
        shown: What became of the detections above the thresholds, and of all objects.
    """

    iou: float
    thresholds: np.ndarray
    gains: Gains
    shown: Judged

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes."""
        return self.shown.matched.names

    @property
    def ap(self) -> float:
        """Mean AP of the classes at this IoU; NaN without objects."""
        return mean_where_known(self.gains.ap)

    def ordered(self) -> dict[str, float]:
        """{kind: mean AP gained where it is mended on top of those before it}, which add up to 1 - AP."""
        return {kind: mean_where_known(values) for kind, values in self.gains.ordered.items()}

    def alone(self) -> dict[str, float]:
        """{kind: mean AP gained where it alone is mended}."""
        return {kind: mean_where_known(values) for kind, values in self.gains.alone.items()}

    def of_classes(self) -> dict[str, dict[str, int]]:
        """{class: counts}, see `counts`."""
        labels = range(len(self.names))
        matched = self.shown.matched
        return {
            self.names[label]: counts(self.shown, matched.truth_classes == label, matched.classes == label)
            for label in labels
        }

    def of_sizes(self) -> dict[str, dict[str, int]]:
        """{size: counts} by COCO's areas: of objects as annotated, of detections that are none the box's."""
        matched = self.shown.matched
        truth, found = matched.truth_area, areas(matched.boxes)
        return {
            name: counts(self.shown, (low <= truth) & (truth < high), (low <= found) & (found < high))
            for name, (low, high) in SIZES.items()
        }

    def tables(self) -> list[Table]:
        """What each kind costs, and how many errors there are by class and by size."""
        level = f"scores above {self.thresholds[0]:g}"
        if len(set(self.thresholds.tolist())) > 1:
            level = "scores above the thresholds of the classes"
        return [
            self._gain_table(),
            _size_table(f"Errors at IoU {self.iou:g}, {level}", self.of_sizes()),
            _class_table(f"Errors at IoU {self.iou:g}, {level}", self.of_classes()),
        ]

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON, under "errors"; AP from 0 to 1, None for classes without objects."""
        alone, ordered = self.alone(), self.ordered()
        kinds = {kind: {"alone": number(alone[kind]), "in order": number(ordered[kind])} for kind in KINDS}
        return {
            "errors": {
                "iou": self.iou,
                "AP": number(self.ap),
                "missing": number(self.gains.missing),
                "kinds": kinds,
                "thresholds": dict(zip(self.names, self.thresholds.tolist())),
                "classes": {
                    name: {**count, "AP": number(self.gains.ap[label]), "in order": self._of_class(label)}
                    for label, (name, count) in enumerate(self.of_classes().items())
                },
                "sizes": self.of_sizes(),
            }
        }

    def _of_class(self, label: int) -> dict[str, float | None]:
        return {kind: number(values[label]) for kind, values in self.gains.ordered.items()}

    def _gain_table(self) -> Table:
        table = Table(title=f"AP at IoU {self.iou:g}: {_points(self.ap)}. What is missing, and why")
        table.add_column("error")
        table.add_column("what it is")
        table.add_column("mended alone", justify="right")
        table.add_column("in this order", justify="right")
        alone, ordered = self.alone(), self.ordered()
        for kind, meaning in KINDS.items():
            table.add_row(kind, meaning, _points(alone[kind]), _points(ordered[kind]))
        table.add_section()
        table.add_row("sum", "all that is missing", "", _points(self.gains.missing), style="bold")
        return table


def find_errors(boxes: CocoBoxes, iou: float = 0.5, thresholds: Sequence[float] | None = None) -> Errors:
    """Looks into the errors of what was found.

    Args:
        boxes: All images, as COCO's AP counts them.
        iou: That makes a hit.
        thresholds: [C] of the detections that errors are counted of; `THRESHOLD` if left out.

    Raises:
        UsageError: The IoU is not above 0 and at most 1.
        DataError: There are no images.
    """
    limits = np.full(len(boxes.names), THRESHOLD) if thresholds is None else np.asarray(thresholds, float)
    matched = match(boxes, iou)
    return Errors(iou, limits, gains(judge(matched, iou)), judge(matched.above(limits), iou))


def counts(judged: Judged, objects: np.ndarray, detections: np.ndarray) -> dict[str, int]:
    """How many "objects" there are and what became of them, and of detections that belong to none of these.

    Args:
        judged: All.
        objects: [N] bool, which of the objects.
        detections: [D] bool, which of the detections.
    """
    fates, kinds = judged.fates[objects], judged.kinds[detections]
    return {
        "objects": int((fates != "").sum()),
        **{fate: int((fates == fate).sum()) for fate in _OF_OBJECTS},
        **{kind: int((kinds == kind).sum()) for kind in _OF_DETECTIONS},
    }


def _size_table(title: str, columns: Mapping[str, Mapping[str, int]]) -> Table:
    table = Table("size of objects and boxes", title=title)
    for name in (*columns, "all"):
        table.add_column(name, justify="right")
    for kind in ("objects", *_OF_OBJECTS, *_OF_DETECTIONS):
        line = [column[kind] for column in columns.values()]
        table.add_row(kind, *map(str, line), str(sum(line)), end_section=kind == "missed")
    return table


def _class_table(title: str, lines: Mapping[str, Mapping[str, int]]) -> Table:
    table = Table("class", title=title)
    for name in _SHORT:
        table.add_column(name, justify="right")
    for name, line in lines.items():
        table.add_row(plain(name), *(str(sum(line[kind] for kind in kinds)) for kinds in _SHORT.values()))
    return table


def _points(value: float) -> str:
    """AP in percent with two decimals, so that a column of small numbers adds up."""
    return "-" if np.isnan(value) else f"{100 * value:.2f}"
