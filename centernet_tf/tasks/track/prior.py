"""The prior heatmap: a Gaussian where each object was in the frame before, at the full size of the network's input.

In training it is made worse on purpose, for what is found in a video is never perfect: objects are moved, missing, or
doubled (Tracking Objects as Points, section 4.4; official code, `GenericDataset._get_pre_dets`). What is drawn by lot
comes with the rows, as numbers, so that a step can be repeated; here they become places.
"""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from centernet_tf.geometry import gaussian

DRAWS = 6  # numbers for each object: two of its shift, missing, doubled, and two of the double's shift
NEARBY = 0.05  # of an object's sides, the standard deviation of its double's place
# The heatmap is drawn strip by strip, a few objects at once: as many planes as there are strips take the memory of one.
STRIPS = TOGETHER = 4


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
    # The last rows of a batch are padding, and most objects are small: each strip is drawn of those that reach into it.
    edges = [height * number // STRIPS for number in range(STRIPS + 1)]
    strips = [_largest(rows[:, :, first:last], columns) for first, last in itertools.pairwise(edges)]
    return ops.concatenate(strips, axis=1)[..., None]


def _largest(rows: Any, columns: Any) -> Any:
    """The largest of the products of profiles, 0 or more, [B, N, h] along y and [B, N, W] along x: [B, h, W].

    A few objects after the others: all planes of 100 together would be 200 MB for each image of 544 x 960 pixels.
    """
    batch, count, height = ops.shape(rows)
    reaching = ops.cast(ops.any(rows > 0, axis=(0, 2)), "float32")
    order = ops.top_k(reaching, count)[1]

    def add(number: Any, heatmap: Any) -> Any:
        # The last one again where there are no more of them.
        place = ops.take(order, ops.minimum(number * TOGETHER + ops.arange(TOGETHER, dtype="int32"), count - 1))
        row, column = ops.take(rows, place, axis=1), ops.take(columns, place, axis=1)
        return ops.maximum(heatmap, ops.max(row[..., None] * column[:, :, None], axis=1))

    steps = (ops.cast(ops.sum(reaching), "int32") + TOGETHER - 1) // TOGETHER
    return ops.fori_loop(0, steps, add, ops.zeros((batch, height, ops.shape(columns)[2]), "float32"))
