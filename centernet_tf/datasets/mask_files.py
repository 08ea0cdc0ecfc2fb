"""Masks that tools save as images: a file for each object, or one file in which each object has a number."""

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from scipy import ndimage

from centernet_tf.errors import DataError
from centernet_tf.host.reading import printable
from centernet_tf.media.images import read_bytes
from centernet_tf.properties.masks import runs
from centernet_tf.properties.masks.records import PARTED
from centernet_tf.properties.property import Fault, Size

# Parts of a mask that do not touch, from this fraction of the largest on, may well be objects of their own; smaller
# ones are specks.
LARGE = 0.1


def read_pixels(path: Path, name: str) -> np.ndarray:
    """The numbers of an image file, of any depth; of a palette, those of its entries.

    Returns:
        [H, W] of one number a pixel, or [H, W, 3] of colours that are not grey; transparency is left out.

    Raises:
        DataError: The file is missing, no image, cut off, or has several pages.
    """
    data = read_bytes(path, name)
    try:
        image = Image.open(io.BytesIO(data))
        pages = getattr(image, "n_frames", 1)
        pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{name}: the mask cannot be read ({error}). Copy it again, or save it as PNG.") from error
    if pages > 1:
        raise DataError(f"{name}: the mask has {pages} pages; expected one. Save each page as a file of its own.")
    if pixels.ndim == 2:
        return pixels
    colors = pixels[..., : 1 if pixels.shape[-1] < 3 else 3]
    return colors[..., 0] if (colors == colors[..., :1]).all() else colors


@dataclass
class Found:
    """The objects of an image as they are found.

    Attributes:
        size: Width and height of the image in pixels.
        split_parts: Make an object of each large part.
        names: Of the objects, for reports.
        numbers: Of their classes.
        crowd: Whether they are groups.
        masks: Their runs.
        faults: What could be no object.
        broken: Why nothing can be said of the whole image, if so.
        left_out: How many were left out, by reason.
        counts: Of `records.PARTED`: objects of several large parts that stay one.
    """

    size: Size
    split_parts: bool = False
    names: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    crowd: list[bool] = field(default_factory=list)
    masks: list[np.ndarray] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    broken: Fault | None = None
    left_out: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=lambda: Counter({PARTED: 0}))

    def add(self, name: str, mask: np.ndarray, corner: tuple[int, int], number: int = 0, crowd: bool = False) -> None:
        """Takes in the pixels [h, w] bool of an object, or of several where parts are split.

        Args:
            name: For reports.
            mask: A part of the image, with at least one pixel of the object.
            corner: x, y of its first pixel.
            number: Of the class.
            crowd: Whether it is a group, whose parts belong together.
        """
        parts = [mask] if crowd else large_parts(mask)
        if len(parts) > 1 and not self.split_parts:
            self.counts[PARTED] += 1
            parts = [mask]
        for place, part in enumerate(parts, start=1):
            self.names.append(name if len(parts) == 1 else f"{name}, part {place}")
            self.numbers.append(number)
            self.crowd.append(crowd)
            self.masks.append(runs.of_pixels(part, self.size, corner))

    def boxes(self) -> np.ndarray:
        """[N, 4] left, top, right, bottom around the masks, right and bottom one beyond the last pixel."""
        return np.array([runs.bounds(one, self.size[1]) for one in self.masks], np.float64).reshape(-1, 4)

    def segmentations(self) -> np.ndarray:
        """[N] compressed counts."""
        rows = np.full(len(self.masks), b"", object)
        rows[:] = [runs.write_counts(one) for one in self.masks]
        return rows

    def areas(self) -> list[int]:
        """[N] pixels."""
        return [runs.area(one) for one in self.masks]


def large_parts(mask: np.ndarray) -> list[np.ndarray]:
    """The parts [h, w] bool of a mask that do not touch, at corners either; specks stay with the largest.

    Args:
        mask: [h, w] bool with at least one pixel.
    """
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    areas = statistics[1:, cv2.CC_STAT_AREA]
    large = np.flatnonzero(areas >= LARGE * areas.max()) + 1
    if count == 2 or len(large) == 1:
        return [mask]
    largest = int(areas.argmax()) + 1
    return [mask & ~np.isin(labels, large[large != one]) if one == largest else labels == one for one in large]


def of_files(files: Sequence[Path], pixels: Sequence[np.ndarray | DataError], found: Found) -> None:
    """Takes in the objects of files with one object each, whatever their colour above 0."""
    for path, values in zip(files, pixels):
        name = f"mask {printable(path.name)}"
        if fault := _fault(name, values, found.size):
            found.faults.append(fault)
            continue
        seen = values > 0 if values.ndim == 2 else (values > 0).any(axis=-1)
        left, top, width, height = cv2.boundingRect(seen.view(np.uint8))
        if width:
            found.add(name, np.ascontiguousarray(seen[top : top + height, left : left + width]), (left, top))
        else:
            found.faults.append(Fault("empty mask", f"{name} has no pixel above 0"))


def numbered(path: Path, labels: np.ndarray | DataError, found: Found) -> Iterator[tuple[int, np.ndarray, Any]]:
    """The objects of a label image in ascending order; of none that can be used, `found.broken` says why.

    Args:
        path: Of the file, for reports.
        labels: [H, W] whole numbers, 0 for background.
        found: Of the image.

    Yields:
        The object's number, its pixels [h, w] bool in a part of the image, x and y of the part's first pixel.
    """
    name = f"label image {printable(path.name)}"
    found.broken = _fault(name, labels, found.size)
    if found.broken:
        return
    if labels.ndim > 2 or labels.min() < 0 or not np.array_equal(labels, np.floor(labels)):
        detail = f"{name} has colours, fractions or numbers below 0; expected a whole number a pixel, 0 for background"
        found.broken = Fault("no label image", detail)
        return
    values, compact = np.unique(labels, return_inverse=True)
    compact = compact.reshape(labels.shape) + int(values[0] > 0)  # from 1, for background is 0
    objects = values[values > 0]
    for place, part in enumerate(ndimage.find_objects(compact)):
        yield int(objects[place]), compact[part] == place + 1, (part[1].start, part[0].start)


def _fault(name: str, values: np.ndarray | DataError, size: Size) -> Fault | None:
    if isinstance(values, DataError):
        return Fault("mask not readable", str(values).rstrip("."))
    if values.shape[1::-1] == size:
        return None
    detail = "{} has {} x {} pixels, its image {} x {}".format(name, *values.shape[1::-1], *size)
    return Fault("mask of another size", detail)
