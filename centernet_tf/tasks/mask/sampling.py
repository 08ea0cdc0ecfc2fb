"""Values of maps and of small grids over boxes, at equal steps; for training and for decoding."""

from typing import Any

import numpy as np
from keras import ops

from centernet_tf.geometry import patches

Sides = tuple[int, int]  # rows and columns


def resize(grids: Any, sides: Sides) -> Any:
    """Grids [..., S, S] interpolated linearly to [..., rows, columns], as `patches.weights` does.

    Those of numbers as they are, such as logits.
    """
    down, across = (_steps(side, length) for side, length in zip(sides, grids.shape[-2:]))
    return ops.matmul(ops.matmul(down, grids), np.swapaxes(across, 0, 1))


def _steps(count: int, length: int) -> np.ndarray:
    """[count, length] float32: how much each of `length` values counts at `count` equal steps."""
    positions = patches.places(np.float32(0), np.float32(1), count)
    return patches.weights(positions, np.float32(0), np.float32(1), length)


def sample(values: Any, channels: Any, frames: Any, sides: Sides) -> Any:
    """A channel of a map at equal steps over boxes, interpolated linearly; beyond the map as at its edge.

    Rows of the map are gathered and mixed, then columns of these: single values take ten times as long.

    Args:
        values: [B, h, w, C].
        channels: [B, N] int32, which of them for each box.
        frames: [B, N, 4] float32 left, top, right, bottom in cells.
        sides: Rows and columns of what is read.

    Returns:
        [B, N, rows, columns] float32.
    """
    batch, height, width, depth = ops.shape(values)
    count = ops.shape(frames)[1]
    planes = ops.transpose(ops.cast(values, "float32"), (0, 3, 1, 2))
    rows = patches.places(frames[..., 1], frames[..., 3], sides[0])
    columns = patches.places(frames[..., 0], frames[..., 2], sides[1])
    plane = ops.arange(batch, dtype="int32")[:, None] * depth + channels
    lines = _mixed(ops.reshape(planes, (-1, width)), plane, rows, height)  # [B, N, rows, w]
    lines = ops.reshape(ops.transpose(lines, (0, 1, 3, 2)), (-1, sides[0]))
    box = ops.reshape(ops.arange(batch * count, dtype="int32"), (batch, count))
    return ops.transpose(_mixed(lines, box, columns, width), (0, 1, 3, 2))


def _mixed(lines: Any, first: Any, positions: Any, length: Any) -> Any:
    """Lines between lines.

    Args:
        lines: [M, D], `length` of them for each plane.
        first: [B, N] int32, planes.
        positions: [B, N, P] in the planes; those outside count as at the edge.
        length: Lines of a plane.

    Returns:
        [B, N, P, D].
    """
    inside = ops.clip(positions, 0.0, ops.cast(length - 1, "float32"))
    low = ops.floor(inside)
    number = ops.clip(ops.cast(low, "int32"), 0, length - 1)  # NaN, of a network that diverged, is no line
    start = (first * length)[..., None]
    one, other = (ops.take(lines, start + place, axis=0) for place in (number, ops.minimum(number + 1, length - 1)))
    return one + (inside - low)[..., None] * (other - one)
