"""Gathering what was found and what is there, image by image; every box metric counts over this."""

import abc
import dataclasses
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from centernet_tf.errors import DataError


@dataclasses.dataclass(frozen=True)
class Image:
    """One image of an evaluation.

    Attributes:
        found: "boxes" [K, 4], "scores" [K] and "classes" [K] of the detections.
        truth: "boxes" [N, 4], "classes" [N], "crowd" [N], "difficult" [N] and "area" [N] of the annotations.
    """

    found: dict[str, np.ndarray]
    truth: dict[str, np.ndarray]


class BoxMetric(abc.ABC):
    """Collects images in any order, also in several processes, and scores them at the end.

    Attributes:
        names: Name of each class, by 0-based index.
        images: The images so far, by id.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Starts without images.

        Args:
            names: Name of each class, by 0-based index; at least one.

        Raises:
            DataError: There are no names.
        """
        if not len(names):
            raise DataError("A metric needs the names of the classes, got none.")
        self.names = tuple(names)
        self.images: dict[int, Image] = {}

    def add(self, image_id: int, detections: Mapping[str, Any], truth: Mapping[str, Any]) -> None:
        """Adds an image, each once. Keys beyond those named here are left alone.

        Args:
            image_id: Any whole number.
            detections: "boxes" [K, 4] left, top, right, bottom in pixels of the original image; "scores" [K]; "classes"
                [K] 0-based. K may be 0.
            truth: "boxes" [N, 4] in the same frame and "classes" [N]; optional "crowd" [N] bool (COCO's iscrowd),
                "difficult" [N] bool (Pascal VOC's), "area" [N] in pixels squared (COCO's, of the mask; the area of
                the box where missing). N may be 0.

        Raises:
            DataError: The image came before, a length disagrees, a number is NaN, or a class has no name.
        """
        image_id = operator.index(image_id)
        if image_id in self.images:
            raise DataError(f"Image {image_id} came twice. Ids of images must be unique in an evaluation.")
        found = self._rows(f"detections of image {image_id}", detections, {"scores": np.float64})
        truth = dict(truth)
        for flag in ("crowd", "difficult"):
            truth.setdefault(flag, np.zeros(len(truth["boxes"]), bool))
        if "area" not in truth:
            truth["area"] = box_areas(np.asarray(truth["boxes"]).reshape(-1, 4))
        kinds = {"crowd": bool, "difficult": bool, "area": np.float64}
        self.images[image_id] = Image(found, self._rows(f"ground truth of image {image_id}", truth, kinds))

    def merge(self, other: "BoxMetric") -> None:
        """Takes over the images that another counter of the same classes has seen.

        Raises:
            DataError: The classes differ, or both have seen the same image.
        """
        if other.names != self.names:
            raise DataError(f"Cannot merge metrics of different classes: {self.names} and {other.names}.")
        if both := self.images.keys() & other.images.keys():
            raise DataError(f"Images {sorted(both)[:5]} came twice. Ids of images must be unique in an evaluation.")
        self.images.update(other.images)

    @abc.abstractmethod
    def result(self) -> Any:
        """Scores all images so far; further ones may follow."""

    def _sorted_images(self) -> list[tuple[int, Image]]:
        """By id, so that the order they came in cannot change how ties between scores fall."""
        if not self.images:
            raise DataError("Nothing to evaluate: the data set has no images.")
        return sorted(self.images.items())

    def _rows(self, what: str, rows: Mapping[str, Any], kinds: Mapping[str, Any]) -> dict[str, np.ndarray]:
        boxes = np.array(rows["boxes"])
        # The type of the boxes is kept: widths of float32 corners are rounded as in the files that results go to.
        values = {
            "boxes": boxes.reshape(-1, 4) if boxes.size else np.zeros((0, 4)),
            "classes": np.array(rows["classes"]),
        }
        values |= {name: np.array(rows[name], kind) for name, kind in kinds.items()}
        count = len(values["boxes"])
        for name, array in values.items():
            if array.shape[:1] != (count,) or (name != "boxes" and array.ndim != 1):
                raise DataError(f"{what}: {name} have shape {array.shape}, but there are {count} boxes.")
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise DataError(f"{what}: {name} hold NaN or infinity.")
        classes = values["classes"]
        if count and not 0 <= classes.min() <= classes.max() < len(self.names):
            raise DataError(
                f"{what}: classes run from {classes.min()} to {classes.max()}, expected 0 to {len(self.names) - 1}. "
                "Are these the classes that the model was trained on?"
            )
        return values | {"classes": classes.astype(np.int64)}


def box_areas(boxes: np.ndarray) -> np.ndarray:
    """[N] area of boxes [N, 4] left, top, right, bottom; [N] in pixels squared."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def mean_where_known(values: np.ndarray) -> float:
    """Mean of the numbers that are not NaN; NaN where there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
