"""Images as a network sees them, whose values set the ranges of eight-bit numbers."""

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
from keras import ops

from centernet_tf.detector.detector import Image, as_image
from centernet_tf.detector.graph import DetectorGraph
from centernet_tf.errors import UsageError

REPRESENTATIVE = 100  # Images that are used.


def representative(graph: DetectorGraph, images: Iterable[Image]) -> list[np.ndarray]:
    """The first images, each [1, H, W, 3] float32 RGB in 0..255, fitted as the graph does it.

    Raises:
        UsageError: There are none.
        DataError: One cannot be read.
    """
    fitted = [_fit(graph, image) for image in itertools.islice(images, REPRESENTATIVE)]
    if not fitted:
        raise UsageError("int8 needs representative images, and there are none among those given.")
    return fitted


def check_quantize(quantize: str, known: Iterable[str], images: Any) -> None:
    """Raises UsageError where a kind of numbers is none of those known, or images are missing or for nothing."""
    if quantize not in known:
        raise UsageError(f"quantize is {quantize!r}; expected {' or '.join(known)}.")
    if (images is None) == (quantize == "int8"):
        raise UsageError(
            "int8 needs images like those the model will see, for calibration. Give some of training's (--data)."
            if images is None
            else f"quantize {quantize!r} uses no images; only int8 does."
        )


def _fit(graph: DetectorGraph, image: Image) -> np.ndarray:
    pixels = as_image(image)
    fitted, _ = graph.fit_images(pixels[None], np.array([pixels.shape[:2]], np.int32))
    return ops.convert_to_numpy(fitted) * 255
