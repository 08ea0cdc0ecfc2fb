"""Masks on images: half-transparent in the colour of their object, with an outline, below thin boxes and all labels."""

from collections.abc import Iterator

import cv2
import numpy as np

from centernet_tf.media.draw import draw_boxes, line_thickness
from centernet_tf.properties.masks.pixels import Region, regions
from centernet_tf.properties.property import Look, Rows

OPACITY = 0.45
TRUTH_THRESHOLD = 0.5  # of annotated masks, which are 0 or 1


def outlined(rows: Rows) -> np.ndarray:
    """[N] bool: objects that have anything of a mask."""
    return (rows["masks"] > 0).any(axis=(1, 2)) if len(rows["boxes"]) else np.zeros(0, bool)


def draw_rows(canvas: np.ndarray, rows: Rows, look: Look, threshold: float, margin: float) -> np.ndarray:
    """Draws all that have masks; the last object lies on top.

    Args:
        canvas: [H, W, 3] uint8 RGB.
        rows: Found, with "scores"; or annotated, whose masks are those of "full_boxes" where these are given.
        look: Text and colour of each.
        threshold: Of `Masks`; of found ones.
        margin: Likewise.

    Returns:
        [H, W, 3] uint8 RGB, a new array.
    """
    drawn = draw_masks(canvas, _regions(canvas, rows, threshold, margin), look.colors)
    own = outlined(rows)
    labels = [label for label, shown in zip(look.labels, own, strict=True) if shown]
    return draw_boxes(drawn, rows["boxes"][own], labels, look.colors[own], thickness=1)


def _regions(canvas: np.ndarray, rows: Rows, threshold: float, margin: float) -> Iterator[Region]:
    size = canvas.shape[1::-1]
    if "scores" in rows:
        return regions(rows["masks"], rows["boxes"], size, threshold, margin)
    return regions(rows["masks"], rows.get("full_boxes", rows["boxes"]), size, TRUTH_THRESHOLD)


def draw_masks(image: np.ndarray, masks: Iterator[Region], colors: np.ndarray) -> np.ndarray:
    """Fills and outlines masks one after the other, so that of each only its own rectangle is touched.

    Args:
        image: [H, W, 3] uint8 RGB.
        masks: N, the last lies on top.
        colors: [N, 3] uint8 RGB.

    Returns:
        [H, W, 3] uint8 RGB, a new array.
    """
    canvas = np.array(image)
    thickness = (line_thickness(canvas) + 1) // 2
    for region, color in zip(masks, np.asarray(colors)):
        if not region.pixels.any():
            continue
        part = canvas[region.part]
        pixels = np.ascontiguousarray(region.pixels).view(np.uint8)
        cv2.copyTo(_mixed(part, color), pixels, part)
        outlines, _ = cv2.findContours(pixels, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, outlines, -1, color.tolist(), thickness, cv2.LINE_AA, offset=(region.left, region.top))
    return canvas


def _mixed(part: np.ndarray, color: np.ndarray) -> np.ndarray:
    """Every pixel of a part [h, w, 3] mixed with a colour, by a table of 256 values for each channel."""
    levels = np.arange(256)[:, None] * (1 - OPACITY) + color * OPACITY
    return cv2.LUT(part, np.rint(levels).astype(np.uint8)[None])
