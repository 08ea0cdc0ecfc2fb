"""Average precision of masks as COCO counts it: the IoU of pixels in the place of that of boxes."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco
from rich.table import Table

from centernet_tf.errors import DataError
from centernet_tf.host.plain import plain
from centernet_tf.metrics.coco import limits_up_to, summarize
from centernet_tf.metrics.coco_counting import CocoMetric, where_known
from centernet_tf.metrics.ignored import as_crowd
from centernet_tf.metrics.tables import meaning, number, percent
from centernet_tf.properties.masks.pixels import runs_of
from centernet_tf.properties.metric import ImageKey, Metric, Score
from centernet_tf.properties.property import Rows

MAX_DETECTIONS = 100  # COCO's
_COLUMNS = ("boxes", "classes", "crowd", "difficult", "ignored", "area", "segmentations")


@dataclasses.dataclass(frozen=True)
class MaskScores(Score):
    """What COCO's evaluation says of masks. Numbers run from 0 to 1 and are NaN where there is no truth.

    Attributes:
        summary: The means that COCO prints, as in `metrics.coco.CocoScores`; objects are small up to 32x32 pixels of
            annotated area.
        names: Name of each class.
        ap: [C] AP of each class.
        ap50: [C] AP50 of each class.
        truth: [C] int, annotated objects with a mask that are no crowds.
        images: Number of images.
        detections: Number of detections in them.
    """

    summary: dict[str, float]
    names: tuple[str, ...]
    ap: np.ndarray
    ap50: np.ndarray
    truth: np.ndarray
    images: int
    detections: int

    @property
    def main(self) -> dict[str, float]:
        return {"mask AP": self.summary["AP"]}

    def tables(self) -> list[Table]:
        """The means in percent, and a row for each class where several have masks."""
        table = Table("score", "of", title=f"Masks of {int(self.truth.sum())} objects")
        table.add_column("value", justify="right")
        for name, value in self.summary.items():
            table.add_row(f"mask {name}", meaning(name), percent(value))
        known = np.flatnonzero(self.truth)
        for index in known if len(known) > 1 else ():
            table.add_row("mask AP", plain(self.names[index]), percent(self.ap[index]))
        return [table]

    def as_dict(self) -> dict[str, Any]:
        """ "masks": "summary" {score: value}, "classes" [{name, objects, mask AP, mask AP50}]; None without truth."""
        classes = [
            {"name": name, "objects": int(count), "mask AP": number(ap), "mask AP50": number(ap50)}
            for name, count, ap, ap50 in zip(self.names, self.truth, self.ap, self.ap50)
        ]
        summary = {f"mask {name}": number(value) for name, value in self.summary.items()}
        return {"masks": {"summary": summary, "classes": classes}}


class CocoMasks(CocoMetric, Metric):
    """COCO's mask metric on the pixels of the images; of every mask it keeps the run lengths alone.

    Crowds are neither hits nor misses. Nor are objects without mask: their box stands for it, so that what is found
    there does not count against the model.
    """

    kind = "segm"

    def __init__(self, names: Sequence[str], max_detections: int | None = None, digits: int | None = None) -> None:
        """Starts without images.

        Args:
            names: Name of each class, by 0-based index.
            max_detections: Detections per image and class that count, the best ones. If None as many as the fullest
                image has masks, at least COCO's 100.
            digits: Decimals that scores are rounded to.

        Raises:
            DataError: There are no names.
            UsageError: max_detections is below 1.
        """
        super().__init__(names, MAX_DETECTIONS if max_detections is None else max_detections, digits)
        self._grows = max_detections is None

    def update(self, image: ImageKey, found: Rows, truth: Rows) -> None:
        """Adds an image.

        Args:
            image: Which one; each comes once.
            found: As in `Metric.update`, with "segmentations" [K] and "segmentation_size" as of `results.at_pixels`.
            truth: As in `Metric.update`, with "segmentations" [N], b"" for none; without them no object has a mask.
                "area" says which objects are small.

        Raises:
            DataError: As in `BoxMetric.add`, or a mask is not of this image's size.
        """
        size = np.asarray(found["segmentation_size"])
        none = np.full(len(truth["classes"]), b"", object)
        columns = {"segmentations": none, **truth}
        there = as_crowd({name: columns[name] for name in _COLUMNS}, len(self.names))
        masked = np.array([bool(counts) for counts in there["segmentations"]], bool)
        there["crowd"] = there["crowd"] | ~masked
        self.add(image.image_id, found, there)
        added = self.images[image.image_id]
        given = zip(there["segmentations"], there["boxes"])
        stand_ins = [counts or _rectangle(box, *size.tolist()) for counts, box in given]
        added.truth.update(size=size, counts=_checked(image.image_id, stand_ins, size), masked=masked)
        added.found.update(size=size, counts=_checked(image.image_id, found["segmentations"], size))
        if self._grows:
            self.max_detections = max(self.max_detections, int(masked.sum()))

    def result(self) -> MaskScores | None:
        """Scores all images so far; None where no object has a mask."""
        if not any((image.truth["masked"] & ~image.truth["crowd"]).any() for image in self.images.values()):
            return None
        evaluation = self.evaluation()
        limits = evaluation.params.maxDets
        last = limits.index(self.max_detections)
        precision = where_known(evaluation.eval["precision"])  # [T, R, C, areas, limits]
        ap, ap50 = self.of_classes(precision[..., 0, last])
        return MaskScores(
            summary=summarize(precision, where_known(evaluation.eval["recall"]), limits, last),
            names=self.names,
            ap=ap,
            ap50=ap50,
            truth=self.count_truth("masked"),
            images=len(self.images),
            detections=self.detections,
        )

    def adjust(self, parameters: Any) -> None:
        """AP at the limit, and COCO's recalls at 1, 10 and 100."""
        parameters.maxDets = limits_up_to(self.max_detections)

    def image_row(self, image_id: int) -> dict[str, Any]:
        height, width = self.images[image_id].truth["size"].tolist()
        return {"id": image_id, "height": height, "width": width}

    def truth_rows(self, image_id: int, truth: Mapping[str, np.ndarray]) -> list[dict]:
        """Masks with their area as annotated."""
        columns = (truth["classes"].tolist(), truth["area"].tolist(), truth["crowd"].tolist(), _masks(truth))
        return [
            {"image_id": image_id, "category_id": label + 1, "area": area, "iscrowd": int(crowd), "segmentation": mask}
            for label, area, crowd, mask in zip(*columns)
        ]

    def found_rows(self, image_id: int, found: Mapping[str, np.ndarray]) -> list[dict]:
        """Masks with the area that they have; scores rounded where asked for."""
        masks, scores = _masks(found), found["scores"]
        scores = scores if self.digits is None else scores.round(self.digits)
        # One after another: pycocotools 2.0.11 with NumPy 2 cannot count the areas of more than 255 at once.
        areas = [int(coco.area(mask)) for mask in masks]
        return [
            {
                "image_id": image_id,
                "category_id": label + 1,
                "score": score,
                "area": area,
                "iscrowd": 0,
                "segmentation": mask,
            }
            for label, score, area, mask in zip(found["classes"].tolist(), scores.tolist(), areas, masks)
        ]


def _checked(image_id: int, segmentations: Iterable[bytes], size: np.ndarray) -> list[bytes]:
    """Run lengths, if they are those of an image of this height and width."""
    segmentations = list(segmentations)
    for counts in segmentations:
        if (total := int(runs_of(counts).sum())) != size.prod():
            raise DataError(
                f"Image {image_id}: the run lengths of a mask count {total} pixels, but the image has "
                f"{size[1]}x{size[0]}. Is the mask of another image?"
            )
    return segmentations


def _masks(rows: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """COCO's masks of an image."""
    size = rows["size"].tolist()
    return [{"size": size, "counts": counts} for counts in rows["counts"]]


def _rectangle(box: np.ndarray, height: int, width: int) -> bytes:
    """COCO's compressed run lengths of a box (left, top, right, bottom) in an image."""
    low, high = np.clip(np.reshape(box, (2, 2)).astype(np.float64), 0, [width, height])
    return coco.frPyObjects(np.concatenate([low, high - low])[None], height, width)[0]["counts"]
