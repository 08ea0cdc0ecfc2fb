"""One image at several sizes: the official multi-scale test (official code, `pre_process` of the base detector)."""

from fractions import Fraction
from typing import Any

from keras import ops

from centernet_tf import preprocess


def scaled_side(side: Any, scale: Fraction) -> Any:
    """int(side * scale), at least 1, in whole numbers; a side may be a number or an integer tensor."""
    length = side * scale.numerator // scale.denominator
    return max(length, 1) if isinstance(length, int) else ops.maximum(length, 1)


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
