"""Objects with masks as targets (CenterMask, section 3), in cells of the output grid.

Masks come as patches over whole boxes; everything here is read from these on the device.
"""

from collections.abc import Mapping
from typing import Any

from keras import ops

from centernet_tf.geometry import patches
from centernet_tf.points.centers import STRIDE

COVERED = 0.5  # of a cell, from which it belongs to an object


def masked(rows: Mapping[str, Any]) -> Any:
    """[B, N] bool: valid objects with a mask; crowds stand for nobody's."""
    known = ops.any(rows["masks"] > 0, axis=(2, 3)) & rows["valid"] & ops.logical_not(rows["crowd"])
    return known & ops.logical_not(rows["ignored"]) if "ignored" in rows else known


def frames(centers: Mapping[str, Any], edges: bool) -> Any:
    """The boxes that the network learns to find, [B, N, 4] in cells: what their masks lie in.

    Args:
        centers: What `Centers.locate` returned.
        edges: Whether sizes are distances to the edges of the unclipped box.
    """
    near, far = centers["size"] / 2, centers["size"] / 2
    if edges:
        near, far = centers["edges"][..., :2], centers["edges"][..., 2:]
    return ops.concatenate([centers["center"] - near, centers["center"] + far], axis=-1)


def encode(rows: Mapping[str, Any], centers: Mapping[str, Any], samples: int, edges: bool, classes: bool) -> Any:
    """The target of `losses.product`.

    Args:
        rows: "masks" [B, N, S, S] over "boxes" [B, N, 4] in pixels of the network's input, "crowd" and "valid" [B, N];
            optionally "ignored".
        centers: What `Centers.locate` returned.
        samples: Rows and columns of each target, n.
        edges: See `frames`.
        classes: Whether each class has a saliency of its own.
    """
    wanted = frames(centers, edges)
    columns = patches.places(wanted[..., 0], wanted[..., 2], samples)
    lines = patches.places(wanted[..., 1], wanted[..., 3], samples)
    boxes = ops.cast(rows["boxes"], "float32") / STRIDE
    known = masked(rows) & centers["boxed"]
    channels = ops.maximum(centers["classes"], 0) if classes else ops.zeros_like(centers["classes"])
    return {
        "index": centers["index"],
        "channels": channels,
        "frames": wanted,
        "mask": ops.cast(known, "float32"),
        "value": patches.paste(ops.cast(rows["masks"], "float32"), boxes, columns, lines),
    }


def encode_saliency(rows: Mapping[str, Any], grid: tuple[int, int], channels: int) -> dict[str, Any]:
    """The target of `losses.direct_saliency`: the union of the masks, of each class where there are several channels.

    Nothing is known under crowds and ignored objects, and in the boxes of objects without a mask.

    Args:
        rows: As `encode` takes them, and "classes" [B, N].
        grid: Height and width in cells.
        channels: 1, or the number of classes.
    """
    covered = on_grid(rows["masks"], rows["boxes"], grid)
    known = masked(rows)
    if channels == 1:
        value = ops.any(covered & known[..., None, None], axis=1)[..., None]
    else:
        batch, count, height, width = ops.shape(covered)
        of_class = ops.cast(rows["classes"][..., None] == ops.arange(channels, dtype="int32"), "float32")
        of_class = ops.transpose(of_class * ops.cast(known, "float32")[..., None], (0, 2, 1))
        found = ops.matmul(of_class, ops.reshape(ops.cast(covered, "float32"), (batch, count, height * width)))
        value = ops.transpose(ops.reshape(found, (batch, channels, height, width)), (0, 2, 3, 1)) > 0
    blank = ops.logical_not(ops.any(rows["masks"] > 0, axis=(2, 3)))[..., None, None]
    unknown = ops.logical_or(covered, blank & on_grid(ops.ones_like(rows["masks"]), rows["boxes"], grid))
    unknown = ops.any(unknown & (rows["valid"] & ops.logical_not(known))[..., None, None], axis=1)
    return {"value": ops.cast(value, "float32"), "weight": 1 - ops.cast(unknown, "float32")}


def on_grid(masks: Any, boxes: Any, grid: tuple[int, int]) -> Any:
    """[B, N, h, w] bool: cells that objects cover at least half.

    Args:
        masks: [B, N, S, S] over the boxes.
        boxes: [B, N, 4] in pixels of the network's input.
        grid: Height and width in cells.
    """
    return paste(masks, ops.cast(boxes, "float32") / STRIDE, grid) >= COVERED


def paste(masks: Any, boxes: Any, grid: tuple[int, int]) -> Any:
    """[B, N, h, w] float32: masks [B, N, S, S] over boxes [B, N, 4] in cells, on the cells of the output grid."""
    lines, columns = (ops.arange(side, dtype="float32") for side in grid)
    return patches.paste(ops.cast(masks, "float32"), boxes, columns, lines)
