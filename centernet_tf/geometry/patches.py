"""Patches: grids of values that lie over boxes; for NumPy arrays and tensors of Keras' backend.

The S columns of a patch divide its box into S equal parts, and each holds the value in the middle of its part: column j
stands at left + (j + 0.5) / S * (right - left), row i likewise. Coordinates are pixel indices, so that pixel i of an
image or of an output grid stands at i (as everywhere in the package, see `affine`). What scales, moves or mirrors a box
therefore leaves the values of its patch as they are, but for the order of its columns.
"""

from typing import Any

from centernet_tf.geometry.angles import library_of


def places(low: Any, high: Any, count: int) -> Any:
    """Where the values of patches stand.

    Args:
        low: [...] left or top of boxes.
        high: [...] right or bottom.
        count: Columns or rows of a patch, S.

    Returns:
        [..., S] in the frame of the boxes.
    """
    library = library_of(low)
    steps = (library.arange(count, dtype="float32") + 0.5) / count
    return low[..., None] + steps * (high - low)[..., None]


def weights(positions: Any, low: Any, high: Any, count: int) -> Any:
    """How much each value of patches counts at some positions, if values between are interpolated linearly.

    Args:
        positions: [..., P] in the frame of the boxes.
        low: [...] left or top of boxes.
        high: [...] right or bottom.
        count: Columns or rows of a patch, S.

    Returns:
        [..., P, S] float32 of 0 to 1. Beyond the outermost values they stay what they are there; beyond the box all are
        0, as everywhere of a box without extent.
    """
    library = library_of(positions)
    low, high = low[..., None], high[..., None]
    extent = high - low
    place = (positions - low) / library.where(extent > 0, extent, library.ones_like(extent)) * count - 0.5
    inside = (positions >= low) & (positions <= high) & (extent > 0)
    apart = library.abs(library.clip(place, 0, count - 1)[..., None] - library.arange(count, dtype="float32"))
    return library.where(inside[..., None], library.maximum(1 - apart, 0.0), 0.0)


def paste(patches: Any, boxes: Any, columns: Any, rows: Any) -> Any:
    """What patches say at every point of a grid.

    Args:
        patches: [..., S, S] float32, rows of columns.
        boxes: [..., 4] left, top, right, bottom, float32.
        columns: [W] float32, x of the grid's columns in the frame of the boxes.
        rows: [H] float32, y of its rows.

    Returns:
        [..., H, W] float32, 0 outside of the boxes.
    """
    library = library_of(patches)
    height, width = patches.shape[-2:]
    across = weights(columns, boxes[..., 0], boxes[..., 2], width)
    down = weights(rows, boxes[..., 1], boxes[..., 3], height)
    return library.matmul(library.matmul(down, patches), library.swapaxes(across, -1, -2))


def widened(boxes: Any, margin: float) -> Any:
    """Boxes [..., 4] that are larger by this fraction of their width and height on every side."""
    library = library_of(boxes)
    sides = boxes[..., 2:] - boxes[..., :2]
    return boxes + margin * library.concatenate([-sides, sides], axis=-1)
