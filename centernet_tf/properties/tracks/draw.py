"""Identities over an image: their number behind the name, and a frame in a colour that is theirs in all frames."""

from collections.abc import Sequence

import cv2
import numpy as np

from centernet_tf.media.draw import class_colors, line_thickness
from centernet_tf.properties.property import Rows


def with_numbers(labels: Sequence[str], rows: Rows) -> list[str]:
    """Labels with "#12" behind them where the identity is known."""
    return [f"{label} #{number}" if number >= 0 else label for label, number in zip(labels, rows["track_ids"])]


def draw_tracks(canvas: np.ndarray, rows: Rows) -> np.ndarray:
    """Draws a line inside each box in the colour of its identity.

    Args:
        canvas: [H, W, 3] uint8 RGB.
        rows: "boxes" [N, 4] in its pixels, "track_ids" [N].

    Returns:
        A new array of the same size.
    """
    drawn = canvas.copy()
    width = line_thickness(canvas)
    known = np.flatnonzero(rows["track_ids"] >= 0)
    colors = class_colors(rows["track_ids"][known])
    for box, color in zip(rows["boxes"][known], colors.tolist()):
        left, top, right, bottom = np.round(np.clip(box, -1e4, 1e5)).astype(int).tolist()
        cv2.rectangle(drawn, (left + width, top + width), (right - width, bottom - width), color, width)
    return drawn
