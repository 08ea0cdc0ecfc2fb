"""An annotated image on its way into records, and the rules that its boxes must meet."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from centernet_tf.errors import DataError

# Moves of an edge below this many pixels are rounding of the source, not a box over the edge.
ROUNDING = 0.01


@dataclass(frozen=True)
class Fault:
    """Why a box or an image cannot be used.

    Attributes:
        reason: Short and the same for all of its kind, to be counted: "zero area".
        detail: What was found where, to be read: "box 3 of 12 has zero area: left 181, ...".
    """

    reason: str
    detail: str


@dataclass(frozen=True, eq=False)
class Item:
    """One image to convert, with its annotations as the source gives them.

    Attributes:
        key: Text that orders the images; records are written in ascending order of it.
        image_id: Number of the image, no two the same.
        source: The image file, its bytes, or pixels [H, W, 3] uint8 RGB.
        filename: What reports and records call the image.
        boxes: [N, 4] left, top, right, bottom in pixels of the annotated image, not clipped.
        normalised: Whether the boxes are fractions of the image's width and height instead of pixels.
        classes: [N] class numbers from 0, or class names; -1 for neutral objects of no one class.
        crowd: [N] bool; none where absent.
        difficult: [N] bool; none where absent.
        area: [N] pixels^2 of the objects' masks; of the boxes where absent, or no number above 0.
        joints: [N, J, 3] x, y (as the boxes, pixels or fractions) and COCO's label: 0 unlabelled, 1 hidden, 2 visible.
            Places of unlabelled ones mean nothing. None where the image has no joints to tell.
        neutral: [N] bool, neither objects to be found nor background, see `Record`; none where absent.
        names: [N] what the source calls the objects, where that is finer than the classes.
        camera: [3, 4] camera matrix in pixels of the annotated image, see `Record`; None where it is not known.
        solids: [N, 8] 3D boxes, see `Record`; NaN for objects without one.
        truncated: [N] share of the object outside the image; 0 where absent.
        occluded: [N] int, KITTI's 0 to 3; 0 where absent.
        width: Width in pixels that the annotation declares; None where it declares none.
        height: The same for the height.
        box_names: [N] what reports call each box, such as "line 3 of a.txt"; "box 3 of 12" where absent.
        faults: Annotations that are not even boxes; each counts as one box.
        left_out: How many boxes the reader left out on purpose, by reason.
        broken: Why the whole image cannot be used, when already the reader knows it.
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
    joints: np.ndarray | None = None
    neutral: Sequence[bool] | np.ndarray | None = None
    names: Sequence[str] | None = None
    camera: np.ndarray | None = None
    solids: np.ndarray | None = None
    truncated: Sequence[float] | np.ndarray | None = None
    occluded: Sequence[int] | np.ndarray | None = None
    width: int | None = None
    height: int | None = None
    normalised: bool = False
    box_names: Sequence[str] | None = None
    faults: tuple[Fault, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    broken: Fault | None = None

    @property
    def num_boxes(self) -> int:
        """Annotated boxes, usable or not."""
        return len(self.boxes) + len(self.faults) + sum(self.left_out.values())


@dataclass(frozen=True, eq=False)
class Objects:
    """The usable boxes of an image, clipped to it; fields as in `Record`.

    Joints outside the image stay where they are, as in COCO: they count in its metric, and training leaves them out.

    Attributes:
        clipped: How many of the boxes reached over the edge of the image.
        faults: Why each of the other boxes was not usable.
    """

    boxes: np.ndarray
    classes: np.ndarray
    crowd: np.ndarray
    difficult: np.ndarray
    area: np.ndarray
    joints: np.ndarray
    neutral: np.ndarray
    names: tuple[str, ...] | None
    solids: np.ndarray | None
    truncated: np.ndarray | None
    occluded: np.ndarray | None
    clipped: int
    faults: tuple[Fault, ...]


def number_images(stems: Sequence[str]) -> list[int]:
    """Gives images numbers: the digits of their names where these tell all images apart, else places from 1."""
    digits = ["".join(re.findall("[0-9]", stem)) for stem in stems]
    if all(0 < len(text) <= 18 for text in digits):
        numbers = [int(text) for text in digits]
        if len(set(numbers)) == len(stems):
            return numbers
    return list(range(1, len(stems) + 1))


def usable_objects(item: Item, width: int, height: int, class_names: Sequence[str], num_joints: int = 0) -> Objects:
    """Sorts the boxes of an image into usable and not, and clips them to the image.

    Args:
        item: The annotated image.
        width: Pixels of the image that the boxes belong to.
        height: The same.
        class_names: Names of the classes that exist.
        num_joints: Joints of an object, J.

    Raises:
        DataError: The item holds another number of joints, or of anything, than of boxes.
    """
    boxes = np.asarray(item.boxes, np.float64).reshape(-1, 4)
    _check_lengths(item, len(boxes))
    joints = _joints(item, len(boxes), num_joints)
    if item.normalised:
        boxes = boxes * [width, height, width, height]
        joints = joints * [width, height, 1]
    clipped = np.clip(boxes, 0, [width, height, width, height])
    numbers = np.array([_class_number(value, class_names) for value in item.classes], np.int64)
    neutral = _flags(item.neutral, len(boxes))
    for_all = neutral & np.array([value in (-1, "") for value in item.classes], bool)
    names = item.box_names or [f"box {index} of {len(boxes)}" for index in range(1, len(boxes) + 1)]
    faults = [
        _fault(box, *rest, which) or _joint_fault(points, which) or _solid_fault(solid, which)
        for box, *rest, which, points, solid in zip(
            boxes, clipped, item.classes, (numbers >= 0) | for_all, names, joints, _solids(item, len(boxes))
        )
    ]
    keep = np.array([fault is None for fault in faults], bool)
    kept = clipped[keep]
    moved = np.abs(kept - boxes[keep]).max(axis=1, initial=0) > ROUNDING
    area = (kept[:, 2] - kept[:, 0]) * (kept[:, 3] - kept[:, 1])
    if item.area is not None:
        given = np.asarray(item.area, np.float64)[keep]
        # Some tools write 0. OKS would call every joint of such an object wrong.
        area = np.where(np.isfinite(given) & (given > 0), np.minimum(given, area), area)
    return Objects(
        boxes=kept.astype(np.float32),
        classes=numbers[keep],
        crowd=_flags(item.crowd, len(boxes))[keep],
        difficult=_flags(item.difficult, len(boxes))[keep],
        area=area.astype(np.float32),
        joints=np.where(joints[keep, :, 2:] > 0, joints[keep], 0).astype(np.float32),
        neutral=neutral[keep],
        names=None if item.names is None else tuple(itertools.compress(item.names, keep)),
        solids=None if item.solids is None else np.asarray(item.solids, np.float32)[keep],
        truncated=None if item.truncated is None else np.asarray(item.truncated, np.float32)[keep],
        occluded=None if item.occluded is None else np.asarray(item.occluded, np.int64)[keep],
        clipped=int(moved.sum()),
        faults=(*item.faults, *(fault for fault in faults if fault is not None)),
    )


def _fault(box: np.ndarray, clipped: np.ndarray, label: int | str, known: bool, which: str) -> Fault | None:
    left, top, right, bottom = box
    where = f"left {left:g}, top {top:g}, right {right:g}, bottom {bottom:g}"
    if not known:
        return Fault("unknown class", f"{which} has class {label!r}, which is not declared")
    if not np.isfinite(box).all():
        return Fault("not a number", f"{which} is not a number: {where}")
    if right < left or bottom < top:
        return Fault("negative size", f"{which} has a negative size: {where}")
    if right == left or bottom == top:
        return Fault("zero area", f"{which} has zero area: {where}")
    if clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        return Fault("outside the image", f"{which} lies outside the image: {where}")
    return None


def _joint_fault(joints: np.ndarray, which: str) -> Fault | None:
    labels = joints[:, 2]
    if len(odd := np.flatnonzero(~np.isin(labels, (0, 1, 2)))):
        detail = f"{which} labels joint {odd[0] + 1} with {labels[odd[0]]:g}; known are 0, 1 (hidden) and 2 (visible)"
        return Fault("unknown label of a joint", detail)
    if len(odd := np.flatnonzero((labels > 0) & ~np.isfinite(joints).all(axis=1))):
        x, y, _ = joints[odd[0]]
        return Fault("joint not a number", f"{which} has its joint {odd[0] + 1} at x {x:g}, y {y:g}, no numbers")
    return None


def _solid_fault(solid: np.ndarray, which: str) -> Fault | None:
    """An object may have no 3D box at all, but not a part of one."""
    finite = np.isfinite(solid)
    if finite.any() and not finite.all():
        return Fault("3D box not a number", f"{which} has the 3D box {solid.tolist()}, which is no numbers in part")
    if (solid[1:4] <= 0).any():
        height, width, length = solid[1:4]
        detail = f"{which} has a 3D box of height {height:g}, width {width:g}, length {length:g}; expected metres"
        return Fault("3D box without extent", detail)
    return None


def _solids(item: Item, count: int) -> np.ndarray:
    """[N, 8] float64, NaN where there are none."""
    solids = np.full((count, 8), np.nan) if item.solids is None else np.asarray(item.solids, np.float64)
    if solids.shape != (count, 8):
        raise DataError(f"{item.filename}: solids are {solids.shape}, expected {(count, 8)}: eight numbers a 3D box.")
    return solids


def _joints(item: Item, count: int, num_joints: int) -> np.ndarray:
    """[N, J, 3] float64."""
    if item.joints is None:
        return np.zeros((count, num_joints, 3))
    joints = np.asarray(item.joints, np.float64)
    if joints.shape != (count, num_joints, 3):
        raise DataError(
            f"{item.filename}: joints are {joints.shape}, expected {(count, num_joints, 3)}: x, y and label of each "
            f"of the skeleton's {num_joints} joints."
        )
    return joints


def _class_number(value: int | str, class_names: Sequence[str]) -> int:
    """Number of a declared class, -1 for any other."""
    if isinstance(value, str):
        return class_names.index(value) if value in class_names else -1
    return int(value) if 0 <= value < len(class_names) else -1


def _flags(values: Sequence[bool] | np.ndarray | None, count: int) -> np.ndarray:
    return np.zeros(count, bool) if values is None else np.asarray(values, bool).reshape(-1)


def _check_lengths(item: Item, count: int) -> None:
    for name in (
        "classes",
        "crowd",
        "difficult",
        "area",
        "box_names",
        "neutral",
        "names",
        "solids",
        "truncated",
        "occluded",
    ):
        values = getattr(item, name)
        if values is not None and len(values) != count:
            raise DataError(f"{item.filename}: {len(values)} values of {name} for {count} boxes.")
