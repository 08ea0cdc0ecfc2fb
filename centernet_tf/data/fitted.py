"""Augmentation of a whole image that was fitted into the input: turned, scaled, sheared and moved there (FairMOT).

As in the original (FairMOT, official code, `datasets/dataset/jde.py`), the image is padded by whole pixels but boxes by
exact halves, and a mirrored box lies at width - x where the mirrored pixel lies at width - 1 - x.
"""

import dataclasses

import cv2
import numpy as np

from centernet_tf.geometry import affine

SMALLEST = 4.0  # pixels of a box' side, above which it is kept
SMALLEST_PART = 0.1  # of its area before, likewise
LONGEST = 10.0  # times its other side, below which it is kept
TINY = 1e-16


@dataclasses.dataclass(frozen=True)
class Shake:
    """How one fitted image is changed, about the middle of the input.

    Attributes:
        angle: Counterclockwise in degrees.
        scale: Factor.
        shift: (x, y) in pixels of the input.
        shear: (of x along y, of y along x) in degrees.
        mirrored: Whether it is mirrored at last.
    """

    angle: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    shear: tuple[float, float] = (0.0, 0.0)
    mirrored: bool = False

    def matrix(self, size: tuple[int, int]) -> np.ndarray:
        """[2, 3] float64, pixels of the input to pixels of the input; without the mirror.

        Args:
            size: Height and width of the input in pixels.
        """
        middle = np.array([size[1] / 2, size[0] / 2])
        angle = np.deg2rad(self.angle)
        turn = self.scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        moved = np.concatenate([turn, (middle - turn @ middle + self.shift)[:, None]], axis=1)
        x, y = np.tan(np.deg2rad(self.shear))
        return affine.chain(moved, np.array([[1, x, 0], [y, 1, 0]]))


def fitted_matrices(shake: Shake, height: int, width: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """An image's pixels to the input's, and its boxes to the input's.

    Args:
        shake: What happens after it is fitted.
        height: Of the image in pixels.
        width: Of the image in pixels.
        size: Height and width of the input in pixels.

    Returns:
        Two [2, 3] float64; they differ by less than a pixel, or by one more where the image is mirrored.
    """
    ratio, sides, padding, first = _letterbox(height, width, size)
    scales = sides / [width, height]
    # Resizing maps outlines onto each other: the middle of the first pixel lies at half a pixel.
    pixels = np.concatenate([np.diag(scales), (first + scales / 2 - 0.5)[:, None]], axis=1)
    boxes = np.concatenate([np.eye(2) * ratio, padding[:, None]], axis=1)
    shaken = shake.matrix(size)
    pixels, boxes = affine.chain(pixels, shaken), affine.chain(boxes, shaken)
    if shake.mirrored:
        pixels = affine.chain(pixels, affine.flip_matrix(size[1]))
        boxes = affine.chain(boxes, affine.flip_matrix(size[1] + 1))
    return pixels, boxes


def _letterbox(height: int, width: int, size: tuple[int, int]) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Scale, sides (x, y) in whole pixels, half of what is left of the input, and the whole pixels before the image."""
    ratio = min(size[0] / height, size[1] / width)
    sides = np.maximum(np.round(np.array([width, height]) * ratio), 1)
    padding = (np.array(size[::-1]) - sides) / 2
    return ratio, sides, padding, np.round(padding - 0.1)


def letterboxed(
    image: np.ndarray, matrix: np.ndarray, size: tuple[int, int], fill: float
) -> tuple[np.ndarray, np.ndarray]:
    """The whole image in the input as `preprocess.letterbox` puts it there, and what is left of a matrix to be done.

    Args:
        image: [H, W, 3] uint8.
        matrix: [2, 3], pixels of the image to pixels of the input.
        size: Height and width of the input in pixels.
        fill: Grey level around the image.

    Returns:
        [h, w, 3] uint8, and [2, 3] float64, pixels of the input to pixels of the input.
    """
    height, width = image.shape[:2]
    _, sides, _, first = _letterbox(height, width, size)
    (left, top), (right, bottom) = first.astype(int), (size[::-1] - sides - first).astype(int)
    image = cv2.resize(image, tuple(sides.astype(int).tolist()), interpolation=cv2.INTER_AREA)
    image = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(fill,) * 3)
    rest = affine.chain(affine.invert(fitted_matrices(Shake(), height, width, size)[0]), matrix)
    # What is only fitted is what a detector sees: boxes are fitted by parts of a pixel, pixels by whole ones.
    only_fitted = np.abs(affine.move_points(np.array([[0.0, 0.0], size[::-1]]), rest) - [[0, 0], size[::-1]]).max() <= 1
    return image, np.eye(2, 3) if only_fitted else rest


def shaken_boxes(boxes: np.ndarray, matrix: np.ndarray, angle: float) -> np.ndarray:
    """The boxes around what boxes become, a little smaller where they are turned.

    A turned box' own bounding box is larger than that of what is in it; its sides are shortened by the root of
    max(|sin|, |cos|) of the angle.

    Args:
        boxes: [N, 4] left, top, right, bottom in pixels.
        matrix: [2, 3].
        angle: In degrees.

    Returns:
        [N, 4] of the same type, not clipped.
    """
    corners = affine.move_points(boxes[:, [0, 1, 2, 3, 0, 3, 2, 1]].reshape(-1, 4, 2).astype(np.float64), matrix)
    low, high = corners.min(axis=1), corners.max(axis=1)
    turn = np.deg2rad(angle)
    half = (high - low) / 2 * np.sqrt(max(abs(np.sin(turn)), abs(np.cos(turn))))
    middle = (low + high) / 2
    return np.concatenate([middle - half, middle + half], axis=1).astype(boxes.dtype)


def worth_learning(boxes: np.ndarray, areas: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which boxes are large enough still, and in the input at least in part.

    Args:
        boxes: [N, 4] left, top, right, bottom in pixels of the input, not clipped.
        areas: [N] pixels^2 of the input that they had before they were scaled.
        size: Height and width of the input in pixels.

    Returns:
        [N] bool.
    """
    sides = boxes[:, 2:].astype(np.float64) - boxes[:, :2]
    longer = (sides / (sides[:, ::-1] + TINY)).max(axis=1, initial=0)
    inside = (boxes[:, :2] < size[::-1]).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
    large = (sides > SMALLEST).all(axis=1) & (sides.prod(axis=1) / (areas + TINY) > SMALLEST_PART)
    return inside & large & (longer < LONGEST)
