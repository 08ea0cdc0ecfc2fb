"""The shapes of one LabelMe file as objects: boxes, classes, masks, keypoints, and what was left out.

Shapes with one label and one group_id are one object, as in LabelMe's own converters. A polygon or circle is bounded by
its box, a mask tells both, a rectangle tells its box alone. Lines have no area, rotated rectangles no upright box: they
are left out and counted. A point is a keypoint of the object that has its group_id, where a skeleton has its label.
"""

import base64
import binascii
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from centernet_tf.datasets.coco_keypoints import is_number
from centernet_tf.datasets.coco_masks import ImageMasks
from centernet_tf.errors import brief
from centernet_tf.host.reading import is_text
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.properties.masks import runs
from centernet_tf.properties.property import Fault, Size

# Fewest points of the shapes that are objects; X-AnyLabeling writes four of a rectangle.
FEWEST = {"polygon": 3, "rectangle": 2, "circle": 2, "mask": 2}
POINT = "point"
LINES = ("line", "linestrip", "points")
ROTATED = ("oriented_rectangle", "rotation")
VISIBLE = 2
CIRCLE = 64  # corners of the polygon that stands for a circle


@dataclass(frozen=True)
class Choice:
    """What is read of every file.

    Attributes:
        masks: Whether masks are.
        skeleton: Names of the points that are keypoints; None leaves points out.
    """

    masks: bool = False
    skeleton: Skeleton | None = None


@dataclass
class _Object:
    """Shapes that are one object; corners [P, 2] of all, polygons and masks as `ImageMasks` reads them."""

    label: str
    place: str
    group: Any
    corners: list[np.ndarray] = field(default_factory=list)
    polygons: list[list[float]] = field(default_factory=list)
    runs: Mapping[str, Any] | None = None

    @property
    def box(self) -> tuple[float, ...]:
        points = np.concatenate(self.corners)
        return (*points.min(axis=0), *points.max(axis=0))


@dataclass
class Found:
    """The objects of a file, as an `Item` has them; faults and left-out shapes count as one box each."""

    boxes: list[tuple[float, ...]] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    masks: list[bytes] = field(default_factory=list)
    keypoints: list[np.ndarray] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def gather(shapes: Sequence[Any], file: str, choice: Choice, masks: ImageMasks) -> Found:
    """Reads the shapes of a file.

    Args:
        shapes: As the JSON has them.
        file: Its name, for reports.
        choice: What is read.
        masks: Reads the masks of the image, and knows its size.
    """
    found, objects, points = Found(), {}, []
    for number, shape in enumerate(shapes, start=1):
        place = f"shape {number} of {file}"
        if isinstance(read := _read(shape, place), Fault):
            found.faults.append(read)
            continue
        kind, label, group, corners = read
        if kind in FEWEST:
            # A mask is complete by itself; other shapes may be parts of an object.
            key = number if group is None or kind == "mask" else (label, group)
            one = objects.setdefault(key, _Object(label, place, group))
            if fault := _add(one, kind, corners, shape, masks if choice.masks else None):
                found.faults.append(Fault(fault.reason, f"{place} {fault.detail}"))
        elif kind == POINT and choice.skeleton:
            points.append((label, group, corners[0], place))
        else:
            found.left_out[_reason(kind)] += 1
    whole = [one for one in objects.values() if one.corners]
    keypoints = _keypoints(points, whole, choice.skeleton, found) if choice.skeleton else [None] * len(whole)
    for one, own in zip(whole, keypoints):
        mask = masks.mask({"segmentation": one.runs or one.polygons}, one.place) if choice.masks else b""
        if isinstance(mask, Fault):
            found.faults.append(mask)
            continue
        found.boxes.append(one.box)
        found.classes.append(one.label)
        found.places.append(one.place)
        found.masks.append(mask)
        found.keypoints.append(own)
    return found


def _reason(kind: str) -> str:
    return "point" if kind == POINT else "line" if kind in LINES else "rotated rectangle"


def _read(shape: Any, place: str) -> tuple[str, str, Any, np.ndarray] | Fault:
    """Kind, label, group and points [P, 2] of a shape, or what is wrong with it."""

    def unreadable(detail: str) -> Fault:
        return Fault("annotation not readable", f"{place} {detail}")

    if not isinstance(shape, Mapping):
        return unreadable(f"is {brief(shape)}; expected a label and points")
    # Files of older versions have polygons alone.
    kind, label, group = shape.get("shape_type") or "polygon", shape.get("label"), shape.get("group_id")
    if not isinstance(label, str) or not label.strip() or not is_text(label):
        return unreadable(f"has the label {brief(label)}; expected text")
    known = (*FEWEST, POINT, *LINES, *ROTATED)
    if kind not in known:
        return unreadable(f"has the shape_type {brief(kind)}; known are {', '.join(known)}")
    if group is not None and type(group) is not int:
        return unreadable(f"has the group_id {brief(group)}; expected a whole number")
    points, fewest = shape.get("points"), FEWEST.get(kind, 1)
    pairs = isinstance(points, list) and all(isinstance(one, list) and len(one) == 2 for one in points)
    if not pairs or len(points) < fewest or not all(is_number(value) for one in points for value in one):
        return unreadable(f"has the points {brief(points)}; a {kind} has a list of at least {fewest} pairs of numbers")
    return kind, label.strip(), group, np.array(points, np.float64)


def _add(one: _Object, kind: str, corners: np.ndarray, shape: Mapping[str, Any], masks: ImageMasks | None) -> Any:
    """Adds a shape to its object; gives what is wrong with it, if something is."""
    if kind == "circle":  # its centre, and a point on its edge
        with np.errstate(over="ignore", invalid="ignore"):  # of numbers beyond any image, which the writer tells
            radius = np.hypot(*(corners[1] - corners[0]))
            turns = 2 * np.pi * np.arange(CIRCLE)[:, None] / CIRCLE
            corners = corners[0] + radius * np.concatenate([np.cos(turns), np.sin(turns)], axis=1)
    if kind == "mask":  # its first and its last pixel
        if masks and isinstance(given := _runs(shape.get("mask"), corners, masks.size), Fault):
            return given
        one.runs = given if masks else None
        corners = np.stack([corners.min(axis=0), corners.max(axis=0) + 1])
    elif kind != "rectangle":
        one.polygons.append(corners.ravel().tolist())
    one.corners.append(corners)
    return None


def _runs(text: Any, corners: np.ndarray, size: Size | None) -> Mapping[str, Any] | Fault:
    """Run lengths of the PNG in base64 that lies between two pixels of the image."""
    if size is None or not np.isfinite(corners).all():
        return Fault("mask not readable", "has a mask, but not the size of its image, or no corners of the mask")
    first = np.clip(corners.min(axis=0), -1e9, 1e9).round().astype(int)
    try:
        image = Image.open(io.BytesIO(base64.b64decode(text, validate=True)))
        if image.width > size[0] + 1 or image.height > size[1] + 1:
            raise ValueError(f"{image.width} x {image.height} pixels, more than its image")
        seen = np.asarray(image.convert("L")) > 0
    except (TypeError, binascii.Error, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return Fault("mask not readable", f"has a mask that is no PNG in base64 ({brief(str(error), 120)})")
    low = np.maximum(-first, 0)
    seen = seen[low[1] : max(size[1] - first[1], 0), low[0] : max(size[0] - first[0], 0)]
    if not seen.any():
        return Fault("empty mask", "has a mask without a pixel inside the image")
    counts = runs.of_pixels(seen, size, tuple(int(one) for one in first + low))
    return {"size": [size[1], size[0]], "counts": runs.write_counts(counts)}


def _keypoints(
    points: Sequence[tuple[str, Any, np.ndarray, str]], objects: Sequence[_Object], skeleton: Skeleton, found: Found
) -> list[np.ndarray]:
    """Keypoints [J, 3] of each object: x, y, label."""
    keypoints = [np.zeros((len(skeleton.keypoints), 3)) for _ in objects]
    for label, group, point, place in points:
        owners = [number for number, one in enumerate(objects) if group is not None and one.group == group]
        if label not in skeleton.keypoints:
            detail = f"{place} is a point {label!r:.60}; the skeleton has {', '.join(skeleton.keypoints):.200}"
            found.faults.append(Fault("unknown keypoint", detail))
        elif len(owners) != 1:
            found.left_out["point of no object or of several"] += 1
        elif keypoints[owners[0]][skeleton.keypoints.index(label), 2]:
            found.faults.append(Fault("keypoint given twice", f"{place} is a second {label!r:.60} of its object"))
        else:
            keypoints[owners[0]][skeleton.keypoints.index(label)] = (*point, VISIBLE)
    return keypoints
