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

    Rows of the map are gathered, and their columns multiplied: gathering single values takes several times as long.

    Args:
        values: [B, h, w, C].
        channels: [B, N] int32, which of them for each box.
        frames: [B, N, 4] float32 left, top, right, bottom in cells.
        sides: Rows and columns of what is read.

    Returns:
        [B, N, rows, columns] float32.
    """
    batch, height, width, depth = ops.shape(values)
    lines = ops.reshape(ops.transpose(ops.cast(values, "float32"), (0, 3, 1, 2)), (-1, width))
    rows = _within(patches.places(frames[..., 1], frames[..., 3], sides[0]), height)
    columns = _within(patches.places(frames[..., 0], frames[..., 2], sides[1]), width)
    upper = ops.floor(rows)
    first = ops.clip(ops.cast(upper, "int32"), 0, height - 1)  # NaN, of a network that diverged, is no row
    start = ((ops.arange(batch, dtype="int32")[:, None] * depth + channels) * height)[..., None]
    above, below = (ops.take(lines, start + one, axis=0) for one in (first, ops.minimum(first + 1, height - 1)))
    read = above + (rows - upper)[..., None] * (below - above)
    across = ops.maximum(1 - ops.abs(columns[..., None, :] - ops.arange(width, dtype="float32")[:, None]), 0.0)
    return ops.matmul(read, across)


def _within(positions: Any, length: Any) -> Any:
    """Positions moved to the nearest cell of a side of a map."""
    return ops.clip(positions, 0.0, ops.cast(length - 1, "float32"))
