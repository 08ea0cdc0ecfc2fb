"""Optical flow of a video as pictures, for networks that see motion: computed here where no files of it are given."""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

# A motion of a pixel is so many levels, so that eight pixels a frame fit, and no motion is the middle.
LEVELS, MIDDLE = 16.0, 128.0


class FlowPictures:
    """The flow from each frame of a video to the next, by OpenCV's dense inverse search (Kroeger et al., 2016).

    Pictures are [H, W, 3] uint8, one for each frame: red the motion to the right, green that down, 128 for none, and
    blue its length; that of the last frame is that of the one before, and of a lone frame shows no motion.
    """

    def __init__(self) -> None:
        self._search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._before: np.ndarray | None = None
        self._picture: np.ndarray | None = None

    def push(self, frame: np.ndarray) -> list[np.ndarray]:
        """Takes in the next frame [H, W, 3] uint8 RGB, all of one size; gives the picture of the one before."""
        grey, before = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), self._before
        self._before = grey
        if before is None:
            return []
        self._picture = as_picture(self._search.calc(before, grey, None))
        return [self._picture]

    def finish(self) -> list[np.ndarray]:
        """The picture of the last frame; none of no video."""
        if self._before is None:
            return []
        still = np.zeros((*self._before.shape, 2), np.float32)
        return [as_picture(still) if self._picture is None else self._picture]


def flow_pictures(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """`FlowPictures` of all frames of a video, in order."""
    flow = FlowPictures()
    for frame in frames:
        yield from flow.push(frame)
    yield from flow.finish()


def as_picture(flow: np.ndarray) -> np.ndarray:
    """Flow [H, W, 2] float32 in pixels, to the right and down, as a picture [H, W, 3] uint8."""
    length = np.linalg.norm(flow, axis=-1, keepdims=True)
    levels = np.concatenate([MIDDLE + LEVELS * flow, LEVELS * length], axis=-1)
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)
