"""What an inspection brings to light: plain numbers, findings, and a few samples to look at."""

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.table import Table

from centernet_tf.errors import DataError
from centernet_tf.geometry.affine import move
from centernet_tf.host.bucket import Bucket
from centernet_tf.media.draw import class_colors, contact_sheet
from centernet_tf.media.images import read_image
from centernet_tf.properties.draw import draw_objects
from centernet_tf.properties.fields import FULL_BOXES, SHARED
from centernet_tf.properties.notebook import Finding
from centernet_tf.properties.property import Property, Rows

# COCO's bounds of small, medium and large objects, pixels^2.
SMALL, LARGE = 32.0**2, 96.0**2
IGNORED = (150, 150, 150)  # colour of what is neither object nor background
PANEL = 200  # pixels that the sides of panels have at least while they are drawn
# Attributes of a report that are for people and programs, but not for JSON.
_LIVE = ("declared", "facts", "tables", "samples")


@dataclasses.dataclass(frozen=True)
class Sample:
    """An annotated image kept for the contact sheet.

    Attributes:
        name: Of the image.
        image: Bytes of its file.
        rows: Its sound objects: "boxes" [N, 4], "classes" [N], "ignored" [N] and the rows of properties, in pixels.
        labels: [N] names of the classes, or what the source calls ignored objects.
        before: The rows of the frames before, where it is of a video, oldest first.
    """

    name: str
    image: bytes
    rows: Rows
    labels: tuple[str, ...]
    before: tuple[Rows, ...] = ()


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
        ignored: Ignored objects, by the name that the source gives them.
        per_class: Boxes that are not ignored by class name; of labels without a class under "label <number>".
        image_sizes: Images by "WIDTHxHEIGHT".
        areas: Sound boxes by COCO's "small" (under 32^2 pixels), "medium", "large" (from 96^2).
        box_cells: Spread of the shorter side of boxes, in output cells at `size`.
        objects_per_image: Spread over images.
        lost_peak_fraction: Fraction of sound objects whose cell another of their class has taken.
        shared_cell_fraction: Fraction of sound objects whose cell another of any class has taken.
        properties: What was learnt of each property of the records, by name.
        findings: The most severe first.
        videos: How many videos there are, gaps in their frame numbers, and how many frames each has.
        declared: The properties as dataset.yaml says; like what follows not part of the JSON form.
        advice: The size of input to train at, and why; "" where nothing tells.
        facts: Lines that videos and properties add to the summary: {what: text}.
        tables: Tables that properties add.
        samples: Images for the contact sheet.
    """

    path: Path | Bucket
    name: str
    split: str
    classes: tuple[str, ...]
    size: tuple[int, int]
    images: int
    objects: int
    crowd: int
    difficult: int
    ignored: dict[str, int]
    per_class: dict[str, int]
    image_sizes: dict[str, int]
    areas: dict[str, int]
    box_cells: Spread
    objects_per_image: Spread
    lost_peak_fraction: float
    shared_cell_fraction: float
    properties: dict[str, dict[str, Any]]
    findings: list[Finding]
    videos: dict[str, Any] = dataclasses.field(default_factory=dict)
    declared: tuple[Property, ...] = ()
    advice: str = ""
    facts: dict[str, str] = dataclasses.field(default_factory=dict)
    tables: list[Table] = dataclasses.field(default_factory=list)
    samples: list[Sample] = dataclasses.field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether nothing found is an error."""
        return not any(finding.severity == "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """The report for machines, of types that JSON knows; keys are the attributes' names and "sound"."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name in _LIVE:
            plain.pop(name)
        plain["path"] = str(self.path)
        plain["size"], plain["classes"] = list(self.size), list(self.classes)
        for name in ("box_cells", "objects_per_image"):
            plain[name] = dataclasses.asdict(plain[name])
        plain["findings"] = [dataclasses.asdict(finding) for finding in self.findings]
        return {"sound": self.sound, **plain}

    def to_json(self) -> str:
        """`to_dict` as indented text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def sheet(self, tile: int = 320) -> np.ndarray | None:
        """The samples with their objects, side by side; small images are enlarged by a whole factor.

        Ignored objects are grey. Panels of properties stand beside their image.

        Args:
            tile: Largest side of a sample in the sheet, pixels.

        Returns:
            [H, W, 3] uint8, RGB; None where no image could be read.
        """
        tiles, titles = [], []
        for sample in self.samples:
            try:
                image = read_image(sample.image, sample.name, upright=False)
            except DataError:  # among the findings already
                continue
            titles.append(f"{sample.name}  {image.shape[1]}x{image.shape[0]}")
            image, scale = _scaled(image, tile)  # before drawing, so that labels can be read
            tiles.append(self._drawn(image, scale, sample))
        tile = max([tile, *(max(drawn.shape[:2]) for drawn in tiles)])  # panels stand beside
        return contact_sheet(tiles, titles, tile=tile) if tiles else None

    def _drawn(self, image: np.ndarray, scale: float, sample: Sample) -> np.ndarray:
        """The sample's objects on its image, which is `scale` times as large as the file's."""
        matrix = np.array([[scale, 0, 0], [0, scale, 0]])
        fields = [*SHARED, FULL_BOXES, *(field for one in self.declared for field in one.fields)]
        rows, *before = (
            {field.name: move(rows[field.name], matrix, field.motion) for field in fields if field.name in rows}
            for rows in (sample.rows, *sample.before)
        )
        colors = np.where(rows["ignored"][:, None], np.uint8(IGNORED), class_colors(rows["classes"]))
        return draw_objects(image, rows, self.declared, sample.labels, colors, PANEL, before=before)


def area_names(areas: np.ndarray) -> Counter:
    """Counts areas [N] in pixels^2 as "small", "medium" and "large"."""
    small, large = int(np.sum(areas < SMALL)), int(np.sum(areas >= LARGE))
    return Counter(small=small, medium=len(areas) - small - large, large=large)


def _scaled(image: np.ndarray, side: int) -> tuple[np.ndarray, float]:
    """Brings an image's longer side to about `side` pixels; also the factor."""
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image.repeat(int(scale), axis=0).repeat(int(scale), axis=1), int(scale)
    size = tuple(max(1, round(length * scale)) for length in (image.shape[1], image.shape[0]))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), scale
