"""Which images are searched together: a batch is padded to its tallest and its widest."""

from collections.abc import Sequence

import numpy as np

PADDING = 64  # Images of one batch are padded to multiples of this, so that few shapes need compiling.
# A batch that is padded to more pixels than the first is no more than the second times as large as its images.
ROOM = 2**24
WASTE = 4


def share(images: Sequence[np.ndarray], further: np.ndarray, input_height: int | None) -> bool:
    """Whether an image is padded together with others; a wide one and a tall one would make a large square.

    Args:
        images: [H, W, 3] of a batch so far.
        further: The image.
        input_height: Of the network's input in pixels, which images are fitted into; None where each keeps its
            resolution, so that one batch has one size.
    """
    shapes = np.array([image.shape[:2] for image in (*images, further)], np.int64)
    if input_height is None:
        return bool((shapes == shapes[0]).all())
    height, width = shapes.max(axis=0)
    # The rows of the input are resampled over the full width of the images first.
    padded = len(shapes) * width * max(height, input_height)
    return bool(padded <= max(ROOM, WASTE * shapes.prod(axis=1).sum()))


def padded_size(images: Sequence[np.ndarray], input_height: int | None) -> tuple[int, int]:
    """Height and width in pixels that images of a batch are padded to; arguments as of `share`."""
    height, width = np.max([image.shape[:2] for image in images], axis=0).tolist()
    if input_height is None:
        return height, width
    return -(-height // PADDING) * PADDING, -(-width // PADDING) * PADDING


def pack(images: Sequence[np.ndarray], size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Images [H, W, 3] uint8 of a batch as a graph takes them: padded to a height and width, and their own sizes."""
    packed = np.zeros((len(images), *size, 3), np.uint8)
    for row, image in zip(packed, images):
        row[: image.shape[0], : image.shape[1]] = image
    return {"images": packed, "sizes": np.array([image.shape[:2] for image in images], np.int32)}
