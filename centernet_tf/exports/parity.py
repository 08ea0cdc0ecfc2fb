"""Whether an exported model answers as the one it was made of: differences, fraction of equal boxes, AP."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from centernet_tf.data.dataset import Dataset
from centernet_tf.errors import DataError
from centernet_tf.evaluation import evaluate
from centernet_tf.exports.answers import all_answers
from centernet_tf.geometry.boxes import areas, box_iou
from centernet_tf.host.files import write_json
from centernet_tf.results import Detections, Pairs

FLOOR = 0.05  # Objects below are noise to users, and their ranks change with any rounding.
SAME = 0.99  # IoU from which two boxes are the same.


@dataclasses.dataclass(frozen=True)
class Limits:
    """How far an export may lie from its model.

    Attributes:
        boxes: Largest difference of a side in pixels.
        scores: Largest difference of a score.
        points: Largest difference of another point of an object, in pixels.
        metres: Largest difference of a place or size in space.
        angles: Largest difference of an angle in radians.
        values: Largest difference of any other number.
        patches: Largest difference of a probability in a grid over a box.
        matched: Least fraction of the model's objects that the export finds too, same class and IoU above 0.99.
        ap: Largest loss of any AP, in 0..1.
    """

    boxes: float = np.inf
    scores: float = np.inf
    points: float = np.inf
    metres: float = np.inf
    angles: float = np.inf
    values: float = np.inf
    patches: float = np.inf
    matched: float = 0.0
    ap: float = 1.0


LIMITS = {
    "float32": Limits(
        boxes=0.01,
        scores=1e-4,
        points=0.01,
        metres=0.02,
        angles=0.001,
        values=0.01,
        patches=0.001,
        matched=1.0,
        ap=0.0005,
    ),
    "float16": Limits(scores=0.05, matched=0.5, ap=0.005),
    "bfloat16": Limits(scores=0.2, matched=0.3, ap=0.01),
    "int8": Limits(matched=0.0, ap=0.01),
}


@dataclasses.dataclass(frozen=True)
class Parity:
    """One comparison.

    Attributes:
        name: What was compared with the model.
        images: Number of images.
        objects: Objects of the model in them, at least `FLOOR` sure and not wholly outside the image.
        boxes: Largest difference of a side between matched objects, in pixels.
        scores: Largest difference of a score between them.
        matched: Fraction of the objects that were found too; 1 where there are none.
        ap: Each AP of the export, as in `evaluate.Scores.main`, minus the model's; empty without records.
        fields: Largest difference between matched objects of each field beyond boxes, scores and classes.
    """

    name: str
    images: int
    objects: int
    boxes: float
    scores: float
    matched: float
    ap: dict[str, float] = dataclasses.field(default_factory=dict)
    fields: dict[str, float] = dataclasses.field(default_factory=dict)

    def crossed(self, limits: Limits) -> list[str]:
        """What lies beyond the limits, for people."""
        found = []
        ap = self.ap.items()
        kinds = kinds_of_fields()
        fields = [(name, value, getattr(limits, kinds[name])) for name, value in self.fields.items()]
        for value, limit, text in (
            (self.boxes, limits.boxes, f"boxes differ by {self.boxes:.3g} pixels, allowed are {limits.boxes:g}"),
            (self.scores, limits.scores, f"scores differ by {self.scores:.2g}, allowed are {limits.scores:g}"),
            (-self.matched, -limits.matched, f"{self.matched:.2%} match; required are {limits.matched:.0%}"),
            *((-value, limits.ap, f"{name} changes by {value:+.4f}, allowed are -{limits.ap:g}") for name, value in ap),
            *((value, limit, f"{name} differ by {value:.3g}, allowed are {limit:g}") for name, value, limit in fields),
        ):
            if value > limit or np.isnan(value):
                found.append(text)
        return found


def kinds_of_fields() -> dict[str, str]:
    """How each further field is compared: a field of `Limits` with the largest difference."""
    return {answer.field: answer.kind for answer in all_answers()}


def compare(name: str, pairs: Iterable[tuple[Detections, Detections]], limit: int, floor: float = FLOOR) -> Parity:
    """Compares what two models found in the same images.

    Args:
        name: Of the second model.
        pairs: What the first and the second found in each image, boxes clipped to it, best first.
        limit: Objects of an image that are looked at; an export may answer with fewer than the model.
        floor: Least score of an object of the first that counts.
    """
    images = objects = matched = 0
    boxes = scores = 0.0
    fields: dict[str, float] = {}
    kinds = kinds_of_fields()
    for first, second in pairs:
        images += 1
        kept = first[:limit]
        kept = kept[(kept.scores >= floor) & (areas(kept.boxes) > 0)]
        objects += len(kept)
        if not len(kept) or not len(second):
            continue
        # Of objects that overlap alike, as ties of saturated scores do, the one with the nearest score is the same.
        iou = np.where(kept.classes[:, None] == second.classes, box_iou(kept.boxes, second.boxes), 0)
        near = iou - 1e-3 * np.abs(kept.scores[:, None] - second.scores)
        best = near.argmax(axis=1)
        same = iou[np.arange(len(kept)), best] >= SAME
        matched += int(same.sum())
        if same.any():
            other = best[same]
            boxes = max(boxes, float(np.abs(kept.boxes[same] - second.boxes[other]).max()))
            scores = max(scores, float(np.abs(kept.scores[same] - second.scores[other]).max()))
            for field, kind in kinds.items():
                if field in kept.fields and field in second.fields:
                    apart = _difference(kept.fields[field][same], second.fields[field][other], kind)
                    fields[field] = float(np.maximum(fields.get(field, 0.0), apart))  # NaN stays NaN
            if kept.pairs and second.pairs:
                apart = _apart(kept.pairs, second.pairs, np.where(same, best, -1))
                fields["pair_scores"] = max(fields.get("pair_scores", 0.0), apart)
    return Parity(name, images, objects, boxes, scores, matched / objects if objects else 1.0, fields=fields)


def _difference(first: np.ndarray, second: np.ndarray, kind: str) -> float:
    """The largest difference of two arrays; of angles that of their directions."""
    apart = first - second
    if kind == "angles":
        apart = (apart + np.pi) % (2 * np.pi) - np.pi
    return float(np.abs(apart).max())


def _apart(first: Pairs, second: Pairs, rows: np.ndarray) -> float:
    """The largest difference of scores between pairs that both have.

    Args:
        first: Pairs of the first's objects.
        second: Pairs of the second's.
        rows: Of the second's objects, by row of the first's; -1 where it has none.
    """
    rows = np.append(np.where(rows < 0, -2, rows), -1)  # What is no object of a pair, -1, is none in both.
    known = {(*map(int, row), int(verb)): score for row, verb, score in zip(second.rows, second.verbs, second.scores)}
    keys = [(*map(int, rows[row]), int(verb)) for row, verb in zip(first.rows, first.verbs)]
    return max((abs(float(score - known[key])) for key, score in zip(keys, first.scores) if key in known), default=0.0)


def measure(
    name: str,
    model: Callable[[np.ndarray], Detections],
    export: Callable[[np.ndarray], Detections],
    images: Sequence[np.ndarray],
    limit: int,
    records: Dataset | None = None,
) -> Parity:
    """Runs both on the same images, and on records for the AP.

    Args:
        name: Of the export.
        model: A runner of the model.
        export: A runner of what was made of it.
        images: [H, W, 3] uint8 RGB each.
        limit: Objects of an image that the export answers with.
        records: To score both on.
    """
    parity = compare(name, ((model(image), export(image)) for image in images), limit)
    if records is None:
        return parity
    before, after = (evaluate(runner, records).main for runner in (model, export))
    return dataclasses.replace(parity, ap={name: after[name] - before[name] for name in before if name in after})


def write_report(path: Path, results: Sequence[Parity]) -> None:
    """Writes all comparisons as JSON."""
    write_json(path, [dataclasses.asdict(one) for one in results])


def require(results: Sequence[Parity], kind: str) -> None:
    """Raises DataError where a result crosses the limits of its kind, a key of `LIMITS`."""
    wrong = [f"{one.name}: {text}" for one in results for text in one.crossed(LIMITS[kind])]
    if wrong:
        raise DataError("The export's results differ from the model's: " + "; ".join(wrong) + ".")
