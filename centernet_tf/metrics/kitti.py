"""Average precision of 3D boxes as KITTI counts it: in the image, of the orientation, on the ground and in space.

The protocol is the devkit's (Geiger, Lenz, Urtasun, CVPR 2012; 40 recalls: Simonelli et al., ICCV 2019).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from centernet_tf.errors import DataError, UsageError
from centernet_tf.metrics.boxes import BoxMetric, mean_where_known
from centernet_tf.metrics.kitti_match import ABSENT, COUNTS, IGNORED, LEVELS, Case, curve
from centernet_tf.metrics.kitti_table import Table, tabulate

MEASURES = ("2D", "AOS", "BEV", "3D")
# Smallest overlap in the image, on the ground, in space. "original" is what published CenterNet scores were computed
# with (its offline evaluator), "kitti" is what KITTI's server demands.
OVERLAPS = {
    "original": {"Car": (0.7, 0.5, 0.5), "Pedestrian": (0.5, 0.25, 0.25), "Cyclist": (0.5, 0.25, 0.25)},
    "kitti": {"Car": (0.7, 0.7, 0.7), "Pedestrian": (0.5, 0.5, 0.5), "Cyclist": (0.5, 0.5, 0.5)},
}
OTHER_CLASSES = (0.5, 0.5, 0.5)
# Neutral when training, background here: the devkit knows Van beside Car and Person_sitting beside Pedestrian alone.
_BACKGROUND = ("Truck",)


@dataclasses.dataclass(frozen=True)
class Difficulty:
    """Which objects count: at least this high in pixels, at most so far hidden (0 to 3) and cut off by the image."""

    name: str
    height: float
    occluded: int
    truncated: float


# The last one is not KITTI's; it is for data sets with other cameras.
DIFFICULTIES = (
    Difficulty("easy", 40, 0, 0.15),
    Difficulty("moderate", 25, 1, 0.30),
    Difficulty("hard", 25, 2, 0.50),
    Difficulty("all", 0, 3, 1.0),
)


@dataclasses.dataclass(frozen=True)
class SolidScores:
    """What KITTI's evaluation says. Numbers run from 0 to 1 and are NaN where there is no truth to score against.

    Attributes:
        names: Name of each class.
        difficulties: Name of each of the F difficulties.
        precision: [4, C, F, 41] of `MEASURES` at recalls 0, 1/40, ..., 1; of AOS the similarity of orientation.
        truth: [C, F] int, annotated objects that count.
        overlaps: [C, 3] the overlaps demanded in the image, on the ground and in space.
        images: Number of images.
        detections: Number of detections in them.
    """

    names: tuple[str, ...]
    difficulties: tuple[str, ...]
    precision: np.ndarray
    truth: np.ndarray
    overlaps: np.ndarray
    images: int
    detections: int

    def ap(self, points: int = 40) -> np.ndarray:
        """[4, C, F] mean precision at 40 recalls, 1/40 to 1, or at 11, 0 to 1 (as published CenterNet scores).

        Raises:
            UsageError: `points` is neither.
        """
        if points not in (11, 40):
            raise UsageError(f"SolidScores.ap: {points} recalls, expected 11 or 40.")
        return (self.precision[..., 1:] if points == 40 else self.precision[..., ::4]).mean(axis=-1)

    def mean(self, measure: str = "3D", difficulty: str = "moderate", points: int = 40) -> float:
        """Mean AP of the classes that have truth."""
        place = MEASURES.index(measure), slice(None), self.difficulties.index(difficulty)
        return mean_where_known(self.ap(points)[place])

    @property
    def main(self) -> float:
        """The one number: mean 3D AP over 40 recalls of moderate objects, of the last difficulty where none is."""
        moderate = "moderate" in self.difficulties and self.truth[:, self.difficulties.index("moderate")].any()
        return self.mean("3D", "moderate" if moderate else self.difficulties[-1])


class KittiSolids(BoxMetric):
    """KITTI's metric. Neutral objects, and what a difficulty leaves out, are neither hits nor misses."""

    def __init__(
        self,
        names: Sequence[str],
        protocol: str = "original",
        overlap: float | None = None,
        difficulties: Sequence[Difficulty] = DIFFICULTIES,
        devkit: bool = False,
    ) -> None:
        """Starts without images.

        Args:
            names: Name of each class, by 0-based index.
            protocol: Which of `OVERLAPS` makes a hit; `OTHER_CLASSES` for classes that are not KITTI's.
            overlap: On the ground and in space, for all classes, instead.
            difficulties: Which objects count.
            devkit: Let small sets score as low as the devkit does, see `kitti_match.thresholds`.

        Raises:
            DataError: There are no names.
            UsageError: There is no such protocol, or the overlap is not between 0 and 1.
        """
        super().__init__(names)
        if protocol not in OVERLAPS:
            raise UsageError(f"KittiSolids: protocol is {protocol!r}, expected {' or '.join(OVERLAPS)}.")
        if overlap is not None and not 0 <= overlap < 1:
            raise UsageError(f"KittiSolids: overlap is {overlap}, expected at least 0 and below 1.")
        known = OVERLAPS[protocol]
        self.overlaps = np.array([known.get(name, OTHER_CLASSES) for name in self.names])
        if overlap is not None:
            self.overlaps[:, 1:] = overlap
        self.difficulties = tuple(difficulties)
        self.devkit = devkit

    def update(self, image_id: int, detections: Mapping[str, Any], truth: Mapping[str, Any]) -> None:
        """Adds an image, each once.

        Args:
            image_id: Any whole number.
            detections: As in `BoxMetric.update`, and "solids" [K, 8] as in `Record`.
            truth: As in `BoxMetric.update`, and "solids" [N, 8], NaN for objects without; "neutral" [N] bool, of which
                classes may be -1; "truncated" [N], "occluded" [N]; optional "names" [N], the source's own.

        Raises:
            DataError: As in `BoxMetric.update`, also for the solids.
        """
        classes = np.asarray(truth["classes"])
        regions = np.asarray(truth["neutral"], bool) & (classes < 0)
        names = truth.get("names") or [""] * len(classes)
        keep = ~regions & ~(np.asarray(truth["neutral"], bool) & np.isin(names, _BACKGROUND))
        columns = ("boxes", "classes", "solids", "neutral", "truncated", "occluded")
        kept = {name: np.asarray(truth[name])[keep] for name in columns}
        for what, rows in (("detections", detections), ("truth", kept)):
            if np.shape(rows["solids"]) != (len(rows["classes"]), 8):
                raise DataError(f"{what} of image {image_id}: solids have shape {np.shape(rows['solids'])}.")
        super().update(image_id, detections, {name: kept[name] for name in ("boxes", "classes")})
        image = self.images[image_id]
        image.found["solids"] = np.array(detections["solids"], np.float64).reshape(-1, 8)
        image.truth["solids"] = kept["solids"].astype(np.float64).reshape(-1, 8)
        image.truth["stuff"] = np.asarray(truth["boxes"], np.float64).reshape(-1, 4)[regions]
        image.truth["neutral"] = kept["neutral"].astype(bool)
        for name in ("truncated", "occluded"):
            image.truth[name] = kept[name].astype(np.float64)

    def result(self) -> SolidScores:
        """Scores all images so far.

        Raises:
            DataError: There are none.
        """
        images = [image for _, image in self._sorted_images()]
        table = tabulate(images, float(self.overlaps.min()))
        count, kinds = len(self.names), len(self.difficulties)
        precision = np.full((len(MEASURES), count, kinds, LEVELS), np.nan)
        truth = np.zeros((count, kinds), np.int64)
        for label in range(count):
            for place, difficulty in enumerate(self.difficulties):
                objects = _objects(table, label, difficulty)
                truth[label, place] = (objects == COUNTS).sum()
                for sense, rows in enumerate(((0, 1), (2,), (3,))):
                    case = _case(table, label, difficulty, objects, sense, self.overlaps[label, sense])
                    curves = curve(case, self.devkit)
                    for row, values in zip(rows, curves):
                        precision[row, label, place] = values
        names = tuple(difficulty.name for difficulty in self.difficulties)
        return SolidScores(self.names, names, precision, truth, self.overlaps, len(images), len(table.stuff))


def _objects(table: Table, label: int, difficulty: Difficulty) -> np.ndarray:
    """[G] what each annotated object is for a class at a difficulty."""
    truth = table.truth
    left_out = (
        truth["neutral"]
        | (truth["occluded"] > difficulty.occluded)
        # Shares are stored as float32, in which 0.15 is a little more.
        | (truth["truncated"] > difficulty.truncated + 1e-6)
        | (truth["heights"] < difficulty.height)
    )
    return np.where(truth["classes"] != label, ABSENT, np.where(left_out, IGNORED, COUNTS))


def _case(table: Table, label: int, difficulty: Difficulty, objects: np.ndarray, sense: int, overlap: float) -> Case:
    found = table.found
    # The devkit asks for the height first, so small detections of other classes may be taken by an object too.
    small = found["heights"] < difficulty.height
    detections = np.where(small, IGNORED, np.where(found["classes"] == label, COUNTS, ABSENT))
    kept = (table.overlaps[sense] > overlap) & (objects[table.first] >= 0) & (detections[table.second] >= 0)
    first, second = table.first[kept], table.second[kept]
    return Case(
        images=table.images,
        objects=objects,
        detections=detections,
        scores=found["scores"],
        first=first,
        second=second,
        overlaps=table.overlaps[sense, kept],
        # Regions have no place in space, so there they excuse nothing.
        stuff=table.stuff > overlap if sense == 0 else np.zeros(len(table.stuff), bool),
        turns=np.nan_to_num(np.cos(table.truth["alphas"][first] - found["alphas"][second]), nan=-1.0),
    )
