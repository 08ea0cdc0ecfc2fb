"""What annotation files give as the mask of an object: polygons, or run lengths in either of COCO's two ways."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco

from centernet_tf.errors import brief
from centernet_tf.properties.masks import runs
from centernet_tf.properties.property import Fault, Size

# Times the longer side of the image that a corner may lie outside it; further out it is a damaged number.
FARTHEST = 10
_HUGE = 2**32  # pixels, as pycocotools counts them
_EDGES = 256  # of a polygon that are compared with all others at a time, which bounds the memory


def read(given: Any, size: Size) -> bytes | Fault:
    """An annotation's mask as compressed counts of the whole image.

    Args:
        given: A list of polygons, each a flat list x, y, x, y, ... in pixels; or {"size": [height, width], "counts":
            whole numbers, or compressed text}. None and empty lists are no mask.
        size: Width and height of the image in pixels.

    Returns:
        b"" for no mask; else what is wrong, where something is, its detail to be read behind the object's name.
    """
    if given is None or given == [] or given == [[]]:
        return b""
    if isinstance(given, Mapping):
        return _of_runs(given, size)
    if not isinstance(given, list) or not all(isinstance(one, list) for one in given):
        return _unreadable(f"has the segmentation {brief(given)}; expected polygons or run lengths")
    for number, polygon in enumerate(given, start=1):
        if bad := _polygon_fault(polygon, size):
            return Fault(bad.reason, f"has {bad.detail} in polygon {number} of {len(given)}")
    parts = coco.frPyObjects([list(map(float, one)) for one in given], size[1], size[0])
    return coco.merge(parts)["counts"]


def crosses(given: Any) -> bool:
    """Whether the outline of a polygon, of those that `read` takes, crosses itself: tools fill such in many ways."""
    return isinstance(given, list) and any(_crosses(np.reshape(one, (-1, 2)).astype(np.float64)) for one in given)


def _of_runs(given: Mapping[str, Any], size: Size) -> bytes | Fault:
    told, counts = given.get("size"), given.get("counts")
    if told != [size[1], size[0]]:
        detail = f"has run lengths of the size {brief(told)}; expected [height, width] of its image, {[*size[::-1]]}"
        return Fault("mask of another size", detail)
    if isinstance(counts, list):
        if not all(type(one) is int and abs(one) < _HUGE for one in counts) or not counts:
            return _unreadable(f"has the run lengths {brief(counts)}; expected whole numbers")
        numbers = np.array(counts, np.int64)
    elif isinstance(counts, (str, bytes)):
        try:
            numbers = runs.read_counts(counts.encode("utf-8", "surrogatepass") if isinstance(counts, str) else counts)
        except ValueError as error:
            return _unreadable(f"has run lengths that cannot be read: {error}")
    else:
        return _unreadable(f"has the run lengths {brief(counts)}; expected a list or a text")
    if wrong := runs.fault(numbers, size):
        return Fault("run lengths do not fit the image", f"has run lengths that do not fit: {wrong}")
    return runs.write_counts(numbers)


def _unreadable(detail: str) -> Fault:
    return Fault("mask not readable", detail)


def _polygon_fault(polygon: Sequence[Any], size: Size) -> Fault | None:
    if not all(type(one) in (int, float) for one in polygon):
        return _unreadable(f"{brief(polygon)}, which are not all numbers,")
    if len(polygon) % 2 or len(polygon) < 6:
        return _unreadable(f"{len(polygon)} numbers, where x and y of at least 3 points are expected,")
    farthest = FARTHEST * max(size)
    if odd := [one for one in polygon if not abs(one) <= farthest]:
        what = "is not a number" if odd[0] != odd[0] else f"lies more than {FARTHEST} images outside"
        return _unreadable(f"the number {float(min(max(odd[0], -1e300), 1e300)):g}, which {what},")
    return None


def _crosses(points: np.ndarray) -> bool:
    """Whether two edges of a closed outline [P, 2] pass through each other; touching is not crossing."""
    following = np.roll(points, -1, axis=0)
    for first in range(0, len(points), _EDGES):
        part = slice(first, first + _EDGES)
        start, end = points[part, None], following[part, None]
        apart = _side(start, end, points) * _side(start, end, following) < 0
        if (apart & (_side(points, following, start) * _side(points, following, end) < 0)).any():
            return True
    return False


def _side(start: np.ndarray, end: np.ndarray, point: np.ndarray) -> np.ndarray:
    """On which side of a line points lie: -1, 0 or 1."""
    (dx, dy), (x, y) = np.moveaxis(end - start, -1, 0), np.moveaxis(point - start, -1, 0)
    return np.sign(dx * y - dy * x)
