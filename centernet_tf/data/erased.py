"""Random erasing: a rectangle of noise on the input (Zhong, Zheng, Kang, Li, Yang 2017); objects stay what they are."""

import numpy as np

ASPECTS = (0.3, 1 / 0.3)  # of a rectangle's height to its width, as published
TRIALS = 100  # rectangles that are tried, one of which fits nearly always


def draw_hole(
    random: np.random.Generator, size: tuple[int, int], areas: tuple[float, float]
) -> tuple[int, int, int, int] | None:
    """Draws a rectangle inside an input.

    Args:
        random: Source of chance.
        size: Height and width of the input in pixels.
        areas: Smallest and largest part of the input that it covers.

    Returns:
        Left, top, right, bottom in whole pixels; None where none fitted.
    """
    for _ in range(TRIALS):
        area, aspect = random.uniform(*areas) * size[0] * size[1], random.uniform(*ASPECTS)
        height, width = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        if 0 < height < size[0] and 0 < width < size[1]:
            left, top = (int(random.integers(room)) for room in (size[1] - width + 1, size[0] - height + 1))
            return left, top, left + width, top + height
    return None


def erased(
    pixels: np.ndarray, random: np.random.Generator, probability: float, areas: tuple[float, float]
) -> np.ndarray:
    """An input [h, w, 3] of 0 to 255, or with this probability a copy with noise in a rectangle, of the same type."""
    if random.random() >= probability or (hole := draw_hole(random, pixels.shape[:2], areas)) is None:
        return pixels
    left, top, right, bottom = hole
    made = pixels.copy()
    made[top:bottom, left:right] = random.integers(0, 256, (bottom - top, right - left, 3))
    return made
