"""Reads boxes from a CSV file: one row for each box, with its image, corners and class.

Either a line of headings names the columns, in any order and as tools commonly call them, or each line is
`path,x1,y1,x2,y2,class`, as RetinaNet's programs have it. A row whose box is empty says that its image shows no object.
Corners are those of continuous pixels, in which the first pixel reaches from 0 to 1, or fractions of the image, as Open
Images has them: which of the two is seen by their size.
"""

import csv
import logging
import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from centernet_tf.datasets.items import OUTSIDE, Item, Split, leads_out, number_images
from centernet_tf.errors import DataError, UsageError, brief
from centernet_tf.host.reading import is_file, is_folder, read_lines
from centernet_tf.media.images import SUFFIXES
from centernet_tf.properties.property import Fault

# What a column may be called, small letters and digits alone; where a file has two of a kind, the first here counts.
HEADINGS = {
    "image": ("filename", "file", "filepath", "path", "image", "imagepath", "imagename", "imageid", "img", "frame"),
    "xmin": ("xmin", "x1", "left"),
    "ymin": ("ymin", "y1", "top"),
    "xmax": ("xmax", "x2", "right"),
    "ymax": ("ymax", "y2", "bottom"),
    "class": ("class", "label", "classname", "labelname", "category"),
    "width": ("width", "imagewidth", "imgwidth"),
    "height": ("height", "imageheight", "imgheight"),
}
CORNERS = ("xmin", "ymin", "xmax", "ymax")
PLAIN = ("image", *CORNERS, "class")  # the columns of a file without headings
SEPARATORS = ",;\t"
LARGEST_SIDE = 10**6  # pixels

_EXPECTED = "headings such as filename,xmin,ymin,xmax,ymax,class, or lines path,x1,y1,x2,y2,class without headings"
_logger = logging.getLogger(__name__)


class _Row(NamedTuple):
    """A line of the file by its columns, as text."""

    line: int
    cells: Mapping[str, str]


@dataclass
class _Image:
    """The rows of one image."""

    boxes: list[tuple[float, ...]] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    size: tuple[int | None, int | None] = (None, None)


def read(
    path: str | Path,
    images: str | Path | None = None,
    *,
    classes: Sequence[str] | None = None,
    outside: bool = False,
) -> Split:
    """Reads the boxes of a file; images are not opened.

    Args:
        path: The CSV file, its columns apart by commas, semicolons or tabs.
        images: Folder that the names of images start from; that of the file by default. A name without suffix, as of
            Kaggle and Open Images, is that of the image with one.
        classes: Names in the order of the class numbers; by default all that the file names, sorted. A box of another
            class is a fault.
        outside: Also read images whose names are absolute or climb out of the folder.

    Returns:
        The class names, and the images that the file names, sorted by name. Their ids are the digits of the file names
        where these tell all images apart, else positions from 1.

    Raises:
        UsageError: The file or the folder is missing, or no class is named.
        DataError: The file is no text, its columns cannot be told, or a line names no image; the line is told.
    """
    path = Path(path)
    if not is_file(path):
        raise UsageError(f"{path}: no such CSV file.")
    folder = path.parent if images is None else Path(images)
    if not is_folder(folder):
        raise UsageError(f"{folder}: no such folder of images.")
    found: dict[str, _Image] = defaultdict(_Image)
    for row in _rows(path):
        _take(row, found[_image_name(row, path)], path.name)
    names = tuple(classes or sorted({name for image in found.values() for name in image.classes}))
    if not names:
        raise UsageError(f"{path}: no row has a box with a class. Give the names of the classes (--classes).")
    fractions = _are_fractions(found.values(), path)
    ordered = sorted(found)
    numbers = number_images([Path(name).stem for name in ordered])
    items = [_to_item(name, number, found[name], folder, fractions, outside) for name, number in zip(ordered, numbers)]
    return Split(names, items)


def _rows(path: Path) -> list[_Row]:
    lines = read_lines(path, DataError)
    first: tuple[int, list[str]] | None = None
    for separator in SEPARATORS:
        rows = _parse(lines, separator, path)
        if not rows:
            raise DataError(f"{path}: is empty; expected {_EXPECTED}.")
        columns, named = _columns(rows[0][1])
        if all(name in columns for name in PLAIN):
            return [
                _Row(line, {name: words[place] for name, place in columns.items() if place < len(words)})
                for line, words in rows[named:]
            ]
        first = first or rows[0]
    line, words = first
    lacking = [name for name in PLAIN if name not in _columns(words)[0]]
    missing = f"; these headings lack {', '.join(lacking)}" if len(lacking) < len(PLAIN) else ""
    raise DataError(f"{path}: line {line} is {brief(','.join(words), 120)}; expected {_EXPECTED}{missing}.")


def _parse(lines: list[str], separator: str, path: Path) -> list[tuple[int, list[str]]]:
    """The rows that are not empty, each with the number of its line."""
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    try:
        return [(reader.line_num, [word.strip() for word in words]) for words in reader if any(map(str.strip, words))]
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num} is not readable as CSV ({error}).") from error


def _columns(words: list[str]) -> tuple[dict[str, int], bool]:
    """The place of each column by its name in `HEADINGS`, and whether this line names them."""
    box = words[1:5]
    if len(words) == len(PLAIN) and (all(map(_is_number, box)) or not any(box)):
        return {name: place for place, name in enumerate(PLAIN)}, False
    plain = [re.sub("[^a-z0-9]", "", word.lower()) for word in words]
    return {
        name: next(plain.index(word) for word in known if word in plain)
        for name, known in HEADINGS.items()
        if any(word in plain for word in known)
    }, True


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _image_name(row: _Row, path: Path) -> str:
    """The row's image, so that different ways to write a path are one; Windows' too."""
    name = row.cells.get("image", "")
    if not name:
        raise DataError(f"{path}: line {row.line} names no image. Correct or remove the line.")
    return os.path.normpath(name.replace("\\", "/"))


def _take(row: _Row, image: _Image, file: str) -> None:
    """Adds what a row says to its image."""
    place = f"line {row.line} of {file}"
    texts = [row.cells.get(name, "") for name in CORNERS]
    if None in image.size:
        image.size = tuple(_side(row.cells.get(name, "")) for name in ("width", "height"))
    if not any(texts):
        return
    label = row.cells.get("class", "")
    bad = next((name for name, text in zip(CORNERS, texts) if not _is_number(text)), None)
    if bad or not label:
        what = f"{brief(row.cells.get(bad, ''))} for {bad}; expected a number" if bad else "no class"
        image.faults.append(Fault("annotation not readable", f"{place} has {what}"))
        return
    image.boxes.append(tuple(map(float, texts)))
    image.classes.append(label)
    image.places.append(place)


def _side(text: str) -> int | None:
    """Pixels; None where nothing is told."""
    value = float(text) if _is_number(text) else 0.0
    return int(value) if 0 < value <= LARGEST_SIDE and value.is_integer() else None


def _are_fractions(images: Sequence[_Image], path: Path) -> bool:
    """Whether corners are fractions of the image: then none is above 1, where pixels have boxes of several."""
    numbers = np.array([box for image in images for box in image.boxes], np.float64)
    if not numbers.size or not np.isfinite(numbers).any() or np.nanmax(np.abs(numbers)) > 1:
        return False
    _logger.warning("%s: no corner is above 1, so all are read as fractions of the image's width and height.", path)
    return True


def _to_item(name: str, number: int, image: _Image, folder: Path, fractions: bool, outside: bool) -> Item:
    return Item(
        key=name,
        image_id=number,
        source=_file_of(folder / name),
        filename=name,
        boxes=np.array(image.boxes, np.float64).reshape(-1, 4),
        classes=image.classes,
        width=image.size[0],
        height=image.size[1],
        normalised=fractions,
        box_names=image.places,
        faults=tuple(image.faults),
        broken=OUTSIDE if leads_out(name) and not outside else None,
    )


def _file_of(path: Path) -> Path:
    """The image's file; of a name without suffix, the one that is there."""
    if path.suffix.lower() in SUFFIXES or is_file(path):
        return path
    named = (path.with_name(path.name + suffix) for suffix in SUFFIXES)
    return next(filter(is_file, named), path)
