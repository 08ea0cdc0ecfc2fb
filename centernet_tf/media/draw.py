"""Drawing on images: plain arrays in, RGB uint8 out, nothing changed in place and no window ever opened.

Colours belong to class indices, so a class looks the same in every image of every run.
"""

import functools
import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from centernet_tf.errors import UsageError
from centernet_tf.host.files import write_bytes

FONT = cv2.FONT_HERSHEY_SIMPLEX
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
# Luma by BT.601 and a rough weight of the eye's sensitivity to differences, both as integers over their sum.
LUMA = np.array([299, 587, 114])
DIFFERENCE = np.array([2, 4, 3])


def class_colors(classes: np.ndarray | Sequence[int]) -> np.ndarray:
    """Colours of classes: far apart from each other, readable on photographs, the same whatever the number of classes.

    Args:
        classes: [N] int, 0-based class indices.

    Returns:
        [N, 3] uint8, RGB. Colours start to repeat after 120 classes.
    """
    palette = _palette()
    return palette[np.asarray(classes, dtype=np.int64) % len(palette)]


def draw_boxes(
    image: np.ndarray,
    boxes: np.ndarray,
    labels: Sequence[str] | None = None,
    colors: np.ndarray | None = None,
    thickness: int | None = None,
) -> np.ndarray:
    """Draws boxes with their labels; the last box lies on top, and all labels lie above all boxes.

    Args:
        image: [H, W, 3] uint8, RGB.
        boxes: [N, 4] float, left, top, right, bottom in pixels of `image`. Clipped to it; boxes outside are left out.
        labels: N texts, an empty one draws nothing. None draws boxes only. OpenCV 4 shows "?" for letters beyond ASCII.
        colors: [N, 3] uint8, RGB, most often `class_colors(classes)`; None gives each box the colour of class 0.
        thickness: Width of the lines in pixels; None chooses by the size of the image.

    Returns:
        [H, W, 3] uint8, RGB, a new array.

    Raises:
        ValueError: The image is no RGB uint8, a box is not a number, or the lengths disagree.
    """
    canvas = _checked_image(image).copy()
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    if not np.isfinite(boxes).all():
        raise ValueError("draw_boxes: a box is NaN or infinite. Remove such boxes first.")
    colors = class_colors(np.zeros(len(boxes), int)) if colors is None else np.asarray(colors).reshape(-1, 3)
    labels = [""] * len(boxes) if labels is None else list(labels)
    if not len(boxes) == len(labels) == len(colors):
        raise ValueError(
            f"draw_boxes: {len(boxes)} boxes, {len(labels)} labels and {len(colors)} colors. Pass one of each per box."
        )
    thickness = thickness or line_thickness(canvas)
    shown = []
    for box, label, color in zip(boxes, labels, colors.tolist()):
        corners = _visible_corners(box, canvas)
        if corners:
            cv2.rectangle(canvas, corners[:2], corners[2:], color, thickness)
            shown.append((corners, label, color))
    for (left, top, _, _), label, color in shown:
        draw_label(canvas, label, left - thickness // 2, top - thickness // 2, color)
    return canvas


def heatmap_overlay(image: np.ndarray, heatmap: np.ndarray, opacity: float = 0.7) -> np.ndarray:
    """Lays a heatmap over its darkened image: each class glows in its colour, as strong as its score.

    Args:
        image: [H, W, 3] uint8, RGB, the input that the heatmap was predicted from.
        heatmap: [h, w, C] or [h, w] float, scores from 0 to 1 on any grid; values outside are clipped.
        opacity: Fraction of the heatmap in the mix; the rest is the image.

    Returns:
        [H, W, 3] uint8, RGB.

    Raises:
        ValueError: A shape is wrong or a score is NaN.
    """
    image, heatmap = _checked_image(image), np.asarray(heatmap, dtype=np.float32)
    if heatmap.ndim == 2:
        heatmap = heatmap[..., None]
    if heatmap.ndim != 3 or 0 in heatmap.shape:
        raise ValueError(f"heatmap_overlay: expected scores [h, w, classes], got shape {heatmap.shape}.")
    if np.isnan(heatmap).any():
        raise ValueError("heatmap_overlay: a score is NaN. The network has diverged or the heatmap is not a score map.")
    glow = np.zeros((*heatmap.shape[:2], 3), np.float32)
    for index, color in enumerate(class_colors(range(heatmap.shape[-1]))):
        glow = np.maximum(glow, heatmap[..., index, None].clip(0, 1) * color.astype(np.float32))
    glow = cv2.resize(glow, _size(image), interpolation=cv2.INTER_LINEAR)
    return np.rint(image * (1 - opacity) + glow * opacity).clip(0, 255).astype(np.uint8)


def contact_sheet(
    images: Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    tile: int = 320,
) -> np.ndarray:
    """Puts images of any size side by side.

    Args:
        images: RGB uint8 images [H, W, 3], at least one.
        titles: A line of text above each image, or None.
        columns: Images in a row; None makes the sheet about square.
        tile: Largest side of an image in the sheet in pixels. Larger images are shrunk, smaller ones keep their size.

    Returns:
        [H, W, 3] uint8, RGB.

    Raises:
        ValueError: There is no image, an image is no RGB uint8, or the number of titles differs.
    """
    if not len(images):
        raise ValueError("contact_sheet: no images. Pass at least one.")
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"contact_sheet: {len(images)} images but {len(titles)} titles. Pass one title per image.")
    columns = min(len(images), columns or math.ceil(math.sqrt(len(images))))
    tiles = [_shrunk(_checked_image(image), tile) for image in images]
    width = max(small.shape[1] for small in tiles)
    height = max(small.shape[0] for small in tiles)
    strip, gap = (22 if titles is not None else 0), 6
    rows = math.ceil(len(tiles) / columns)
    sheet = np.full((rows * (height + strip + gap) + gap, columns * (width + gap) + gap, 3), 32, np.uint8)
    for index, small in enumerate(tiles):
        top = gap + index // columns * (height + strip + gap)
        left = gap + index % columns * (width + gap)
        cell = sheet[top : top + strip + height, left : left + width]
        cell[strip : strip + small.shape[0], : small.shape[1]] = small
        if titles is not None:
            _title(cell[:strip], titles[index])
    return sheet


def beside(image: np.ndarray, view: np.ndarray) -> np.ndarray:
    """An image [H, W, 3] with a square view to its right, brought to the image's height: [H, W + H, 3]."""
    side = image.shape[0]
    method = cv2.INTER_AREA if view.shape[0] > side else cv2.INTER_LINEAR
    return np.concatenate([image, cv2.resize(view, (side, side), interpolation=method)], axis=1)


def save_image(path: str | Path, image: np.ndarray) -> None:
    """Writes an image whole or not at all, in the format that the suffix of `path` names.

    Folders on the way are made; an older file of the name is replaced.

    Args:
        path: Where to; one of .bmp, .jpeg, .jpg, .png, .webp.
        image: [H, W, 3] uint8, RGB.

    Raises:
        UsageError: The suffix is none of those.
        DataError: It cannot be written there.
        ValueError: The image is no RGB uint8.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"{path}: cannot write an image as {path.suffix!r}. Known suffixes: {', '.join(SUFFIXES)}.")
    done, encoded = cv2.imencode(suffix, cv2.cvtColor(_checked_image(image), cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError(f"{path}: OpenCV could not encode an image of shape {image.shape} as {suffix}.")
    # There may be thousands, and they are soon drawn again: no waiting for the disk.
    write_bytes(path, encoded.tobytes(), sync=False)


def line_thickness(image: np.ndarray) -> int:
    """Width of a line in pixels that is well seen on an image [H, W, ...] of this size."""
    return max(1, round(min(image.shape[:2]) / 250))


def draw_label(image: np.ndarray, text: str, left: int, bottom: int, color: Sequence[int]) -> None:
    """Writes a line of text on a filled background into `image` itself, moved so that all of it lies inside.

    Args:
        image: [H, W, 3] uint8, RGB, changed in place.
        text: One line; shrunk where it is wider than the image. "" draws nothing.
        left: Where the background begins, in pixels of `image`.
        bottom: The first row below the background. The label stands on this row, or hangs from it where the space
            above is too small.
        color: (red, green, blue) of the background; the text is black or white, whichever reads better.
    """
    if not text:
        return
    height, width = image.shape[:2]
    scale = float(np.clip(min(height, width) / 1200, 0.4, 2.5))
    stroke = max(1, round(scale * 1.6))
    pad = 1 + round(4 * scale)
    (text_width, text_height), base = cv2.getTextSize(text, FONT, scale, stroke)
    if text_width + 2 * pad > width:
        scale *= max(width - 2 * pad, 1) / text_width
        stroke = 1
        (text_width, text_height), base = cv2.getTextSize(text, FONT, scale, stroke)
    box_width, box_height = text_width + 2 * pad, text_height + base + pad
    top = bottom - box_height if bottom >= box_height else bottom
    top = int(np.clip(top, 0, max(height - box_height, 0)))
    left = int(np.clip(left, 0, max(width - box_width, 0)))
    cv2.rectangle(image, (left, top), (left + box_width - 1, top + box_height - 1), tuple(color), cv2.FILLED)
    ink = (0, 0, 0) if np.dot(LUMA, color) > 118 * LUMA.sum() else (255, 255, 255)
    origin = (left + pad, top + pad // 2 + text_height)
    cv2.putText(image, text, origin, FONT, scale, ink, stroke, cv2.LINE_AA)


@functools.cache
def _palette(count: int = 120) -> np.ndarray:
    """[count, 3] uint8: each colour is the one farthest from all before it, in whole numbers, so never by chance."""
    levels = np.arange(0, 256, 17)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    luma, spread = grid @ LUMA // LUMA.sum(), np.ptp(grid, axis=1)
    grid = grid[(luma > 50) & (luma < 215) & (spread > 100)]
    chosen = [np.array([255, 51, 34])]
    nearest = np.full(len(grid), np.iinfo(np.int64).max)
    while len(chosen) < count:
        nearest = np.minimum(nearest, ((grid - chosen[-1]) ** 2) @ DIFFERENCE)
        chosen.append(grid[nearest.argmax()])
    return np.array(chosen, np.uint8)


def _checked_image(image: np.ndarray) -> np.ndarray:
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(
            f"Expected an RGB image [H, W, 3] of uint8, got shape {image.shape} of {image.dtype}. "
            "Scale values to 0..255 and stack grey images three times."
        )
    return np.ascontiguousarray(image)


def _size(image: np.ndarray) -> tuple[int, int]:
    return image.shape[1], image.shape[0]


def _visible_corners(box: np.ndarray, image: np.ndarray) -> tuple[int, int, int, int] | None:
    """Whole-pixel corners inside the image, or None where the box does not touch it."""
    width, height = _size(image)
    left, top, right, bottom = box
    if right < 0 or bottom < 0 or left > width or top > height:
        return None
    limit = np.array([width - 1, height - 1] * 2)
    return tuple(int(value) for value in np.rint(box).clip(0, limit))


def _shrunk(image: np.ndarray, side: int) -> np.ndarray:
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    size = tuple(max(1, round(length * scale)) for length in _size(image))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _title(strip: np.ndarray, text: str) -> None:
    """Writes light text into a dark strip [height, width, 3] in place, shrunk to fit."""
    if not text:
        return
    (width, _), _ = cv2.getTextSize(text, FONT, 0.45, 1)
    scale = 0.45 * min(1.0, (strip.shape[1] - 4) / width)
    cv2.putText(strip, text, (2, strip.shape[0] - 7), FONT, scale, (235, 235, 235), 1, cv2.LINE_AA)
