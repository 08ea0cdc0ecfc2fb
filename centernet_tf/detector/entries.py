"""What a detector is given: files, their bytes and arrays, with keys and what the model takes beside pixels."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from centernet_tf.media.images import read_image

Image = str | Path | bytes | np.ndarray
Entry = tuple[Any, Image, Mapping[str, Any]]  # key, image and {name: value} of its extras
# Takes what `Detector.look` returns of an image: input [h, w, 3] uint8 and heatmap [h/4, w/4, C].
Look = Callable[[np.ndarray, np.ndarray], None]


def as_entries(images: Iterable[Image | tuple[Image, Mapping[str, Any]]]) -> Iterator[Entry]:
    """Images, or pairs of image and extras, as `Detector.search` takes them, without keys."""
    for image in images:
        yield (None, *image) if isinstance(image, tuple) else (None, image, {})


def as_image(image: Image) -> np.ndarray:
    """A file, its bytes or an array as [H, W, 3] uint8 RGB.

    Raises:
        DataError: The file is missing or no image.
        ValueError: The array has another shape or type.
    """
    if not isinstance(image, np.ndarray):
        return read_image(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ValueError(
            f"Got an array {image.shape} of {image.dtype}; an image is [H, W, 3] uint8 RGB with values 0 to 255."
        )
    return image
