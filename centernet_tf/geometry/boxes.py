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
    first, second = (np.asarray(boxes, np.result_type(boxes, np.float32)) for boxes in (first, second))
    shape = np.broadcast_shapes(first.shape, second.shape)[:-1]
    left, top, right, bottom = np.moveaxis(np.atleast_2d(first), -1, 0)
    other_left, other_top, other_right, other_bottom = np.moveaxis(np.atleast_2d(second), -1, 0)
    common = _shared(left, right, other_left, other_right, pixel)
    common *= _shared(top, bottom, other_top, other_bottom, pixel)
    union = _sides(left, right, pixel) * _sides(top, bottom, pixel)
    union = union + _sides(other_left, other_right, pixel) * _sides(other_top, other_bottom, pixel)
    union -= common
    iou = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return iou.reshape(shape)


def _shared(
    low: np.ndarray, high: np.ndarray, other_low: np.ndarray, other_high: np.ndarray, pixel: float
) -> np.ndarray:
    """What two sides have in common. In place, since new memory costs more time than the numbers."""
    length = np.minimum(high, other_high)
    length += pixel
    length -= np.maximum(low, other_low)
    return np.maximum(length, 0, out=length)


def _sides(low: np.ndarray, high: np.ndarray, pixel: float) -> np.ndarray:
    length = high - low
    length += pixel
    return np.maximum(length, 0, out=length)
