"""An annotated image on its way into records, and the rules that its boxes must meet."""

import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from centernet_tf.datasets.pairs import usable_pairs
from centernet_tf.errors import DataError
from centernet_tf.host.reading import printable
from centernet_tf.properties.fields import Field
from centernet_tf.properties.property import Fault, Property, Rows, Size
from centernet_tf.properties.rows import select

# Moves of an edge below this many pixels are rounding of the source, not a box over the edge.
ROUNDING = 0.01
# Pixels. Thinner boxes are none any more once records hold them as float32.
SMALLEST = 1e-3
# Pixels. What lies further out is no place in a photo but a damaged number; records hold boxes as float32.
FARTHEST = 1e7

OUTSIDE = Fault(
    "image outside the folder",
    "its file_name leads out of the folder of images; pass --outside to read it all the same, if you trust the file",
)


@dataclass(frozen=True, eq=False)
class Item:
    """One image to convert, with its annotations as the source gives them.

    Attributes:
        key: Text that orders the images; records are written in ascending order of it.
        image_id: Number of the image, no two the same.
        source: The image file, its bytes, or pixels [H, W, 3] uint8 RGB.
        filename: What reports and records call the image; bytes of it that are not UTF-8 become \\xe9 and the like.
        boxes: [N, 4] left, top, right, bottom in pixels of the annotated image, not clipped.
        normalised: Whether boxes and points are fractions of the image's width and height instead of pixels.
        classes: [N] class numbers from 0, or class names; -1 for ignored objects of no one class.
        crowd: [N] bool; none where absent.
        difficult: [N] bool; none where absent.
        area: [N] pixels^2 of the objects' masks; of the boxes where absent, or no number above 0.
        ignored: [N] bool, neither objects to be found nor background, see `Record`; none where absent.
        names: [N] what the source calls the objects, where that is finer than the classes.
        rows: What else the objects or the image have, by field of a property; a property fills in what is missing.
            Points are in the unit of the boxes.
        width: Width in pixels that the annotation declares; None where it declares none.
        height: The same for the height.
        box_names: [N] what reports call each box, such as "line 3 of a.txt"; "box 3 of 12" where absent.
        faults: Annotations that are not even boxes, with whole sentences as details; each counts as one box.
        left_out: How many boxes the reader left out on purpose, by reason.
        pair_faults: Annotations of pairs that are not even pairs, as `faults`; pairs that name no object of this image
            may stand in `rows`, the writer finds them.
        pairs_left_out: How many pairs the reader left out on purpose, by reason.
        broken: Why the whole image cannot be used, when already the reader knows it.
        counts: What the reader counts of a property in these annotations, by the property's name, for what the records
            do not show any more; see `Property.count`.
        video: Name of the video that the image is a frame of; "" for a single image. Frames of a video follow one
            another in ascending order.
        frame: Number of the frame in its video.
        time: Seconds since the video began; None where nobody says.
    """

    key: str
    image_id: int
    source: Path | bytes | np.ndarray
    filename: str
    boxes: np.ndarray
    classes: Sequence[int | str] | np.ndarray
    crowd: Sequence[bool] | np.ndarray | None = None
    difficult: Sequence[bool] | np.ndarray | None = None
    area: Sequence[float] | np.ndarray | None = None
    ignored: Sequence[bool] | np.ndarray | None = None
    names: Sequence[str] | None = None
    rows: Rows = field(default_factory=dict)
    width: int | None = None
    height: int | None = None
    normalised: bool = False
    box_names: Sequence[str] | None = None
    faults: tuple[Fault, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    pair_faults: tuple[Fault, ...] = ()
    pairs_left_out: Mapping[str, int] = field(default_factory=dict)
    broken: Fault | None = None
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    video: str = ""
    frame: int = 0
    time: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "filename", printable(self.filename))

    @property
    def num_boxes(self) -> int:
        """Annotated boxes, usable or not."""
        return len(self.boxes) + len(self.faults) + sum(self.left_out.values())


@dataclass(frozen=True)
class MadeItems:
    """Images that are made on the way, anew by each loop, so that never all of them are in memory.

    Attributes:
        make: Makes them all, one after the other.
    """

    make: Callable[[], Iterator[Item]]

    def __iter__(self) -> Iterator[Item]:
        return self.make()


class Split(NamedTuple):
    """The images of a split as a reader of annotations gives them.

    Attributes:
        classes: Names in the order of the class numbers.
        items: The images in ascending order of their keys; they can be read more than once.
        properties: What objects have besides box and class, with all that the annotations say of it.
    """

    classes: tuple[str, ...]
    items: Iterable[Item]
    properties: tuple[Property, ...] = ()


@dataclass(frozen=True, eq=False)
class Objects:
    """The usable boxes of an image, clipped to it and as annotated; fields as in `Record`.

    Points outside the image stay where they are, as COCO's keypoints do: they count in its metric, and training leaves
    them out.

    Attributes:
        clipped: How many of the boxes reached over the edge of the image.
        faults: Why each of the other boxes was not usable.
        pairs: How many pairs there are among them.
        pair_faults: Why each of the other pairs was not usable.
        broken: Why the whole image cannot be used, if so.
    """

    boxes: np.ndarray
    full_boxes: np.ndarray
    classes: np.ndarray
    crowd: np.ndarray
    difficult: np.ndarray
    area: np.ndarray
    ignored: np.ndarray
    names: tuple[str, ...] | None
    rows: Rows
    clipped: int
    faults: tuple[Fault, ...]
    pairs: int = 0
    pair_faults: tuple[Fault, ...] = ()
    broken: Fault | None = None


def leads_out(name: str) -> bool:
    """Whether a path that an annotation gives is absolute or climbs out of the folder that it starts from.

    Symbolic links inside the folder may lead anywhere: who made the folder chose them.
    """
    path = Path(os.path.normpath(name))
    return path.is_absolute() or bool(path.drive) or path.parts[:1] == (os.pardir,)


def number_images(stems: Sequence[str]) -> list[int]:
    """Gives images numbers: the digits of their names where these tell all images apart, else places from 1."""
    digits = ["".join(re.findall("[0-9]", stem)) for stem in stems]
    if all(0 < len(text) <= 18 for text in digits):
        numbers = [int(text) for text in digits]
        if len(set(numbers)) == len(stems):
            return numbers
    return list(range(1, len(stems) + 1))


def usable_objects(
    item: Item, width: int, height: int, class_names: Sequence[str], properties: Sequence[Property] = ()
) -> Objects:
    """Sorts the boxes of an image into usable and not, and clips them to the image.

    Args:
        item: The annotated image.
        width: Pixels of the image that the boxes belong to.
        height: The same.
        class_names: Names of the classes that exist.
        properties: What the objects may have besides.

    Raises:
        DataError: The item holds another number of anything than of boxes, or rows of no property.
    """
    boxes = np.asarray(item.boxes, np.float64).reshape(-1, 4)
    count = len(boxes)
    _check_lengths(item, count)
    if item.normalised:
        boxes = boxes * [width, height, width, height]
    rows = _filled(item, count, (width, height), properties)
    clipped = np.clip(boxes, 0, [width, height, width, height])
    numbers = np.array([_class_number(value, class_names) for value in item.classes], np.int64)
    ignored = _flags(item.ignored, count)
    for_all = ignored & np.array([value in (-1, "") for value in item.classes], bool)
    known = (numbers >= 0) | for_all
    names = item.box_names or [f"box {index} of {count}" for index in range(1, count + 1)]
    found = [map(_fault, boxes, clipped, item.classes, known)]
    found += [one.faults({**rows, "boxes": boxes}, (width, height)) for one in properties]
    faults = [
        next((Fault(fault.reason, f"{name} {fault.detail}") for fault in own if fault is not None), None)
        for name, own in zip(names, zip(*found))
    ]
    broken = next(filter(None, (one.image_fault(rows) for one in properties)), None)
    keep = np.array([fault is None for fault in faults], bool)
    kept = clipped[keep]
    moved = np.abs(kept - boxes[keep]).max(axis=1, initial=0) > ROUNDING
    full = np.where(moved[:, None], boxes[keep], kept)
    rows, pair_faults, pairs = usable_pairs(rows, keep, properties)
    if not keep.all():
        rows = select(rows, _fields(properties), np.flatnonzero(keep), count)
    for one in properties:
        rows |= one.place(rows, full.astype(np.float32), (width, height))
    area = (kept[:, 2] - kept[:, 0]) * (kept[:, 3] - kept[:, 1])
    if item.area is not None:
        given = np.asarray(item.area, np.float64)[keep]
        # Some tools write 0. OKS would call every keypoint of such an object wrong.
        area = np.where(np.isfinite(given) & (given > SMALLEST**2), np.minimum(given, area), area)
    return Objects(
        boxes=kept.astype(np.float32),
        full_boxes=full.astype(np.float32),
        classes=numbers[keep],
        crowd=_flags(item.crowd, count)[keep],
        difficult=_flags(item.difficult, count)[keep],
        area=area.astype(np.float32),
        ignored=ignored[keep],
        names=None if item.names is None else tuple(itertools.compress(item.names, keep)),
        rows=rows,
        clipped=int(moved.sum()),
        faults=(*item.faults, *(fault for fault in faults if fault is not None)),
        pairs=pairs,
        pair_faults=(*item.pair_faults, *pair_faults),
        broken=broken,
    )


def _fault(box: np.ndarray, clipped: np.ndarray, label: int | str, known: bool) -> Fault | None:
    left, top, right, bottom = box
    where = f"left {left:g}, top {top:g}, right {right:g}, bottom {bottom:g}"
    if not known:
        return Fault("unknown class", f"has class {label!r}, which is not declared")
    if not np.isfinite(box).all():
        return Fault("not a number", f"is not a number: {where}")
    if right < left or bottom < top:
        return Fault("negative size", f"has a negative size: {where}")
    with np.errstate(over="ignore"):  # to infinity, which is large
        narrow = min(right - left, bottom - top) < SMALLEST
    if narrow:
        return Fault("zero area", f"has zero area: {where}")
    if min(clipped[2:] - clipped[:2]) < SMALLEST:
        return Fault("outside the image", f"lies outside the image: {where}")
    if np.abs(box).max() > FARTHEST:
        return Fault("far beyond the image", f"reaches further than any photo does: {where}")
    return None


def _fields(properties: Sequence[Property]) -> list[Field]:
    return [field for one in properties for field in one.fields]


def _filled(item: Item, count: int, size: Size, properties: Sequence[Property]) -> Rows:
    """The item's rows in pixels, completed by the properties."""
    fields = {field.name: field for field in _fields(properties)}
    if unknown := [name for name in item.rows if name not in fields]:
        raise DataError(
            f"{item.filename}: no property has the rows {', '.join(unknown)}. Known: {', '.join(fields) or 'none'}."
        )
    given = dict(item.rows)
    if item.normalised:
        sides = {"points": size, "vectors": size, "boxes": (*size, *size)}
        given = {
            name: np.asarray(values, np.float64) * sides[fields[name].motion]
            if fields[name].motion in sides
            else values
            for name, values in given.items()
        }
    rows = {}
    for one in properties:
        try:
            rows |= one.fill({field.name: given[field.name] for field in one.fields if field.name in given}, count)
        except ValueError as error:
            raise DataError(f"{item.filename}: {error}") from error
    return rows


def _class_number(value: int | str, class_names: Sequence[str]) -> int:
    """Number of a declared class, -1 for any other."""
    if isinstance(value, str):
        return class_names.index(value) if value in class_names else -1
    return int(value) if 0 <= value < len(class_names) else -1


def _flags(values: Sequence[bool] | np.ndarray | None, count: int) -> np.ndarray:
    return np.zeros(count, bool) if values is None else np.asarray(values, bool).reshape(-1)


def _check_lengths(item: Item, count: int) -> None:
    for name in ("classes", "crowd", "difficult", "area", "ignored", "names", "box_names"):
        values = getattr(item, name)
        if values is not None and len(values) != count:
            raise DataError(f"{item.filename}: {len(values)} values of {name} for {count} boxes.")
