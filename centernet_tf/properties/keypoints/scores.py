"""What the metrics of keypoints say, as numbers, tables and JSON."""

import dataclasses
from typing import Any

import numpy as np
from rich.table import Table

from centernet_tf.host.plain import plain
from centernet_tf.metrics.tables import number, percent
from centernet_tf.properties.metric import Score

_SIZES = {"m": "objects of 32x32 to 96x96", "l": "objects above 96x96 pixels"}


@dataclasses.dataclass(frozen=True)
class KeypointScores(Score):
    """What COCO's evaluation says of keypoints. Numbers run from 0 to 1 and are NaN where there is no truth.

    Attributes:
        summary: The means that COCO prints: AP (over similarities 0.50 to 0.95), AP50, AP75, APm, APl (objects of 32x32
            to 96x96 pixels, above), and AR, AR50, AR75, ARm, ARl.
        names: Name of each class.
        ap: [C] AP of each class; NaN for those without keypoints.
        ap50: [C] AP50 of each class.
        truth: [C] int, annotated objects with at least one labelled keypoint that are no crowds.
        keypoints: Name of each keypoint.
        images: Number of images.
        detections: Number of detections in them.
    """

    summary: dict[str, float]
    names: tuple[str, ...]
    ap: np.ndarray
    ap50: np.ndarray
    truth: np.ndarray
    keypoints: tuple[str, ...]
    images: int
    detections: int

    @property
    def main(self) -> dict[str, float]:
        return {"OKS AP": self.summary["AP"]}

    def tables(self) -> list[Table]:
        """The means in percent, and a row for each class where several have keypoints."""
        title = f"{len(self.keypoints)} keypoints, {int(self.truth.sum())} labelled objects"
        table = Table("score", "of", title=title)
        table.add_column("value", justify="right")
        for name, value in self.summary.items():
            table.add_row(f"OKS {name}", _meaning(name), percent(value))
        known = np.flatnonzero(self.truth)
        for index in known if len(known) > 1 else ():
            table.add_row("OKS AP", plain(self.names[index]), percent(self.ap[index]))
        return [table]

    def as_dict(self) -> dict[str, Any]:
        """ "keypoints": "summary" {score: value} and "classes" [{name, objects, OKS AP}]; None without truth."""
        classes = [
            {"name": name, "objects": int(count), "OKS AP": number(ap)}
            for name, count, ap in zip(self.names, self.truth, self.ap)
        ]
        summary = {f"OKS {name}": number(value) for name, value in self.summary.items()}
        return {"keypoints": {"summary": summary, "classes": classes}}


@dataclasses.dataclass(frozen=True)
class PckScores(Score):
    """Fractions of the labelled keypoints that are placed right, from 0 to 1.

    Attributes:
        fractions: [T] of the longer side of an object's box, within which a keypoint is right.
        names: J names of keypoints.
        labelled: [J] int, labelled keypoints; those of objects that were not found count as wrong.
        right: [J, T] fraction of them; NaN for a keypoint that is labelled nowhere.
        all: [T] fraction of all of them.
    """

    fractions: tuple[float, ...]
    names: tuple[str, ...]
    labelled: np.ndarray
    right: np.ndarray
    all: np.ndarray

    def tables(self) -> list[Table]:
        """Percents of keypoints that are placed right, of each keypoint and of all."""
        table = Table(title="PCK: keypoints within these fractions of the longer side of the box")
        table.add_column("keypoint")
        for name in ("labelled", *(f"{fraction:g}" for fraction in self.fractions)):
            table.add_column(name, justify="right")
        for name, count, row in zip(self.names, self.labelled, self.right):
            table.add_row(plain(name), str(count), *map(percent, row))
        table.add_section()
        table.add_row("all", str(self.labelled.sum()), *map(percent, self.all), style="bold")
        return [table]

    def as_dict(self) -> dict[str, Any]:
        """ "PCK": "all" {fraction: PCK} and "keypoints" [{name, labelled, PCK {fraction: PCK or None}}]."""
        keys = [f"{fraction:g}" for fraction in self.fractions]
        keypoints = [
            {"name": name, "labelled": count, "PCK": dict(zip(keys, map(number, row)))}
            for name, count, row in zip(self.names, self.labelled.tolist(), self.right)
        ]
        return {"PCK": {"all": dict(zip(keys, map(number, self.all))), "keypoints": keypoints}}


def _meaning(name: str) -> str:
    what = f"similarity 0.{name[2:]}" if name[2:].isdigit() else _SIZES.get(name[2:], "similarities 0.50 to 0.95")
    return ("recall, " if name.startswith("AR") else "") + what
