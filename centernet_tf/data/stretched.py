"""Augmentation of an image that is stretched into the input: mirrored, put onto a larger canvas, cropped (MOC, SSD).

Each axis has a scale of its own. As in the original (official code of MOC, `ACT_aug.py`), a mirrored box lies at
width - x; a crop holds its last row and column, so that the picture is a pixel larger than the boxes in it are clipped
to; and the outlines of picture and input lie on each other, not the centres of their first pixels.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np

Place = Literal["corner", "random"]

TRIALS = 50  # crops that are tried for each wanted overlap
OVERLAPS = (0.1, 0.3, 0.5, 0.7, 0.9)  # of a crop with an object, in the mean over its frames
SCALES = (0.3, 1.0)  # of a crop's side, were it square, as a part of the canvas
ASPECTS = (0.5, 2.0)  # of its width to its height


@dataclasses.dataclass(frozen=True)
class Cut:
    """How one picture is changed before it is stretched.

    Attributes:
        mirrored: Whether it is mirrored first.
        canvas: (height, width, top, left) in pixels of a larger picture that it is then put on; None for none.
        crop: (left, top, right, bottom) in whole pixels of the canvas, the last row and column included; None for all.
    """

    mirrored: bool = False
    canvas: tuple[int, int, int, int] | None = None
    crop: tuple[int, int, int, int] | None = None

    def picture(self, height: int, width: int) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) of what is seen, in pixels from the image's corner, the ends excluded.

        Args:
            height: Of the image in pixels.
            width: Of the image in pixels.
        """
        rows, columns, down, across = self.canvas or (height, width, 0, 0)
        left, top, right, bottom = self.crop or (0, 0, columns, rows)
        return left - across, top - down, min(right + 1, columns) - across, min(bottom + 1, rows) - down

    def matrix(self, height: int, width: int, size: tuple[int, int]) -> np.ndarray:
        """[2, 3] float64, points of an image of this height and width to an input of this size, outline to outline."""
        left, top, right, bottom = self.picture(height, width)
        x, y = size[1] / (right - left), size[0] / (bottom - top)
        turn, shift = (-x, x * (width - left)) if self.mirrored else (x, -x * left)
        return np.array([[turn, 0, shift], [0, y, -y * top]])

    def limit(self, height: int, width: int, size: tuple[int, int]) -> np.ndarray | None:
        """[2] the largest x and y of a box in pixels of the input; None where boxes are not clipped."""
        if self.crop is None:
            return None
        left, top, right, bottom = self.picture(height, width)
        first_x, first_y, last_x, last_y = self.crop
        return np.array([(last_x - first_x) * size[1] / (right - left), (last_y - first_y) * size[0] / (bottom - top)])


def inside(boxes: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """[N] bool: objects whose centre stays within the crop in every frame; boxes [N, T, 4], limit as of `Cut`."""
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2
    return ((middle >= 0) & (middle <= limit)).all(axis=(1, 2))


def stretched(
    pixels: np.ndarray, matrix: np.ndarray, size: tuple[int, int], color: Sequence[float], directed: bool = False
) -> np.ndarray:
    """The picture that a matrix of `Cut` shows.

    Args:
        pixels: [H, W, 3] RGB, of any type.
        matrix: [2, 3], points of the image to points of the input, outline to outline.
        size: Height and width of the input in pixels.
        color: Of the canvas, [3] RGB, 0 to 255.
        directed: See `points.task.Input`.

    Returns:
        [h, w, 3] float32, not rounded, in the range of the pixels.
    """
    height, width = pixels.shape[:2]
    ends = [-matrix[axis, 2] / matrix[axis, axis] for axis in (0, 1)]
    spans = [sorted((end, end + size[1 - axis] / matrix[axis, axis])) for axis, end in enumerate(ends)]
    (left, right), (top, bottom) = ([round(float(one)) for one in span] for span in spans)
    picture = np.empty((bottom - top, right - left, 3), np.float32)
    picture[:] = color
    rows, columns = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
    if rows.start < rows.stop and columns.start < columns.stop:
        seen = picture[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        seen[:] = pixels[rows, columns]
        if directed and matrix[0, 0] < 0:
            seen[..., 0] = 255 - seen[..., 0]
    if matrix[0, 0] < 0:
        picture = np.ascontiguousarray(picture[:, ::-1])
    return cv2.resize(picture, size[::-1], interpolation=cv2.INTER_LINEAR)


def draw_canvas(
    random: np.random.Generator, height: int, width: int, most: float, place: Place
) -> tuple[int, int, int, int]:
    """Draws the canvas of `Cut`, up to `most` times as high and wide.

    Its picture lies in the right bottom corner, as the original has it, or at a random place.
    """
    factor = random.uniform(1, most)
    rows, columns = int(height * factor), int(width * factor)
    if place == "random":
        return rows, columns, int(random.integers(rows - height + 1)), int(random.integers(columns - width + 1))
    return rows, columns, rows - height, columns - width


def draw_crop(
    random: np.random.Generator, boxes: np.ndarray, height: int, width: int
) -> tuple[int, int, int, int] | None:
    """Draws the crop of `Cut`: the whole canvas, or one that overlaps with any object enough, all with equal chance.

    Args:
        random: Source of chance.
        boxes: [N, T, 4] of the objects in each frame, in pixels of the canvas.
        height: Of the canvas in pixels.
        width: Of the canvas in pixels.
    """
    found = [(0, 0, width, height)]
    for wanted in OVERLAPS if len(boxes) else ():
        for _ in range(TRIALS):
            crop = _any_crop(random, height, width)
            if overlaps(boxes, crop).max() >= wanted:
                found.append(tuple(int(side) for side in crop))
                break
    return found[random.integers(len(found))]


def _any_crop(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """[4] left, top, right, bottom within the canvas."""
    while True:
        scale, aspect = random.uniform(*SCALES), np.sqrt(random.uniform(*ASPECTS))
        sides = np.array([scale * aspect, scale / aspect])
        if (sides <= 1).all():
            corner = random.uniform(0, 1 - sides)
            return np.concatenate([corner, corner + sides]) * [width, height, width, height]


def overlaps(boxes: np.ndarray, crop: np.ndarray) -> np.ndarray:
    """[N] IoU of boxes [N, T, 4] with a crop [4], pixels included, in the mean over the frames."""
    low, high = np.maximum(boxes[..., :2], crop[:2]), np.minimum(boxes[..., 2:], crop[2:])
    common = np.maximum(high - low + 1, 0).prod(axis=-1)
    areas = (boxes[..., 2:] - boxes[..., :2] + 1).prod(axis=-1)
    return (common / (areas + (crop[2:] - crop[:2] + 1).prod() - common)).mean(axis=1)
