"""The way that each identity came, drawn into the frames of a video."""

import collections
from collections.abc import Sequence

import cv2
import numpy as np

from centernet_tf.media.draw import class_colors, line_thickness
from centernet_tf.properties.property import Rows

LENGTH = 30  # frames


def draw_trails(image: np.ndarray, frames: Sequence[Rows]) -> np.ndarray:
    """Draws the way that each identity came until the last of some frames.

    Args:
        image: [H, W, 3] uint8 RGB.
        frames: "boxes" [N, 4] in its pixels and "track_ids" [N] of each, oldest first; those without identities are
            left out.

    Returns:
        A new array of the same size.
    """
    known = [rows for rows in frames if "track_ids" in rows]
    trails = Trails(max(len(known), 1))
    for rows in known:
        trails.add(rows)
    return trails.draw(image)


class Trails:
    """Draws the last positions of each identity; one for each video.

    Only what the last frames showed is held, however long the video.

    Args:
        length: Frames that a trail reaches back.
    """

    def __init__(self, length: int = LENGTH):
        self._length, self._frame = length, 0
        self._trails: dict[int, collections.deque[tuple[int, np.ndarray]]] = {}

    def __call__(self, image: np.ndarray, rows: Rows) -> np.ndarray:
        """Takes in the next frame and draws into it.

        Args:
            image: [H, W, 3] uint8 RGB.
            rows: "boxes" [N, 4] in its pixels, "track_ids" [N], -1 unknown.

        Returns:
            A new array of the same size, with a line through the middles of the boxes of each identity.
        """
        self.add(rows)
        return self.draw(image)

    def add(self, rows: Rows) -> None:
        """Takes in the objects of the next frame."""
        self._frame += 1
        ids, boxes = rows["track_ids"], np.asarray(rows["boxes"], np.float64)
        for number, box in zip(ids.tolist(), boxes):
            if number >= 0:
                trail = self._trails.setdefault(number, collections.deque(maxlen=self._length))
                trail.append((self._frame, (box[:2] + box[2:]) / 2))
        self._forget()

    def draw(self, image: np.ndarray) -> np.ndarray:
        """A copy of the image with the trails as they are now."""
        drawn = image.copy()
        width = line_thickness(drawn)
        numbers = np.array(list(self._trails), np.int64)
        for trail, color in zip(self._trails.values(), class_colors(numbers).tolist()):
            points = np.round(np.clip([middle for _, middle in trail], -1e4, 1e5)).astype(np.int32)
            cv2.polylines(drawn, [points[:, None]], False, color, width)
        return drawn

    def _forget(self) -> None:
        """Leaves out what is older than the trails reach back."""
        for number, trail in list(self._trails.items()):
            while trail and trail[0][0] <= self._frame - self._length:
                trail.popleft()
            if not trail:
                del self._trails[number]
