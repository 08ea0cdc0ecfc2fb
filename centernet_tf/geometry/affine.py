"""Fitting an image to a network's input, and moving every field of an object by the same matrix.

A matrix is [2, 3] and maps (x, y) pixel indices of a source frame to those of a target frame; there is no half-pixel
shift. Maps of boxes here are similarities, with a mirror where the image is flipped; or scale each axis by itself,
where an image is stretched into the input. The matrix of those maps points, x = 0 being the image's left edge.
"""

from typing import Any

import numpy as np
from keras import ops

from centernet_tf.geometry import Window
from centernet_tf.geometry.angles import wrap


def fit_matrix(center: tuple[float, float], scale: float, size: tuple[int, int], rotation: float = 0.0) -> np.ndarray:
    """Maps a square window of the source onto the width of the target.

    Only one scale exists: the aspect ratio of an image never changes (Objects as Points, official code,
    `get_affine_transform`).

    Args:
        center: (x, y) of the window in source pixels.
        scale: Side of the window in source pixels; it fills the target's width.
        size: Height and width of the target in pixels.
        rotation: Angle of the window in degrees.

    Returns:
        [2, 3] float64, source to target.
    """
    height, width = size
    angle = np.deg2rad(-rotation)
    ratio = width / scale
    turn = ratio * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = np.array([width / 2, height / 2]) - turn @ np.asarray(center, float)
    return np.concatenate([turn, shift[:, None]], axis=1)


def flip_matrix(width: int) -> np.ndarray:
    """Mirrors an image of this width: x becomes width - 1 - x. [2, 3] float64."""
    return np.array([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0]])


def window_side(height: Any, width: Any, window: Window = "longer side", size: tuple[int, int] = (1, 1)) -> Any:
    """Side in pixels of the square around an image's centre that fills the width of a fixed input.

    Args:
        height: Of the image in pixels, a Python number or a tensor.
        width: Of the image in pixels, likewise.
        window: The image's longer side, or its width even where it is taller, so that the scale depends on nothing else
            (official code, `pre_process` of `base_detector.py` and of `ddd.py`); or what shows the whole image in an
            input of any shape (FairMOT, `letterbox`).
        size: Height and width of the input in pixels, which only "whole image" asks for.
    """
    if window == "width":
        return width
    tall = height * (size[1] / size[0]) if window == "whole image" else height
    return max(tall, width) if isinstance(height, (int, float)) else ops.maximum(tall, width)


def fixed_fit(height: Any, width: Any, size: tuple[int, int], side: Any = None) -> tuple[Any, Any, Any]:
    """Fits an image into a fixed input, centred, the rest black.

    Plain arithmetic, so height and width may be Python numbers or scalar tensors.

    Args:
        height: Of the image in pixels.
        width: Of the image in pixels.
        size: Height and width of the input in pixels.
        side: In pixels, as of `window_side`; the image's longer side if left out.

    Returns:
        (scale, shift x, shift y): input pixel = scale * image pixel + shift.
    """
    scale = size[1] / (window_side(height, width) if side is None else side)
    return scale, size[1] / 2 - scale * (width / 2), size[0] / 2 - scale * (height / 2)


def kept_size(height: Any, width: Any, stride: int) -> tuple[Any, Any]:
    """Height and width of the input that keeps an image's resolution.

    Each side grows to the next multiple of the stride above it, even where it is one already (512 becomes 544 at
    stride 32), as the official code does with `(side | 31) + 1`.
    """
    return (height // stride + 1) * stride, (width // stride + 1) * stride


def kept_fit(height: Any, width: Any, stride: int) -> tuple[float, Any, Any]:
    """Centres an image at its own resolution in the input of `kept_size`.

    Returns:
        (1.0, shift x, shift y) in pixels; whole numbers, because the centre is divided as integers.
    """
    padded_height, padded_width = kept_size(height, width, stride)
    return 1.0, padded_width // 2 - width // 2, padded_height // 2 - height // 2


def upright(matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A matrix of `fit_matrix`, mirrored first or not, without its rotation about the middle of the target.

    Args:
        matrix: [2, 3], source to target.
        size: Height and width of the target in pixels.

    Returns:
        [2, 3], the same where nothing is turned.
    """
    sine, cosine = matrix[:, 1] / np.hypot(*matrix[:, 1])
    turn = np.array([[cosine, -sine], [sine, cosine]])
    middle = np.array([size[1] / 2, size[0] / 2])
    return chain(matrix, np.concatenate([turn, (middle - turn @ middle)[:, None]], axis=1))


def invert(matrix: np.ndarray) -> np.ndarray:
    """The way back: [2, 3] target to source. A matrix without inverse raises numpy.linalg.LinAlgError."""
    turn = np.linalg.inv(matrix[:, :2])
    return np.concatenate([turn, -turn @ matrix[:, 2:]], axis=1)


def chain(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """One [2, 3] matrix that does the first and then the second."""
    turn = second[:, :2] @ first[:, :2]
    return np.concatenate([turn, second[:, :2] @ first[:, 2:] + second[:, 2:]], axis=1)


def move_points(points: Any, matrix: Any) -> Any:
    """Maps points from one frame to another; those that fall outside are kept, not clipped.

    Args:
        points: [..., 2] (x, y) in pixels of the source frame.
        matrix: [2, 3], source to target.

    Returns:
        [..., 2] (x, y) in pixels of the target frame.
    """
    return points @ matrix[:, :2].T + matrix[:, 2]


def with_sides_added(boxes: Any, sides: Any) -> Any:
    """Boxes whose widths and heights change, about their middles.

    Args:
        boxes: [..., 4] left, top, right, bottom, an array or a tensor.
        sides: [..., 2] what is added to width and height, in the unit of the boxes.

    Returns:
        [..., 4], a tensor. A negative sum turns a box inside out.
    """
    half = sides / 2
    return boxes + ops.concatenate([-half, half], axis=-1)


def move(values: np.ndarray, matrix: np.ndarray, motion: str) -> np.ndarray:
    """Moves one field of the objects as `properties.fields.Field.motion` says.

    Args:
        values: [N, ...] of the source frame; [..., 3, 4] for "projections".
        matrix: [2, 3], source to target.
        motion: "fixed", "boxes" (left, top, right, bottom), "points" (x, y), "vectors" (x, y without shift), "angles"
            (radians; a mirror turns them into pi less them, nothing else changes them), "projections" (from another
            frame to homogeneous pixels) or "patches" ([..., S, S] over boxes; a mirror reverses their columns).

    Returns:
        Array of the same shape and type, in the target frame. Boxes stay ordered when the image is mirrored.

    Raises:
        ValueError: Unknown motion, or a matrix that rotates or shears patches.
    """
    if motion == "fixed":
        return values
    if motion == "points":
        moved = move_points(values, matrix)
    elif motion == "vectors":
        moved = values @ matrix[:, :2].T
    elif motion == "boxes":
        corners = move_points(values.reshape(*values.shape[:-1], 2, 2), matrix)
        moved = np.concatenate([corners.min(axis=-2), corners.max(axis=-2)], axis=-1)
    elif motion == "angles":
        moved = wrap(np.pi - values) if np.linalg.det(matrix[:, :2]) < 0 else values
    elif motion == "projections":
        moved = np.concatenate([matrix, [[0, 0, 1]]]) @ values
    elif motion == "patches":
        if matrix[0, 1] or matrix[1, 0]:
            raise ValueError("Patches lie in the frames of upright boxes; they cannot be rotated or sheared.")
        moved = values[..., ::-1] if np.linalg.det(matrix[:, :2]) < 0 else values
    else:
        known = "fixed, boxes, points, vectors, angles, projections, patches"
        raise ValueError(f"Unknown motion {motion!r}. Known: {known}.")
    return moved.astype(values.dtype)
