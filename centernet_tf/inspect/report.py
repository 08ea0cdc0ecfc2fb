"""What an inspection brings to light: plain numbers, findings, and a few samples to look at."""

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from centernet_tf.draw import class_colors, contact_sheet, draw_boxes
from centernet_tf.draw_joints import draw_joints
from centernet_tf.draw_solids import beside, birds_eye, draw_solids
from centernet_tf.errors import DataError
from centernet_tf.images import read_image
from centernet_tf.inspect.findings import Finding
from centernet_tf.skeleton import Skeleton

# COCO's bounds of small, medium and large objects, pixels^2.
SMALL, LARGE = 32.0**2, 96.0**2
NEUTRAL = (150, 150, 150)  # colour of what is neither object nor background


@dataclasses.dataclass(frozen=True)
class Sample:
    """An annotated image kept for the contact sheet; labels are N class names.

    Boxes [N, 4] and joints [N, J, 3] (x, y, label) are in its pixels; J may be 0. Neutral [N] bool, solids [N, 8] and
    camera [3, 4] are as in `Record`, None where there are none.
    """

    name: str
    image: bytes
    boxes: np.ndarray
    classes: np.ndarray
    labels: tuple[str, ...]
    joints: np.ndarray
    neutral: np.ndarray | None = None
    solids: np.ndarray | None = None
    camera: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Spread:
    """Smallest, middle, mean and largest of many numbers; all 0 where there are none."""

    low: float = 0.0
    median: float = 0.0
    mean: float = 0.0
    high: float = 0.0

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Spread of finite numbers."""
        if not len(values):
            return cls()
        figures = (np.min(values), np.median(values), np.mean(values), np.max(values))
        return cls(*(round(float(figure), 2) for figure in figures))


@dataclasses.dataclass
class InspectionReport:
    """All that was seen in one directory of records.

    Attributes:
        path: The directory.
        name: Of the data set.
        split: "train", ...
        classes: Names as declared, in order.
        size: Height and width of the network input that cells refer to, pixels.
        images: Records read.
        objects: Boxes read, faulty ones included.
        crowd: Boxes around groups.
        difficult: Boxes that the VOC metric leaves out.
        neutral: Neutral objects, by the name that the source gives them.
        depths: Spread of the distances of boxes in space, metres; None where records have none.
        per_class: Boxes that are not neutral by class name; of labels without a class under "label <number>".
        skeleton: Of the joints; None where there are none.
        joints: For each joint, by name, how often it is "visible" and "hidden", and of these "outside" its image.
        image_sizes: Images by "WIDTHxHEIGHT".
        areas: Sound boxes by COCO's "small" (under 32^2 pixels), "medium", "large" (from 96^2).
        box_cells: Spread of the shorter side of boxes, in output cells at `size`.
        objects_per_image: Spread over images.
        lost_peak_share: Share of sound objects whose cell another of their class has taken.
        shared_cell_share: Share of sound objects whose cell another of any class has taken.
        findings: The gravest first.
        samples: Images for the contact sheet; not part of the JSON form.
    """

    path: Path
    name: str
    split: str
    classes: tuple[str, ...]
    size: tuple[int, int]
    images: int
    objects: int
    crowd: int
    difficult: int
    neutral: dict[str, int]
    depths: Spread | None
    per_class: dict[str, int]
    skeleton: Skeleton | None
    joints: dict[str, dict[str, int]]
    image_sizes: dict[str, int]
    areas: dict[str, int]
    box_cells: Spread
    objects_per_image: Spread
    lost_peak_share: float
    shared_cell_share: float
    findings: list[Finding]
    samples: list[Sample]

    @property
    def sound(self) -> bool:
        """Whether nothing found is an error."""
        return not any(finding.severity == "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The report for machines, of types that JSON knows; keys are the attributes' names and "sound"."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        plain.pop("samples")
        plain["path"] = str(self.path)
        plain["skeleton"] = self.skeleton.as_dict() if self.skeleton else None
        plain["size"], plain["classes"] = list(self.size), list(self.classes)
        for name in ("box_cells", "objects_per_image", "depths"):
            plain[name] = dataclasses.asdict(plain[name]) if plain[name] else None
        plain["findings"] = [dataclasses.asdict(finding) for finding in self.findings]
        return {"sound": self.sound, **plain}

    def to_json(self) -> str:
        """`to_dict` as indented text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def sheet(self, tile: int = 320) -> np.ndarray | None:
        """The samples with their boxes and joints, side by side; small images are enlarged by a whole factor.

        Hidden joints are faint and neutral objects grey. Boxes in space are drawn as the camera sees them, and on a map
        of the ground beside the sample.

        Args:
            tile: Largest side of a sample in the sheet, pixels.

        Returns:
            [H, W, 3] uint8, RGB; None where no image could be read.
        """
        pictures, titles = [], []
        for sample in self.samples:
            try:
                image = read_image(sample.image, sample.name, upright=False)
            except DataError:  # among the findings already
                continue
            titles.append(f"{sample.name}  {image.shape[1]}x{image.shape[0]}")
            image, scale = _scaled(image, tile)  # before drawing, so that labels can be read
            drawn = _drawn(image, scale, sample)
            points, labels = scale * sample.joints[..., :2], sample.joints[..., 2]
            pictures.append(draw_joints(drawn, points, np.choose(labels.astype(int), (0, 0.1, 1)), self.skeleton))
        tile = max([tile, *(max(picture.shape[:2]) for picture in pictures)])  # maps stand beside
        return contact_sheet(pictures, titles, tile=tile) if pictures else None


def area_names(areas: np.ndarray) -> Counter:
    """Counts areas [N] in pixels^2 as "small", "medium" and "large"."""
    small, large = int(np.sum(areas < SMALL)), int(np.sum(areas >= LARGE))
    return Counter(small=small, medium=len(areas) - small - large, large=large)


def _drawn(image: np.ndarray, scale: float, sample: Sample) -> np.ndarray:
    """The sample's boxes on its image, which is `scale` times as large; those with a place in space as solids."""
    neutral = np.zeros(len(sample.boxes), bool) if sample.neutral is None else sample.neutral
    colors = np.where(neutral[:, None], np.uint8(NEUTRAL), class_colors(sample.classes))
    names = np.array(sample.labels, object)
    solid = np.zeros(len(neutral), bool)
    if sample.solids is not None and sample.camera is not None:
        solid = np.isfinite(sample.solids).all(axis=1)
    flat = ~solid
    drawn = draw_boxes(image, scale * sample.boxes[flat], names[flat], colors[flat])
    if sample.solids is None or sample.camera is None:
        return drawn
    rows = sample.solids[solid]
    places = rows[:, 4:7], rows[:, 1:4], rows[:, 7]
    camera = np.diag([scale, scale, 1]) @ sample.camera
    drawn = draw_solids(drawn, *places, camera, list(names[solid]), colors[solid])
    return beside(drawn, birds_eye(*places, colors[solid], side=max(len(drawn), 200)))


def _scaled(image: np.ndarray, side: int) -> tuple[np.ndarray, float]:
    """Brings an image's longer side to about `side` pixels; also the factor."""
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image.repeat(int(scale), axis=0).repeat(int(scale), axis=1), int(scale)
    size = tuple(max(1, round(length * scale)) for length in (image.shape[1], image.shape[0]))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), scale
