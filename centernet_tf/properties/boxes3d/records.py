"""3D boxes in records: stored lists to rows and back, what is wrong with them, and how JSON tells them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from centernet_tf.geometry.camera import as_camera
from centernet_tf.properties.faults import BrokenListsError, Fault
from centernet_tf.properties.fields import Field
from centernet_tf.properties.property import Rows

CAMERA = "image/camera/projection"
# The keys that TFOD gives KITTI's numbers, in the order of KITTI's columns.
COLUMNS = tuple(
    f"image/object/{name}"
    for name in ("alpha", *(f"3d_bbox/{name}" for name in ("height", "width", "length", "x", "y", "z", "rot_y")))
)
# Columns of tables for the keys of `to_json`.
TABLE = {
    "location": ("location_x", "location_y", "location_z"),
    "dimensions": ("height", "width", "length"),
    "rotation_y": ("rotation_y",),
    "alpha": ("alpha",),
}
TRUNCATED, OCCLUDED = "image/object/truncated", "image/object/occluded"
# What is larger is a damaged number, or one in millimetres.
FARTHEST, LARGEST = 10_000.0, 1_000.0  # metres, of locations and of dimensions
# Radians beyond -pi and pi that are rounding: two decimals of pi are 3.14, or rounded up 3.15.
ANGLE_ROUNDING = 0.01
OCCLUSIONS = (0, 1, 2, 3)
KEYS = {CAMERA: "float", **dict.fromkeys((*COLUMNS, TRUNCATED), "float"), OCCLUDED: "int"}

FIELDS = (
    Field("camera", "float32", (3, 4), "projections", 0.0, "metres in its frame to pixels", level="image"),
    Field("has_box3d", "bool", (), "fixed", False, "the 3D box is known"),
    Field("alphas", "float32", (), "angles", 0.0, "orientation as seen from the camera, -pi to pi"),
    Field("dimensions", "float32", (3,), "fixed", 0.0, "height, width, length in metres"),
    Field("locations", "float32", (3,), "fixed", 0.0, "x, y, z of the middle of the bottom face in metres"),
    Field("depths", "float32", (), "fixed", 0.0, "z in the camera's frame in metres"),
    Field("rotations", "float32", (), "fixed", 0.0, "about the camera's y axis in radians"),
    Field("middles", "float32", (2,), "points", 0.0, "x, y of the 3D centre in pixels of the image"),
    Field("truncated", "float32", (), "fixed", 0.0, "fraction of the object outside the image"),
    Field("occluded", "int32", (), "fixed", 0, "0 visible, 1 partly hidden, 2 largely hidden, 3 unknown"),
)


def from_columns(columns: np.ndarray) -> dict[str, np.ndarray]:
    """Rows of KITTI's columns [N, 8]: alpha, height, width, length, x, y, z, rotation_y; NaN for objects without."""
    with np.errstate(over="ignore"):  # to infinity, which is a fault
        columns = np.asarray(columns, np.float32).reshape(-1, len(COLUMNS))
    return {
        "has_box3d": ~np.isnan(columns).all(axis=1),
        "alphas": columns[:, 0],
        "dimensions": columns[:, 1:4],
        "locations": columns[:, 4:7],
        "depths": columns[:, 6],
        "rotations": columns[:, 7],
    }


def known(rows: Rows) -> np.ndarray | None:
    """[N] bool: objects with a 3D box; None where there is nothing to tell."""
    if "locations" not in rows:
        return None
    return rows["has_box3d"] if "has_box3d" in rows else np.isfinite(rows["locations"]).all(axis=1)


def columns(rows: Rows) -> np.ndarray:
    """[N, 8] float32 as `from_columns` takes them."""
    parts = (rows["alphas"], rows["dimensions"], rows["locations"], rows["rotations"])
    values = np.column_stack([np.asarray(part, np.float32) for part in parts])
    return np.where(known(rows)[:, None], values, np.float32(np.nan)).astype(np.float32)


def complete(rows: Rows) -> Rows:
    """Rows whose depths and middles follow from the rest, all 0 for objects without 3D box."""
    has = rows["has_box3d"]

    def cleared(values: np.ndarray) -> np.ndarray:
        # NaN would spoil sums that leave these rows out by a factor 0.
        return np.where(has.reshape(-1, *(1,) * (values.ndim - 1)), values, np.zeros((), values.dtype))

    done = {name: cleared(rows[name]) for name in ("alphas", "dimensions", "locations", "rotations")}
    done["depths"] = done["locations"][:, 2]
    done["middles"] = cleared(middles(done["locations"], done["dimensions"], rows["camera"]))
    return {**rows, **done}


def middles(locations: np.ndarray, dimensions: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """[N, 2] float32 pixels (x, y) of the middles of boxes [N, 3], [N, 3]; 0 of those in the plane of the camera."""
    with np.errstate(all="ignore"):  # of numbers that are found to be faults later
        x, y, z = locations[:, 0], locations[:, 1] - dimensions[:, 0] / 2, locations[:, 2]
        seen = np.stack([x, y, z, np.ones_like(z)], axis=-1) @ np.asarray(camera, np.float32).T
        depth = seen[:, 2:]
        return np.where(depth != 0, seen[:, :2] / np.where(depth != 0, depth, 1), 0).astype(np.float32)


def unpack(lists: Rows, count: int) -> Rows:
    """Stored lists to rows of N = `count` objects.

    Raises:
        BrokenListsError: There is no usable camera, a list is not of N objects, or a 3D box is known in part only.
    """
    try:
        camera = as_camera(np.reshape(lists[CAMERA], (3, 4)) if len(lists[CAMERA]) == 12 else lists[CAMERA])
    except ValueError as error:
        raise BrokenListsError(
            "bad_camera", f"{CAMERA} must hold the 12 numbers of the image's camera matrix. {error}"
        ) from None
    stored = np.stack([_column(lists, key, count, np.float32(np.nan)) for key in COLUMNS], axis=-1)
    rows = from_columns(stored)
    if (partial := rows["has_box3d"] & ~np.isfinite(stored).all(axis=1)).any():
        row = int(np.flatnonzero(partial)[0])
        raise BrokenListsError(
            "bad_box3d", f"object {row + 1} has the 3D box {stored[row].tolist()}, which is not finite in part."
        )
    rows["camera"] = camera
    rows["truncated"] = _column(lists, TRUNCATED, count, np.float32(0))
    rows["occluded"] = _column(lists, OCCLUDED, count, np.int32(0))
    return complete(rows)


def _column(lists: Rows, key: str, count: int, default: Any) -> np.ndarray:
    values = lists[key]
    if not len(values):
        return np.full(count, default)
    if len(values) != count:
        raise BrokenListsError("bad_box3d", f"{key} holds {len(values)} numbers for {count} boxes.")
    return np.asarray(values, default.dtype)


def pack(rows: Rows) -> dict[str, Sequence[Any]]:
    """Rows to stored lists, NaN for objects without 3D box."""
    stored = columns(rows)
    return {
        CAMERA: np.asarray(rows["camera"], np.float32).ravel(),
        **{key: stored[:, index] for index, key in enumerate(COLUMNS)},
        TRUNCATED: np.asarray(rows["truncated"], np.float32),
        OCCLUDED: np.asarray(rows["occluded"], np.int64),
    }


def faults(rows: Rows) -> list[Fault | None]:
    """What is wrong with the 3D box of each object. One may have none at all, but not a part of one."""
    boxes3d = [_fault(values) if has else None for values, has in zip(columns(rows), known(rows))]
    hidden = map(_hidden_fault, rows["truncated"], rows["occluded"])
    return [one or other for one, other in zip(boxes3d, hidden)]


def _hidden_fault(truncated: float, occluded: int) -> Fault | None:
    if not 0 <= truncated <= 1:
        return Fault("truncated out of range", f"is truncated by {truncated:g}; expected a fraction from 0 to 1")
    if occluded not in OCCLUSIONS:
        return Fault("occluded out of range", f"has the occlusion {occluded}; expected 0, 1, 2 or 3 (unknown)")
    return None


def _fault(values: np.ndarray) -> Fault | None:
    for name, angle in (("alpha", values[0]), ("rotation_y", values[7])):
        if np.isfinite(angle) and abs(angle) > np.pi + ANGLE_ROUNDING:
            detail = f"has {name} {angle:g}; expected radians from -pi to pi. A column may be missing or too many"
            return Fault("angle out of range", detail)
    if not np.isfinite(values).all():
        return Fault("3D box not a number", f"has the 3D box {values.tolist()}, which is not finite in part")
    if (values[1:4] <= 0).any():
        height, width, length = values[1:4]
        detail = f"has a 3D box of height {height:g}, width {width:g}, length {length:g}; expected metres"
        return Fault("3D box of zero size", detail)
    if values[1:4].max() > LARGEST or np.abs(values[4:7]).max() > FARTHEST:
        detail = (
            f"has the dimensions {values[1:4].tolist()} and the location {values[4:7].tolist()}; expected metres, "
            f"{LARGEST:g} and {FARTHEST:g} at most"
        )
        return Fault("3D box out of range", detail)
    return None


def image_fault(rows: Rows) -> Fault | None:
    """Why an image cannot be used: without a camera, nothing in metres means anything."""
    try:
        as_camera(rows["camera"])
    except ValueError:
        return Fault("no camera", f"its camera is {np.asarray(rows['camera']).tolist()}; expected 3x4 numbers")
    return None


def to_json(rows: Rows, digits: int | None) -> list[dict[str, Any]]:
    """ "location" and "dimensions" (height, width, length) in metres, "rotation_y" and "alpha" in radians of each."""
    lines = []
    for values, has in zip(columns(rows).tolist(), known(rows)):
        alpha, *rest = values if digits is None else (round(value, digits) for value in values)
        line = {"location": rest[3:6], "dimensions": rest[:3], "rotation_y": rest[6], "alpha": alpha}
        lines.append(line if has else {})
    return lines


def to_centernet(table: np.ndarray, rows: Rows) -> np.ndarray:
    """The original's results: alpha, box, height, width, length, x, y, z, rotation_y, score, and what else there is.

    Args:
        table: [N, 5 or more] box, score and what other properties added.
        rows: Of what was found; numbers of objects without 3D box are NaN.
    """
    values = columns(rows)
    return np.column_stack([values[:, :1], table[:, :4], values[:, 1:], table[:, 4:]])


def image_to_json(rows: Rows) -> dict[str, Any]:
    """The image's camera, three rows of four, to seven digits."""
    if "camera" not in rows:
        return {}
    return {"camera": [[float(f"{value:.7g}") for value in line] for line in rows["camera"]]}
