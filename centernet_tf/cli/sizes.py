"""Sizes of images as they are typed: 512x512, or 384x1280."""

import re

from centernet_tf.errors import UsageError


def parse_size(text: str, option: str = "--size") -> tuple[int, int]:
    """Height and width in pixels of "HEIGHTxWIDTH", or of "SIDE" for a square.

    Raises:
        UsageError: The text is neither.
    """
    match = re.fullmatch(r"\s*([1-9]\d*)\s*(?:[xX,]\s*([1-9]\d*)\s*)?", text)
    if not match:
        raise UsageError(f"{option} {text!r}: expected height and width in pixels, such as 512x512 or 384x1280.")
    height, width = match.groups()
    return int(height), int(width or height)
