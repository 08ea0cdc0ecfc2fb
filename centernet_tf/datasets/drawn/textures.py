"""Ground for drawn images: patterns, noise at several scales, distracting lines."""

import cv2
import numpy as np


def textured_ground(rng: np.random.Generator, size: tuple[int, int], texture: float, lines: int) -> np.ndarray:
    """Two related colours mixed by a pattern, noise at two scales, and lines that are no objects.

    Args:
        rng: Where the choices come from.
        size: Height and width in pixels, at least 32 each.
        texture: Strength of the pattern, 0 (one colour) to 1.
        lines: Most lines and arcs drawn.

    Returns:
        [H, W, 3] float32, RGB from about 0 to 255; not clipped, so that what is painted on it stays exact.
    """
    first = rng.uniform(30, 225, 3)
    second = first + texture * (rng.uniform(0, 255, 3) - first)
    pattern = _pattern(rng, size)[..., None]
    image = (first + pattern * (second - first)).astype(np.float32)
    for cell in (3, 12):
        image += 40 * texture * (_blobs(rng, size, cell)[..., None] - 0.5)
    for _ in range(rng.integers(0, lines + 1)):
        _line(rng, image)
    return image


def _pattern(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """[H, W] float32 from 0 to 1: a gradient, stripes, a chequerboard or clouds."""
    height, width = size
    kind = rng.choice(["gradient", "stripes", "chequers", "clouds"])
    if kind == "clouds":
        return _blobs(rng, size, max(4, min(size) // 5))
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    along = np.cos(angle) * columns + np.sin(angle) * rows
    across = np.cos(angle) * rows - np.sin(angle) * columns
    if kind == "gradient":
        return (along - along.min()) / np.ptp(along)
    pitch = 2 * np.pi / rng.uniform(6, min(size) / 3)
    waves = np.sin(along * pitch) if kind == "stripes" else np.sin(along * pitch) * np.sin(across * pitch)
    return np.clip(0.5 + rng.uniform(0.6, 3) * waves, 0, 1)


def _blobs(rng: np.random.Generator, size: tuple[int, int], cell: int) -> np.ndarray:
    """[H, W] float32 from 0 to 1: random values on a grid of `cell` pixels, smooth between."""
    coarse = rng.random((size[0] // cell + 2, size[1] // cell + 2), np.float32)
    return np.clip(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC), 0, 1)


def _line(rng: np.random.Generator, image: np.ndarray) -> None:
    """Draws an open line or arc, which is no object, onto the image."""
    height, width = image.shape[:2]
    color = tuple(map(float, rng.uniform(0, 255, 3)))
    thickness = int(rng.integers(1, max(2, min(height, width) // 64) + 1))
    points = [tuple(map(int, point)) for point in rng.uniform(0, (width, height), (2, 2))]
    if rng.random() < 0.5:
        cv2.line(image, points[0], points[1], color, thickness, cv2.LINE_AA)
    else:
        axes = tuple(map(int, rng.uniform(0.1, 0.5, 2) * min(height, width)))
        start = rng.uniform(0, 360)
        cv2.ellipse(image, points[0], axes, 0, start, start + rng.uniform(40, 150), color, thickness, cv2.LINE_AA)
