"""3D boxes as targets (official code, `datasets/sample/ddd.py`)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from centernet_tf.geometry.camera import wrap
from centernet_tf.points.centers import STRIDE
from centernet_tf.tasks.box3d.decode import NEAREST

EDGE = np.float32(np.pi / 6)  # How far each bin reaches into the other.
HALF = np.float32(np.pi / 2)
SURE = 10.0  # Logit of a bin that an angle lies in or not.


def bins_of(alphas: Any) -> tuple[Any, Any]:
    """Orientations by two overlapping bins, around -pi / 2 and pi / 2.

    Args:
        alphas: [...] radians, -pi to pi.

    Returns:
        [..., 2] float32, 1 for each bin an angle lies in, at least one; [..., 2] radians from the middle of each.
    """
    first = ops.logical_or(alphas < EDGE, alphas > np.float32(np.pi) - EDGE)
    second = ops.logical_or(alphas > -EDGE, alphas < EDGE - np.float32(np.pi))
    residuals = ops.stack([alphas + HALF, alphas - HALF], axis=-1)
    return ops.cast(ops.stack([first, second], axis=-1), "float32"), residuals


def encode(rows: Mapping[str, Any], centers: Mapping[str, Any], count: int, tracked: bool = False) -> dict[str, Any]:
    """Targets of the three heads of 3D boxes.

    Orientations are trained wherever they are known. Depths and dimensions are not in images that augmentation scaled
    or moved, for there the same object looks nearer or further. CenterTrack's are: depths as they look there.

    Args:
        rows: "depths" [B, N] metres, "dimensions" [B, N, 3] metres, "alphas" [B, N] radians, "has_box3d" [B, N] bool,
            where these are known, and "jittered" [B] bool, or "zoom" [B] where `tracked`.
        centers: What `Centers.locate` returned.
        count: Rows of an image before those that no image of the batch needs were cut off.
        tracked: As CenterTrack learns them (official code, `GenericDataset._add_instance`).

    Returns:
        "depth", "dimensions" and "rotation" as the functions of `losses` take them.
    """
    known = ops.logical_and(centers["keep"], rows["has_box3d"])
    depths = ops.cast(rows["depths"], "float32")
    if tracked:
        still, depths = known, depths / rows["zoom"][:, None]
    else:
        still = ops.logical_and(known, ops.logical_not(rows["jittered"])[:, None])
    bins, residuals = bins_of(wrap(ops.cast(rows["alphas"], "float32")))
    known, still = (ops.cast(mask, "float32")[..., None] for mask in (known, still))
    all_rows = {"index": centers["index"], "rows": np.float32(count)}
    shared = {"index": centers["index"]} if tracked else all_rows
    return {
        "depth": {**shared, "mask": still, "value": depths[..., None]},
        "dimensions": {**shared, "mask": still, "value": ops.cast(rows["dimensions"], "float32")},
        "rotation": {**all_rows, "mask": known, "bins": bins, "residuals": residuals},
    }


def amodal_offset(rows: Mapping[str, Any], centers: Mapping[str, Any], tracked: bool = False) -> dict[str, Any]:
    """Offsets from the centres of 2D boxes to the projected 3D centres.

    CenterTrack learns it from the corner of the cell and adds it to the middle of the box; here it is from the middle,
    so that the sum is right. Objects that may reach behind the camera are not trained: their middle lies far outside.

    Args:
        rows: "middles" [B, N, 2] in pixels, "depths" [B, N], "dimensions" [B, N, 3] and "has_box3d" [B, N].
        centers: What `Centers.locate` returned.
        tracked: As CenterTrack learns it: from the corner, of all objects.

    Returns:
        "index", "mask", "value" as `losses.masked_l1` takes them, in cells.
    """
    mask = ops.logical_and(centers["keep"], rows["has_box3d"])
    if not tracked:
        nearest = rows["depths"] - ops.max(rows["dimensions"][..., 1:], axis=-1) / 2
        mask = ops.logical_and(mask, nearest > NEAREST)
    value = ops.cast(rows["middles"], "float32") / STRIDE - centers["cell" if tracked else "center"]
    return {"index": centers["index"], "mask": ops.cast(mask, "float32")[..., None], "value": value}


def ideal_depth(target: Mapping[str, Any]) -> dict[str, Any]:
    """What the network would have to answer for depths in metres: the inverse of `decode.to_metres`."""
    share = 1.0 / (1.0 + target["value"]) - 1e-6
    return {**target, "value": ops.log(share) - ops.log(1.0 - share)}


def ideal_rotation(target: Mapping[str, Any]) -> dict[str, Any]:
    """What the network would have to answer for orientations, as `losses.rotation` takes both."""
    sure = SURE * (2 * target["bins"] - 1)
    parts = [-sure, sure, ops.sin(target["residuals"]), ops.cos(target["residuals"])]
    value = ops.stack(parts, axis=-1)  # [B, N, bins, 4]
    return {**target, "value": ops.reshape(value, (*ops.shape(value)[:2], 8))}
