"""The prior heatmap: a Gaussian where each object was in the frame before, at the full size of the network's input.

In training it is made worse on purpose, for what is found in a video is never perfect: objects are moved, missing, or
doubled (Tracking Objects as Points, section 4.4; official code, `GenericDataset._get_pre_dets`). What is drawn by lot
comes with the rows, as numbers, so that a step can be repeated; here they become places.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from centernet_tf.geometry import gaussian

DRAWS = 6  # numbers for each object: two of its shift, missing, doubled, and two of the double's shift
NEARBY = 0.05  # of an object's sides, the standard deviation of its double's place


def clipped(boxes: Any, size: tuple[int, int]) -> Any:
    """Boxes [..., 4] cut off at the last pixels of an input of this height and width."""
    height, width = size
    return np.clip(boxes, 0, [width - 1, height - 1, width - 1, height - 1])


def draw(rows: Mapping[str, Any], size: tuple[int, int]) -> Any:
    """Draws the prior heatmap.

    Args:
        rows: "boxes" [B, N, 4] in pixels of the network's input, which may reach over its edge; "valid" [B, N] bool; in
            training also "shifts" [B, N, 2, 2] pixels from the middle of each box to where it and its double are drawn,
            and "drawn" [B, N, 2] bool, whether they are.
        size: Height and width of the input.

    Returns:
        [B, H, W, 1] float32, 0 to 1.
    """
    height, width = size
    # Where the resolution is kept, height and width may be tensors.
    last = ops.cast(ops.stack([width, height, width, height]), "float32") - 1
    boxes = ops.minimum(ops.maximum(ops.cast(rows["boxes"], "float32"), 0.0), last)
    sides = boxes[..., 2:] - boxes[..., :2]
    present = ops.logical_and(rows["valid"], ops.all(sides > 0, axis=-1))
    whole = ops.ceil(sides)
    reach = ops.where(present, gaussian.whole(gaussian.radius(whole[..., 1], whole[..., 0])), -1.0)
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    if "shifts" in rows:
        middle = ops.reshape(middle[:, :, None] + rows["shifts"], (ops.shape(middle)[0], -1, 2))
        reach = ops.reshape(ops.where(rows["drawn"], reach[..., None], -1.0), (ops.shape(reach)[0], -1))
    # Whole pixels by cutting off, as the original; what lies beyond the input is not drawn at all.
    center = ops.trunc(middle)
    inside = ops.all(ops.logical_and(center >= 0, center <= last[:2]), axis=-1)
    reach = ops.where(inside, reach, -1.0)
    rows, columns = gaussian.profile(center[..., 1], reach, height), gaussian.profile(center[..., 0], reach, width)

    def add(number: Any, heatmap: Any) -> Any:
        row, column = ops.take(rows, number, axis=1), ops.take(columns, number, axis=1)
        return ops.maximum(heatmap, row[..., None] * column[:, None])

    # One after another: all planes of 100 objects together would be 200 MB for each image of 544 x 960 pixels. Rows
    # behind the last that is drawn, most of a batch's padding, are left out.
    drawn = ops.any(reach >= 0, axis=0)
    last_drawn = ops.max(ops.where(drawn, ops.arange(1, ops.shape(drawn)[0] + 1, dtype="int32"), 0), initial=0)
    empty = ops.zeros((ops.shape(rows)[0], height, width), "float32")
    return ops.fori_loop(0, last_drawn, add, empty)[..., None]
