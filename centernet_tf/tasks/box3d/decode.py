"""Maps to 3D boxes (official code, `ddd_decode`, `get_alpha` and `ddd2locrot`)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from centernet_tf.geometry.camera import alpha_to_rotation, corners, project, unproject, wrap
from centernet_tf.losses import gather_cells

NEAREST = 0.1  # Metres from the camera, where corners behind it are seen.


def to_metres(values: Any) -> Any:
    """Depth in metres of what the network answers (Objects as Points, section 4.1): 1 / sigmoid - 1, float32."""
    return 1.0 / (ops.sigmoid(ops.cast(values, "float32")) + 1e-6) - 1.0


def to_alphas(values: Any) -> Any:
    """Orientations as the image shows them, of the surer bin.

    Args:
        values: [..., 8] float32, see `losses.rotation`.

    Returns:
        [...] radians, -pi to pi.
    """
    first, second = (
        ops.arctan2(values[..., start], values[..., start + 1]) + shift
        for start, shift in ((2, np.float32(-np.pi / 2)), (6, np.float32(np.pi / 2)))
    )
    return wrap(ops.where(values[..., 1] > values[..., 5], first, second))


def decode(outputs: Mapping[str, Any], peaks: Mapping[str, Any]) -> dict[str, Any]:
    """What the cells of the peaks tell.

    Args:
        outputs: "depth" [B, h, w, 1], "rotation" [B, h, w, 8], "dimensions" [B, h, w, 3], and perhaps "amodal_offset"
            [B, h, w, 2] (x, y) in cells.
        peaks: What `Centers.peaks` returned, K of them.

    Returns:
        "depths" [B, K] and "dimensions" [B, K, 3] (height, width, length) in metres; "alphas" [B, K] radians;
        "middles" [B, K, 2] (x, y) in cells: the middles of the boxes in the image, moved by the amodal offset.
    """
    depth, turn, size = (gather_cells(outputs[name], peaks["index"]) for name in ("depth", "rotation", "dimensions"))
    middles = peaks["center"]
    if "amodal_offset" in outputs:
        middles = middles + ops.cast(gather_cells(outputs["amodal_offset"], peaks["index"]), "float32")
    return {
        "depths": to_metres(depth)[..., 0],
        "dimensions": ops.cast(size, "float32"),
        "alphas": to_alphas(ops.cast(turn, "float32")),
        "middles": middles,
    }


def place(found: Mapping[str, Any], extras: Mapping[str, Any]) -> dict[str, Any]:
    """Puts objects into the frame of the camera.

    What is learnt is z, so z comes back. The original takes it for the distance from the plane of the camera's matrix,
    which for KITTI's cameras is up to 5 mm more, and gives these less.

    Args:
        found: What `decode` returned, "middles" in pixels of the image.
        extras: "camera" [B, 3, 4] of the images.

    Returns:
        "locations" [B, K, 3] x, y, z of the middle of the bottom face in metres; "rotations" [B, K] about y, in
        radians; and, where nothing tells them, "boxes" [B, K, 4] left, top, right, bottom in pixels, around all
        corners.
    """
    middles, dimensions, cameras = found["middles"], found["dimensions"], extras["camera"]
    ahead = found["depths"] + cameras[:, 2, 3, None]
    x, y, z = ops.unstack(unproject(middles, ahead, cameras), 3, axis=-1)
    locations = ops.stack([x, y + dimensions[..., 0] / 2, z], axis=-1)
    rotations = alpha_to_rotation(found["alphas"], middles[..., 0], cameras)
    placed = {"locations": locations, "rotations": rotations}
    if "boxes" not in found:
        placed["boxes"] = boxes_around(locations, dimensions, rotations, cameras)
    return placed


def boxes_around(locations: Any, dimensions: Any, rotations: Any, cameras: Any) -> Any:
    """[B, K, 4] left, top, right, bottom in pixels around 3D boxes, which may reach beyond the image."""
    points = corners(locations, dimensions, rotations)  # [B, K, 8, 3]
    ahead = ops.maximum(points[..., 2:], NEAREST - cameras[:, None, None, 2:, 3])
    pixels = project(ops.concatenate([points[..., :2], ahead], axis=-1), cameras[:, None])
    return ops.concatenate([ops.min(pixels, axis=2), ops.max(pixels, axis=2)], axis=-1)
