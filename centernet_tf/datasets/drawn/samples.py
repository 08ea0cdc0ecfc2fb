"""Drawn objects sample by sample: what a closed curve covers, who hides whom, and the box around what is left."""

import cv2
import numpy as np

SAMPLES = 4  # samples a pixel along each axis: edges are smooth and boxes good to a quarter of a pixel


def region_of(box: np.ndarray, size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the image's pixels that a box touches, one more on each side for what rounding adds."""
    left, top = np.floor(box[:2]).astype(int) - 1
    right, bottom = np.ceil(box[2:]).astype(int) + 1
    return slice(max(top, 0), min(bottom, size[0])), slice(max(left, 0), min(right, size[1]))


def rasterise(curves: list[np.ndarray], region: tuple[slice, slice]) -> np.ndarray:
    """[rows * SAMPLES, columns * SAMPLES] uint8 mask, 255 inside the curves."""
    rows, columns = region
    mask = np.zeros(((rows.stop - rows.start) * SAMPLES, (columns.stop - columns.start) * SAMPLES), np.uint8)
    origin = np.array([columns.start, rows.start])
    # OpenCV counts from the centre of the first pixel, in sixteenths here.
    points = [np.round(((curve - origin) * SAMPLES - 0.5) * 16).astype(np.int32) for curve in curves]
    cv2.fillPoly(mask, points, 255, shift=4)
    return mask


def all_visible(owners: np.ndarray, under: np.ndarray, mask: np.ndarray, areas: list[float], hidden: float) -> bool:
    """Whether enough of the new object (last of the areas) is in the image, and of every one it would cover."""
    inside = mask > 0
    covered = np.bincount(under[inside], minlength=len(areas))[1:]
    if inside.sum() < (1 - hidden) * areas[-1]:
        return False
    return all(
        np.count_nonzero(owners == number) - lost >= (1 - hidden) * areas[number - 1]
        for number, lost in enumerate(covered, 1)
        if lost
    )


def visible_box(owners: np.ndarray, number: int) -> tuple[float, ...]:
    """Box around the samples of one object, in pixels of the image."""
    left, top, width, height = cv2.boundingRect((owners == number).view(np.uint8))
    return tuple(edge / SAMPLES for edge in (left, top, left + width, top + height))


def visible_mask(owners: np.ndarray, number: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Pixels of which one object shows in more than half of the samples.

    Returns:
        [h, w] bool, a part of the image beyond which there are none, and x, y of its first pixel.
    """
    left, top, width, height = cv2.boundingRect((owners == number).view(np.uint8))
    spans = (left, left + width), (top, top + height)
    (left, right), (top, bottom) = ((low // SAMPLES, -(-high // SAMPLES)) for low, high in spans)
    part = owners[top * SAMPLES : bottom * SAMPLES, left * SAMPLES : right * SAMPLES] == number
    seen = part.reshape(bottom - top, SAMPLES, right - left, SAMPLES).sum(axis=(1, 3))
    return seen * 2 > SAMPLES**2, (left, top)
