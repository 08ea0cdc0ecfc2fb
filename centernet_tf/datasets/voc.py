"""Reads Pascal VOC: one XML file for each image, written by LabelImg, CVAT, Roboflow and many others.

VOC counts pixels from 1 and its boxes include their last pixel, so the box of pixel 1 alone is xmin = xmax = 1. In
corners of continuous pixels, where the first pixel reaches from 0 to 1, that is left = xmin - 1 and right = xmax.
Many tools write corners from 0 instead, which shows as soon as one box touches the left or upper edge. A box with
xmin = xmax was a click and not a drag, so it has zero area here whatever the counting.
"""

import logging
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from centernet_tf.datasets.items import Item, Split, number_images
from centernet_tf.errors import DataError, UsageError, closest
from centernet_tf.host.reading import read_lines
from centernet_tf.media.images import SUFFIXES
from centernet_tf.properties.property import Fault

ORIGINS = ("auto", "one", "zero")

LARGEST_SIDE = 10**6  # pixels

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Annotation:
    """One XML file as written; corners [N, 4] are xmin, ymin, xmax, ymax."""

    path: Path
    filename: str = ""
    width: int | None = None
    height: int | None = None
    corners: tuple[tuple[float, ...], ...] = ()
    names: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    difficult: tuple[bool, ...] = ()
    faults: tuple[Fault, ...] = ()
    broken: Fault | None = None


def read(
    root: str | Path,
    split: str | None = None,
    *,
    images: str | Path | None = None,
    classes: Sequence[str] | None = None,
    origin: str = "auto",
) -> Split:
    """Reads the annotations of a split; images are not opened.

    Args:
        root: A VOC folder (Annotations, JPEGImages, ImageSets/Main), or any folder of XML files.
        split: Name of a list in ImageSets/Main; None takes every XML file.
        images: Folder of the images; by default JPEGImages, or beside the XML files.
        classes: Names of the classes in order; by default all names in the folder's XML files, of every split,
            sorted. An object with another name is a fault.
        origin: "one" where pixels count from 1, as VOC has it, "zero" where corners count from 0; "auto" takes zero
            if any box of the folder begins below 1.

    Returns:
        The class names, and the images sorted by name. Their ids are the digits of the file names where these tell all
        images of the folder apart, else positions from 1 among all its XML files.

    Raises:
        UsageError: A folder or list is missing, or there is no XML file.
        DataError: A list names an image twice or is no text in UTF-8.
    """
    if origin not in ORIGINS:
        raise UsageError(f"origin is {origin!r}; expected {', '.join(ORIGINS)}.{closest(origin, ORIGINS)}")
    root = Path(root)
    folder, photos = _folders(root, Path(images) if images else None)
    annotations = {path.stem: _parse(path) for path in sorted(folder.glob("*.xml"), key=lambda path: path.stem)}
    if not annotations:
        raise UsageError(f"{folder}: no XML files. Give a folder in Pascal VOC format.")
    if classes is None:
        classes = sorted({name for annotation in annotations.values() for name in annotation.names})
    wanted = sorted(annotations) if split is None else _names_of_split(root, split)
    stems = sorted({*annotations, *wanted})
    ids = dict(zip(stems, number_images(stems)))
    offset = _offset(folder, annotations.values(), origin)
    files = sorted(path for path in photos.iterdir() if path.suffix.lower() in SUFFIXES)
    by_name, by_stem = {path.name: path for path in files}, {path.stem: path for path in reversed(files)}
    items = []
    for stem in wanted:
        annotation = annotations.get(stem) or _missing(folder / f"{stem}.xml")
        image = _image_of(annotation, by_name, by_stem) or photos / (annotation.filename or f"{stem}.jpg")
        items.append(_to_item(annotation, stem, ids[stem], image, offset))
    return Split(tuple(classes), items)


def _folders(root: Path, images: Path | None) -> tuple[Path, Path]:
    folder = root / "Annotations" if (root / "Annotations").is_dir() else root
    if not folder.is_dir():
        raise UsageError(f"{root}: no such folder. Give a folder in Pascal VOC format.")
    if images is None:
        images = root / "JPEGImages" if (root / "JPEGImages").is_dir() else folder
    if not images.is_dir():
        raise UsageError(f"{images}: no such folder of images.")
    return folder, images


def _names_of_split(root: Path, split: str) -> list[str]:
    path = root / "ImageSets" / "Main" / f"{split}.txt"
    if not path.is_file():
        known = sorted(other.stem for other in path.parent.glob("*.txt"))
        have = f"Known: {', '.join(known[:20])}." if known else "There are no lists; leave out the split to read all."
        raise UsageError(f"{path}: no list of split {split!r}. {have}{closest(split, known)}")
    rows = [row.strip() for row in read_lines(path, DataError) if row.strip()]
    # Lists of one class have a second column that says whether the image shows it.
    names = [re.sub(r"\s+-?[01]$", "", row) for row in rows]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DataError(f"{path}: {twice[0]} is listed more than once. Remove the repeated line.")
    return sorted(names)


def _offset(folder: Path, annotations: Sequence[_Annotation], origin: str) -> int:
    """What to subtract from xmin and ymin."""
    if origin != "auto":
        return 1 if origin == "one" else 0
    below = [row.path.name for row in annotations if any(-math.inf < min(box[:2]) < 1 for box in row.corners)]
    if not below:
        return 1
    _logger.warning(
        "%s: boxes of %d files, such as %s, begin below pixel 1, so corners are read as counted from 0. "
        "Give the origin 'one' if only these boxes are wrong.",
        folder,
        len(below),
        below[0],
    )
    return 0


def _image_of(annotation: _Annotation, by_name: dict[str, Path], by_stem: dict[str, Path]) -> Path | None:
    # Tools leave old names in <filename> when files are renamed, so the name of the XML file counts first.
    stem, named = annotation.path.stem, by_name.get(annotation.filename)
    if named is not None and named.stem == stem:
        return named
    return by_stem.get(stem) or named


def _to_item(annotation: _Annotation, stem: str, image_id: int, image: Path, offset: int) -> Item:
    boxes = np.array(annotation.corners, np.float64).reshape(-1, 4)
    drawn = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    boxes[drawn, :2] -= offset
    return Item(
        key=stem,
        image_id=image_id,
        source=image,
        filename=image.name,
        boxes=boxes,
        classes=annotation.names,
        difficult=annotation.difficult,
        width=annotation.width,
        height=annotation.height,
        box_names=annotation.places,
        faults=annotation.faults,
        broken=annotation.broken,
    )


def _missing(path: Path) -> _Annotation:
    return _Annotation(path, broken=Fault("annotation missing", f"its annotation {path} does not exist"))


def _parse(path: Path) -> _Annotation:
    try:
        tree = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, UnicodeDecodeError, LookupError, ValueError) as error:
        return _Annotation(path, broken=Fault("annotation not readable", f"{path} is not readable as XML ({error})"))
    corners, names, places, difficult, faults = [], [], [], [], []
    for number, element in enumerate(tree.iterfind("object"), start=1):
        name = _text(element, "name")
        box = [_number(element, f"bndbox/{corner}") for corner in _CORNERS]
        if not name or None in box:
            what = "no name" if not name else f"no number for {_CORNERS[box.index(None)]}"
            faults.append(Fault("annotation not readable", f"object {number} of {path.name} has {what}"))
            continue
        corners.append(tuple(box))
        names.append(name)
        places.append(f"object {number} of {path.name}")
        difficult.append(_text(element, "difficult") not in ("", "0"))
    size = [_number(tree, f"size/{side}") or 0 for side in ("width", "height")]  # 0 where a tool does not know
    if not all(0 <= side <= LARGEST_SIDE for side in size):
        detail = f"{path} declares an image of {size[0]:g} x {size[1]:g} pixels"
        return _Annotation(path, broken=Fault("annotation not readable", detail))
    return _Annotation(
        path=path,
        filename=re.split(r"[\\/]", _text(tree, "filename"))[-1],
        width=int(size[0]) or None,
        height=int(size[1]) or None,
        corners=tuple(corners),
        names=tuple(names),
        places=tuple(places),
        difficult=tuple(difficult),
        faults=tuple(faults),
    )


def _text(element: ElementTree.Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _number(element: ElementTree.Element, path: str) -> float | None:
    try:
        return float(_text(element, path))
    except ValueError:
        return None
