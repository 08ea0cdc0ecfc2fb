"""One image at several sizes: the official multi-scale test (official code, `pre_process` of the base detector)."""

import functools
from fractions import Fraction
from typing import Any

import numpy as np
from keras import ops

from centernet_tf import preprocess

LONGEST = 65535  # Pixels of the longest side of an image that OpenCV reads.


def scaled_side(side: Any, scale: Fraction) -> Any:
    """int(side * scale) in float64, at least 1, as in the original; a side may be a number or an integer tensor.

    Where the product is a whole number, such as 70 * 0.7, float64 may come out just below. JAX has no float64, so of
    tensors these sides are looked up.
    """
    if isinstance(side, int):
        return max(int(side * float(scale)), 1)
    length = side * scale.numerator // scale.denominator
    place, rest = side // scale.denominator, side % scale.denominator
    less = ops.take(_less_by_one(scale), ops.minimum(place, LONGEST // scale.denominator), axis=0)
    return ops.maximum(length - ops.where(rest == 0, less, 0), 1)


@functools.cache
def _less_by_one(scale: Fraction) -> np.ndarray:
    """[n] int32: 1 for the multiples of the scale's denominator whose product float64 puts below a whole number."""
    sides = range(0, LONGEST + 1, scale.denominator)
    exact = (side * scale.numerator // scale.denominator for side in sides)
    return np.int32([whole - int(side * float(scale)) for side, whole in zip(sides, exact)])


def rescale(images: Any, sizes: Any, scale: Fraction) -> tuple[Any, Any]:
    """Images at another size.

    Args:
        images: [B, H, W, 3] uint8, each in the upper left corner.
        sizes: [B, 2] int32 height and width of each.
        scale: Of both sides.

    Returns:
        [B, int(H * scale), int(W * scale), 3] float32 in the same range, and [B, 2] int32 sizes.
    """
    if scale == 1:
        return images, sizes
    _, height, width, _ = ops.shape(images)
    targets = scaled_side(ops.cast(sizes, "int32"), scale)
    canvas = scaled_side(height, scale), scaled_side(width, scale)
    return preprocess.resize(images, sizes, targets, canvas), targets
