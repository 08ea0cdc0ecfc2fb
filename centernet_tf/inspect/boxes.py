"""What can be wrong with the boxes of one image, and what the output grid makes of them. Plain arrays, no files.

Boxes are [N, 4] left, top, right, bottom in pixels of the image throughout.
"""

import numpy as np

from centernet_tf.geometry.affine import fixed_fit
from centernet_tf.geometry.boxes import box_iou
from centernet_tf.points.centers import STRIDE

EDGE = 0.5  # pixels a box may stick out before it counts: rounding alone never reaches half a pixel


def faults(boxes: np.ndarray, width: int, height: int) -> dict[str, np.ndarray]:
    """Says for each box what is wrong with it; a box has at most one fault, the most severe.

    Args:
        boxes: [N, 4], may hold NaN or infinity.
        width: Of the image, pixels.
        height: Of the image, pixels.

    Returns:
        {"unfinite_box", "empty_box", "outside_box", "edge_box": [N] bool}.
    """
    limits = np.array([width, height], np.float64)
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    unfinite = ~np.isfinite(boxes).all(axis=-1)
    low, high = boxes[:, :2], boxes[:, 2:]
    with np.errstate(invalid="ignore"):
        empty = ~unfinite & (high <= low).any(axis=-1)
        outside = ~unfinite & ~empty & ((high <= 0) | (low >= limits)).any(axis=-1)
        edge = ~unfinite & ~empty & ~outside & ((low < -EDGE) | (high > limits + EDGE)).any(axis=-1)
    return {"unfinite_box": unfinite, "empty_box": empty, "outside_box": outside, "edge_box": edge}


def count_twins(boxes: np.ndarray, classes: np.ndarray, iou: float = 0.9) -> int:
    """Counts boxes that an earlier box of the same class covers almost exactly: objects annotated twice.

    Args:
        boxes: [N, 4], finite, right > left, bottom > top.
        classes: [N] int.
        iou: IoU above which two boxes are the same.
    """
    twins = 0
    for label in np.unique(classes):
        own = np.asarray(boxes, np.float64)[classes == label]
        # A row at a time keeps memory small for images with thousands of objects.
        twins += sum(bool(np.any(box_iou(own[row : row + 1], own[:row]) > iou)) for row in range(1, len(own)))
    return twins


def to_cells(boxes: np.ndarray, width: int, height: int, size: tuple[int, int]) -> np.ndarray:
    """Moves boxes onto the output grid of a network, the way training fits an image into its input.

    The longer side of the image is scaled to the width of the input, and the image sits in its middle.

    Args:
        boxes: [N, 4], finite.
        width: Of the image, pixels.
        height: Of the image, pixels.
        size: Height and width of the input, pixels.

    Returns:
        [N, 4] float64 in output cells, clipped to the grid; a box beyond it has no width or no height left.
    """
    scale, *shift = fixed_fit(height, width, size)
    moved = (np.asarray(boxes, np.float64).reshape(-1, 2, 2) * scale + shift) / STRIDE
    grid = np.array([size[1] // STRIDE, size[0] // STRIDE])
    # The grid ends at its last cell, as in the original's targets.
    return np.clip(moved, 0, grid - 1).reshape(-1, 4)


def count_shared(cells: np.ndarray, classes: np.ndarray) -> tuple[int, int]:
    """Counts objects whose centre falls into the cell of an earlier object: the network cannot tell them apart.

    Args:
        cells: [N, 4] boxes in output cells.
        classes: [N] int.

    Returns:
        Objects after the first in the cells of their own class (one peak, one box: lost), and in cells of any class
        (the class-blind size and offset belong to the last object written).
    """
    if not len(cells):
        return 0, 0
    centers = np.floor((cells[:, :2] + cells[:, 2:]) / 2).astype(np.int64)
    alike = np.unique(np.column_stack([centers, classes]), axis=0)
    return len(cells) - len(alike), len(cells) - len(np.unique(centers, axis=0))
