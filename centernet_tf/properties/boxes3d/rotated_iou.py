"""How much upright boxes that may be turned about the vertical axis overlap, seen from above and in space."""

import numpy as np

# Pairs at a time: bounds the memory that twenty points of each take.
_CHUNK = 50_000


def boxes3d_iou(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intersection over union of pairs of boxes: of their outlines on the ground, and of their volumes.

    Args:
        first: [P, 7] height, width, length, x, y, z, rotation_y in KITTI's frame: y points down, (x, y, z) is the
            middle of the bottom face.
        second: [P, 7], the other box of each pair.

    Returns:
        [P] on the ground and [P] in space, 0 to 1; 0 where a number is NaN or a box has no extent.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    ground, space = np.zeros(len(first)), np.zeros(len(first))
    for start in range(0, len(first), _CHUNK):
        part = slice(start, start + _CHUNK)
        ground[part], space[part] = _ious(first[part], second[part])
    return ground, space


def may_touch(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[P] bool: whether the circles around the outlines of pairs overlap; arguments as in `boxes3d_iou`."""
    reach = np.hypot(first[:, 1], first[:, 2]) + np.hypot(second[:, 1], second[:, 2])
    with np.errstate(invalid="ignore"):
        return 2 * np.hypot(first[:, 3] - second[:, 3], first[:, 5] - second[:, 5]) < reach


def _ious(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    common = _common_area(first, second)
    areas = [box[:, 1] * box[:, 2] for box in (first, second)]
    low = np.minimum(first[:, 4], second[:, 4])
    high = np.maximum(first[:, 4] - first[:, 0], second[:, 4] - second[:, 0])
    volume = common * np.maximum(low - high, 0)
    volumes = [area * box[:, 0] for area, box in zip(areas, (first, second))]
    return _ratio(common, sum(areas) - common), _ratio(volume, sum(volumes) - volume)


def _ratio(common: np.ndarray, union: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(union > 0, common / union, 0.0)


def _common_area(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[P] area that the outlines share, in square metres.

    In the frame of the second box, the boundary of the first is cut where it crosses the second's four lines, and what
    lies outside is moved to the nearest place on the second box. That leaves the number of turns around each point
    inside the second box as it was and encloses nothing else, so the area within the moved boundary is the common one.
    """
    half = second[:, None, None, [2, 1]] / 2  # along the length, across
    start = _into(second, first[:, [3, 5]], _outline(first))  # [P, 4, 2]
    step = np.roll(start, -1, axis=1) - start
    with np.errstate(divide="ignore", invalid="ignore"):
        crossings = np.concatenate([(side * half[:, :, 0] - start) / step for side in (-1, 1)], axis=-1)  # [P, 4, 4]
    # An edge along a line never crosses it, and needs no cut.
    crossings = np.sort(np.clip(np.nan_to_num(crossings, nan=0.0, posinf=1.0, neginf=0.0), 0, 1), axis=-1)
    places = np.concatenate([np.zeros_like(crossings[..., :1]), crossings], axis=-1)[..., None]  # [P, 4, 5, 1]
    points = np.clip(start[:, :, None] + places * step[:, :, None], -half, half).reshape(len(first), -1, 2)
    after = np.roll(points, -1, axis=1)
    return np.abs((points[..., 0] * after[..., 1] - points[..., 1] * after[..., 0]).sum(axis=1)) / 2


def _outline(boxes: np.ndarray) -> np.ndarray:
    """[P, 4, 2] corners in x and z from the middle, going round."""
    along, across = boxes[:, None, 2] / 2 * [1, 1, -1, -1], boxes[:, None, 1] / 2 * [1, -1, -1, 1]
    cosine, sine = np.cos(boxes[:, 6:]), np.sin(boxes[:, 6:])
    return np.stack([cosine * along + sine * across, cosine * across - sine * along], axis=-1)


def _into(frame: np.ndarray, middles: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Points at offsets [P, 4, 2] from middles [P, 2] in the frames of other boxes: along their length, across."""
    x, z = np.moveaxis(offsets + (middles - frame[:, [3, 5]])[:, None], -1, 0)
    cosine, sine = np.cos(frame[:, 6:]), np.sin(frame[:, 6:])
    return np.stack([cosine * x - sine * z, sine * x + cosine * z], axis=-1)
