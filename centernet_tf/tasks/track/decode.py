"""Maps to tracked objects: boxes that may leave the image, and where each was (official code, `generic_decode`)."""

from collections.abc import Mapping
from typing import Any

from keras import ops

from centernet_tf.losses import gather_cells


def decode(outputs: Mapping[str, Any], peaks: Mapping[str, Any], boxes: Any) -> dict[str, Any]:
    """Peaks to tracked objects.

    Args:
        outputs: "displacement" [B, h, w, 2], and "amodal_box" [B, h, w, 4] where there is one.
        peaks: What `Centers.peaks` returned.
        boxes: [B, K, 4] in cells, as `Centers.decode` gives them; those that are inside out become points.

    Returns:
        "boxes" [B, K, 4] left, top, right, bottom; "displacements" [B, K, 2]; "points" [B, K, 2], the corners of the
        cells, which displacements start from; all in cells. "scores" [B, K]; "classes" [B, K] int32.
    """
    index, cell = peaks["index"], peaks["cell"]
    if "amodal_box" in outputs:
        sides = ops.cast(gather_cells(outputs["amodal_box"], index), "float32")
        boxes = ops.concatenate([cell, cell], axis=-1) + sides
    else:
        middle, half = (boxes[..., :2] + boxes[..., 2:]) / 2, ops.maximum(boxes[..., 2:] - boxes[..., :2], 0.0) / 2
        boxes = ops.concatenate([middle - half, middle + half], axis=-1)
    return {
        "boxes": boxes,
        "scores": peaks["scores"],
        "classes": peaks["classes"],
        "displacements": ops.cast(gather_cells(outputs["displacement"], index), "float32"),
        "points": cell,
    }
