"""Optical flow of a video as pictures, for networks that see motion: computed here where no files of it are given."""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

# A motion of a pixel is so many levels, so that eight pixels a frame fit, and no motion is the middle.
LEVELS, MIDDLE = 16.0, 128.0


def flow_pictures(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The flow from each frame of a video to the next, by OpenCV's dense inverse search (Kroeger et al., 2016).

    Args:
        frames: [H, W, 3] uint8 RGB each, in order, all of one size.

    Yields:
        [H, W, 3] uint8 for each frame: red the motion to the right, green that down, 128 for none, and blue its length;
        the picture of the last frame is that of the one before, and of a lone frame shows no motion.
    """
    search, before, picture = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM), None, None
    for frame in frames:
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        if before is not None:
            picture = as_picture(search.calc(before, grey, None))
            yield picture
        before = grey
    if before is not None:
        yield as_picture(np.zeros((*before.shape, 2), np.float32)) if picture is None else picture


def as_picture(flow: np.ndarray) -> np.ndarray:
    """Flow [H, W, 2] float32 in pixels, to the right and down, as a picture [H, W, 3] uint8."""
    length = np.linalg.norm(flow, axis=-1, keepdims=True)
    levels = np.concatenate([MIDDLE + LEVELS * flow, LEVELS * length], axis=-1)
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)
