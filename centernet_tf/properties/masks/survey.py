"""What can be wrong with masks of records, and how much of their boxes they fill."""

from typing import Any

import numpy as np
from rich.table import Table

from centernet_tf.geometry.boxes import areas
from centernet_tf.properties.masks import records, runs
from centernet_tf.properties.metric import SINGLE, ImageKey
from centernet_tf.properties.notebook import AGAIN, Check, Notebook
from centernet_tf.properties.property import Rows, Size, Survey

# Boxes of data sets lie up to this many pixels beside their masks: those of COCO's validation set 1.5.
ROUNDING = 2.0
OUTSIDE = 0.05  # of a mask's pixels beyond its box, above which it is told
# Times the area that was annotated, or a part of it, and at least so many pixels, for outlines of few pixels differ.
AREA_RATIO, AREA_PIXELS = 1.5, 20
SIZES = {"small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, np.inf)}  # pixels, as COCO's

CHECKS = {
    "bad_masks": Check("error", "masks that do not fit their image or cannot be read", f"{AGAIN}."),
    "no_masks_at_all": Check(
        "warning", "sets whose objects have no mask at all", f"Nothing can be learnt of masks. {AGAIN} and --masks."
    ),
    "empty_mask": Check(
        "warning", "masks without a pixel", "Such objects are trained without; correct or remove them."
    ),
    "outside_mask": Check(
        "warning", "masks of which a part lies outside their box", "That part is not learnt. Correct mask or box."
    ),
    "other_area": Check(
        "warning", "masks whose area is not the annotated one", "Check that mask and object belong together."
    ),
    "no_mask": Check("note", "objects without a mask", "They are trained and found as boxes; masks ignore them."),
}


class MaskSurvey(Survey):
    """Adds up the masks of one image at a time."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
        self._without: dict[str, int] = {}  # objects of each image
        self._areas: list[int] = []  # of masks, pixels
        self._fills: list[float] = []  # parts of their boxes

    def add(self, name: str, rows: Rows, size: Size, image: ImageKey = SINGLE) -> None:
        data = rows["segmentations"]
        faults = records.faults(data, size)
        bad = [(row, fault) for row, fault in enumerate(faults) if fault is not None]
        if bad:
            self.notebook.add("bad_masks", f"{name}: object {bad[0][0] + 1} {bad[0][1].detail}", len(bad))
        missing = sum(not one and not ignored for one, ignored in zip(data, rows["ignored"]))
        if missing:
            self._without[name] = missing
        for row, fault in enumerate(faults):
            if data[row] and fault is None:
                self._add(f"{name}: object {row + 1}", runs.read_counts(data[row]), rows, row, size)

    def _add(self, where: str, counts: np.ndarray, rows: Rows, row: int, size: Size) -> None:
        area, annotated = runs.area(counts), float(rows["area"][row])
        self.notebook.add("empty_mask", where, not area)
        whole, box_area = rows["full_boxes"][row], float(areas(rows["boxes"][row : row + 1])[0])
        self._areas.append(area)
        if not area or not np.isfinite(whole).all() or not box_area > 0:
            return
        self._fills.append(area / box_area)
        beyond = _beyond(counts, whole, size)
        self.notebook.add("outside_mask", f"{where}: {beyond:.0%} of its pixels", beyond > OUTSIDE)
        # Where nobody annotated an area, records have that of the box.
        told = not np.isclose(annotated, box_area, rtol=0.01)
        apart = abs(area - annotated) >= AREA_PIXELS and not 1 / AREA_RATIO <= area / max(annotated, 1) <= AREA_RATIO
        self.notebook.add("other_area", f"{where}: {area} pixels, annotated {annotated:.0f}", told and apart)

    def close(self) -> None:
        """Notes objects without masks: of a set that has some, each image; of a set without any, the set."""
        if not self._areas:
            self.notebook.add("no_masks_at_all", f"{sum(self._without.values())} objects", bool(self._without))
            return
        for name, count in self._without.items():
            self.notebook.add("no_mask", name, count)

    def facts(self) -> dict[str, str]:
        """How many objects have masks, and how much of their boxes these fill."""
        if not self._areas:
            return {}
        text = f"{len(self._areas)} of {len(self._areas) + sum(self._without.values())} objects"
        if self._fills:
            low, middle, high = np.percentile(self._fills, (5, 50, 95))
            text += f", which fill {low:.0%} to {high:.0%} of their boxes, median {middle:.0%}"
        return {"masks": text}

    def tables(self) -> list[Table]:
        """Masks by size, where there are some."""
        if not self._areas:
            return []
        table = Table(box=None, pad_edge=False)
        table.add_column("mask")
        for column in ("pixels", "objects"):
            table.add_column(column, justify="right")
        for name, count in self._sizes().items():
            low, high = SIZES[name]
            pixels = f"{low} to {high - 1}" if np.isfinite(high) else f"from {low}"
            table.add_row(name, pixels, str(count))
        return [table]

    def as_dict(self) -> dict[str, Any]:
        """ "masks", "without", "sizes", and "fill", the parts of their boxes at 5, 50 and 95 %; None without any."""
        fill = None
        if self._fills:
            low, middle, high = (round(float(one), 5) for one in np.percentile(self._fills, (5, 50, 95)))
            fill = {"low": low, "median": middle, "high": high}
        return {
            "masks": len(self._areas),
            "without": sum(self._without.values()),
            "sizes": self._sizes(),
            "fill": fill,
        }

    def _sizes(self) -> dict[str, int]:
        return {name: sum(low <= area < high for area in self._areas) for name, (low, high) in SIZES.items()}


def _beyond(counts: np.ndarray, box: np.ndarray, size: Size) -> float:
    """The part of a mask's pixels that lies more than `ROUNDING` outside a box."""
    extent = np.array(runs.bounds(counts, size[1]))
    low, high = box[:2] - ROUNDING, box[2:] + ROUNDING
    if (extent[:2] >= low).all() and (extent[2:] <= high).all():
        return 0.0
    part = [*np.maximum(np.ceil(low), extent[:2]).astype(int), *np.minimum(np.floor(high), extent[2:]).astype(int)]
    if part[0] >= part[2] or part[1] >= part[3]:
        return 1.0
    return 1 - float(runs.pixels(counts, size, tuple(part)).sum()) / runs.area(counts)
