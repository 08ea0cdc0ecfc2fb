"""Boxes as left, top, right, bottom: areas and IoU."""

import numpy as np


def areas(boxes: np.ndarray, pixel: float = 0.0) -> np.ndarray:
    """Area of each box.

    Args:
        boxes: [N, 4] left, top, right, bottom in pixels.
        pixel: 1.0 where the right and bottom pixels belong to the box (Pascal VOC's convention).

    Returns:
        [N] in pixels squared, zero for boxes turned inside out.
    """
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2] + pixel, 0)
    return sides[:, 0] * sides[:, 1]


def box_iou(first: np.ndarray, second: np.ndarray, pixel: float = 0.0) -> np.ndarray:
    """Intersection over union of every pair.

    Args:
        first: [N, 4] left, top, right, bottom in pixels.
        second: [M, 4] in the same frame.
        pixel: As in `areas`.

    Returns:
        [N, M] in 0..1; zero where both boxes have no area.
    """
    corner = np.maximum(first[:, None, :2], second[None, :, :2])
    sides = np.maximum(np.minimum(first[:, None, 2:], second[None, :, 2:]) - corner + pixel, 0)
    common = sides[..., 0] * sides[..., 1]
    union = areas(first, pixel)[:, None] + areas(second, pixel)[None] - common
    return np.divide(common, union, out=np.zeros_like(common, dtype=float), where=union > 0)


def paired_iou(first: np.ndarray, second: np.ndarray, pixel: float = 0.0) -> np.ndarray:
    """Intersection over union of boxes that stand at the same place.

    Args:
        first: [..., 4] left, top, right, bottom in pixels.
        second: [..., 4] in the same frame; the two are broadcast.
        pixel: As in `areas`.

    Returns:
        [...] in 0..1, of the boxes' type; zero where both boxes have no area.
    """
    # Numbers of one kind beside each other: strided ones would take several times as long.
    left, top, right, bottom = np.moveaxis(first, -1, 0)
    other_left, other_top, other_right, other_bottom = np.moveaxis(second, -1, 0)
    width = np.maximum(np.minimum(right, other_right) - np.maximum(left, other_left) + pixel, 0)
    common = width * np.maximum(np.minimum(bottom, other_bottom) - np.maximum(top, other_top) + pixel, 0)
    own = np.maximum(right - left + pixel, 0) * np.maximum(bottom - top + pixel, 0)
    others = np.maximum(other_right - other_left + pixel, 0) * np.maximum(other_bottom - other_top + pixel, 0)
    union = own + others - common
    kind = np.result_type(common, np.float32)
    return np.divide(common, union, out=np.zeros(common.shape, kind), where=union > 0)
