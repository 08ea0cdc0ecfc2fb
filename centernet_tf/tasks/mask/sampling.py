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

    Columns of the map are gathered and mixed, then rows of these: single values take ten times as long, and rows
    first takes a transposition more.

    Args:
        values: [B, h, w, C].
        channels: [B, N] int32, which of them for each box.
        frames: [B, N, 4] float32 left, top, right, bottom in cells.
        sides: Rows and columns of what is read.

    Returns:
        [B, N, rows, columns] float32.
    """
    batch, height, width, depth = ops.shape(values)
    if frames.shape[1] == 0:  # What JAX takes from nothing keeps the shape of nothing.
        return ops.zeros((batch, 0, *sides), "float32")
    count = ops.shape(frames)[1]
    planes = ops.transpose(ops.cast(values, "float32"), (0, 3, 2, 1))
    rows = patches.places(frames[..., 1], frames[..., 3], sides[0])
    columns = patches.places(frames[..., 0], frames[..., 2], sides[1])
    plane = ops.arange(batch, dtype="int32")[:, None] * depth + channels
    lines = _mixed(ops.reshape(planes, (-1, height)), plane, columns, width)  # [B, N, columns, h]
    lines = ops.reshape(ops.transpose(lines, (0, 1, 3, 2)), (-1, sides[1]))
    box = ops.reshape(ops.arange(batch * count, dtype="int32"), (batch, count))
    return _mixed(lines, box, rows, height)


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
    low, high, part = _around(positions, length)
    start = (first * length)[..., None]
    one, other = (ops.take(lines, start + place, axis=0) for place in (low, high))
    return one + part[..., None] * (other - one)


def _around(positions: Any, length: Any) -> tuple[Any, Any, Any]:
    """The cells before and after positions along a side of this length, int32, and how near the second is, 0 to 1.

    Positions outside count as at the edge.
    """
    inside = ops.clip(positions, 0.0, ops.cast(length - 1, "float32"))
    low = ops.floor(inside)
    number = ops.clip(ops.cast(low, "int32"), 0, length - 1)  # NaN, of a network that diverged, is no cell
    return number, ops.minimum(number + 1, length - 1), inside - low


def sample_all(values: Any, frames: Any, sides: Sides) -> Any:
    """`sample` of all channels of a map with few.

    Args:
        values: [B, h, w, C].
        frames: [B, N, 4] float32 left, top, right, bottom in cells.
        sides: Rows and columns of what is read.

    Returns:
        [B, N, rows x columns, C] float32.
    """
    batch, height, width, depth = ops.shape(values)
    count = ops.shape(frames)[1]
    flat = ops.reshape(ops.cast(values, "float32"), (-1, depth))
    low_y, high_y, part_y = _around(patches.places(frames[..., 1], frames[..., 3], sides[0]), height)
    low_x, high_x, part_x = _around(patches.places(frames[..., 0], frames[..., 2], sides[1]), width)
    image = (ops.arange(batch, dtype="int32") * height)[:, None, None]

    def line(row: Any) -> Any:
        """Values between columns, [B, N, rows, columns, C]."""
        start = ((image + row) * width)[..., None]
        left, right = (ops.take(flat, start + column[..., None, :], axis=0) for column in (low_x, high_x))
        return left + part_x[..., None, :, None] * (right - left)

    above, below = line(low_y), line(high_y)
    found = above + part_y[..., None, None] * (below - above)
    return ops.reshape(found, (batch, count, sides[0] * sides[1], depth))
