"""Average precision of 3D boxes as KITTI counts it: in the image, of the orientation, on the ground and in space.

The protocol is the devkit's (Geiger, Lenz, Urtasun, CVPR 2012; 40 recalls: Simonelli et al., ICCV 2019).
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from centernet_tf.errors import UsageError, closest
from centernet_tf.metrics.boxes import BoxMetric
from centernet_tf.properties.boxes3d.kitti_match import ABSENT, COUNTS, IGNORED, LEVELS, Case, curve
from centernet_tf.properties.boxes3d.kitti_table import Table, tabulate
from centernet_tf.properties.boxes3d.records import columns
from centernet_tf.properties.boxes3d.scores import MEASURES, Boxes3dScores
from centernet_tf.properties.metric import ImageKey, Metric
from centernet_tf.properties.property import Rows

# Smallest IoU in the image, on the ground, in space. "original" is what published CenterNet scores were computed
# with (its offline evaluator), "kitti" is what KITTI's server demands.
IOUS = {
    "original": {"Car": (0.7, 0.5, 0.5), "Pedestrian": (0.5, 0.25, 0.25), "Cyclist": (0.5, 0.25, 0.25)},
    "kitti": {"Car": (0.7, 0.7, 0.7), "Pedestrian": (0.5, 0.5, 0.5), "Cyclist": (0.5, 0.5, 0.5)},
}
OTHER_CLASSES = (0.5, 0.5, 0.5)
# Ignored when training, background here: the devkit knows Van beside Car and Person_sitting beside Pedestrian alone.
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


class KittiBoxes3d(BoxMetric, Metric):
    """KITTI's metric. Ignored objects, and what a difficulty leaves out, are neither hits nor misses."""

    def __init__(
        self,
        names: Sequence[str],
        iou: str = "original",
        digits: int | None = None,
        difficulties: Sequence[Difficulty] = DIFFICULTIES,
        devkit: bool = False,
    ) -> None:
        """Starts without images.

        Args:
            names: Name of each class, by 0-based index.
            iou: What makes a hit: a key of `IOUS`, or a number such as "0.5", on the ground and in space for all
                classes.
            digits: Decimals that numbers of detections are rounded to; None rounds nothing.
            difficulties: Which objects count.
            devkit: Let small sets score as low as the devkit does, see `kitti_match.thresholds`.

        Raises:
            DataError: There are no names.
            UsageError: The IoU is unknown, or not between 0 and 1.
        """
        super().__init__(names)
        self.ious = _read_iou(iou, self.names)
        self.digits = digits
        self.difficulties = tuple(difficulties)
        self.devkit = devkit

    def update(self, image: ImageKey, found: Rows, truth: Rows) -> None:
        """Adds an image.

        Args:
            image: Which one; each comes once.
            found: As in `Metric.update`, with the rows of 3D boxes.
            truth: As in `Metric.update`, with the rows of 3D boxes, "truncated" and "occluded". Classes of ignored
                objects may be -1; "names", where given, are the source's own.

        Raises:
            DataError: As in `BoxMetric.add`.
        """
        classes, ignored = np.asarray(truth["classes"]), np.asarray(truth["ignored"], bool)
        regions = ignored & (classes < 0)
        names = truth.get("names", [""] * len(classes))
        keep = ~regions & ~(ignored & np.isin(names, _BACKGROUND))
        placed = columns(found)
        detections = {name: np.asarray(found[name]) for name in ("boxes", "scores", "classes")}
        if self.digits is not None:
            placed = placed.round(self.digits)
            detections |= {name: detections[name].round(self.digits) for name in ("boxes", "scores")}
        self.add(image.image_id, detections, {"boxes": np.asarray(truth["boxes"])[keep], "classes": classes[keep]})
        added = self.images[image.image_id]
        added.found["boxes3d"] = placed.astype(np.float64)
        added.truth["boxes3d"] = columns(truth)[keep].astype(np.float64)
        added.truth["stuff"] = np.asarray(truth["boxes"], np.float64).reshape(-1, 4)[regions]
        added.truth["ignored"] = ignored[keep]
        for name in ("truncated", "occluded"):
            added.truth[name] = np.asarray(truth[name], np.float64)[keep]

    def result(self) -> Boxes3dScores | None:
        """Scores all images so far; None where no object is annotated that may count."""
        if all(image.truth["ignored"].all() for image in self.images.values()):
            return None
        images = [image for _, image in self._sorted_images()]
        table = tabulate(images, float(self.ious.min()))
        count, kinds = len(self.names), len(self.difficulties)
        precision = np.full((len(MEASURES), count, kinds, LEVELS), np.nan)
        truth = np.zeros((count, kinds), np.int64)
        for label in range(count):
            for place, difficulty in enumerate(self.difficulties):
                objects = _objects(table, label, difficulty)
                truth[label, place] = (objects == COUNTS).sum()
                for sense, rows in enumerate(((0, 1), (2,), (3,))):
                    case = _case(table, label, difficulty, objects, sense, self.ious[label, sense])
                    curves = curve(case, self.devkit)
                    for row, values in zip(rows, curves):
                        precision[row, label, place] = values
        names = tuple(difficulty.name for difficulty in self.difficulties)
        return Boxes3dScores(self.names, names, precision, truth, self.ious, len(images), len(table.stuff))


def _read_iou(text: str, names: Sequence[str]) -> np.ndarray:
    """[C, 3] that the classes need in the image, on the ground and in space."""
    ious = np.array([IOUS.get(text, IOUS["original"]).get(name, OTHER_CLASSES) for name in names])
    if text in IOUS:
        return ious
    expected = f"Expected {', '.join(IOUS)}, or a number of at least 0 and below 1, such as 0.5."
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"IoU {text!r} of 3D boxes is unknown.{closest(text, IOUS)} {expected}") from None
    if not 0 <= value < 1:
        raise UsageError(f"IoU {text} of 3D boxes is out of range. {expected}")
    ious[:, 1:] = value
    return ious


def _objects(table: Table, label: int, difficulty: Difficulty) -> np.ndarray:
    """[G] what each annotated object is for a class at a difficulty."""
    truth = table.truth
    left_out = (
        truth["ignored"]
        | (truth["occluded"] > difficulty.occluded)
        # Fractions are stored as float32, in which 0.15 is a little more.
        | (truth["truncated"] > difficulty.truncated + 1e-6)
        | (truth["heights"] < difficulty.height)
    )
    return np.where(truth["classes"] != label, ABSENT, np.where(left_out, IGNORED, COUNTS))


def _case(table: Table, label: int, difficulty: Difficulty, objects: np.ndarray, sense: int, iou: float) -> Case:
    found = table.found
    # The devkit asks for the height first, so small detections of other classes may be taken by an object too.
    small = found["heights"] < difficulty.height
    detections = np.where(small, IGNORED, np.where(found["classes"] == label, COUNTS, ABSENT))
    kept = (table.ious[sense] > iou) & (objects[table.first] >= 0) & (detections[table.second] >= 0)
    first, second = table.first[kept], table.second[kept]
    return Case(
        images=table.images,
        objects=objects,
        detections=detections,
        scores=found["scores"],
        first=first,
        second=second,
        ious=table.ious[sense, kept],
        # Regions have no place in space, so there they excuse nothing.
        stuff=table.stuff > iou if sense == 0 else np.zeros(len(table.stuff), bool),
        turns=np.nan_to_num(np.cos(table.truth["alphas"][first] - found["alphas"][second]), nan=-1.0),
    )
