"""Sizes of images as they are typed: 512x512, or 384x1280."""

import re

from centernet_tf.errors import UsageError

LARGEST_SIDE = 16384  # of a network's input in pixels; a side of that length takes gigabytes already


def parse_size(text: str, option: str = "--size") -> tuple[int, int]:
    """Height and width in pixels of "HEIGHTxWIDTH", or of "SIDE" for a square.

    Raises:
        UsageError: The text is neither, or a side is longer than any memory allows.
    """
    match = re.fullmatch(r"\s*([1-9]\d*)\s*(?:[xX,]\s*([1-9]\d*)\s*)?", text)
    if not match:
        raise UsageError(f"{option} {text!r:.60}: expected height and width in pixels, such as 512x512 or 384x1280.")
    height, width = match[1], match[2] or match[1]
    if max(len(height), len(width)) > 9 or max(int(height), int(width)) > LARGEST_SIDE:
        raise UsageError(
            f"{option} {text!r:.60}: expected at most {LARGEST_SIDE} pixels a side. Tiles find in images of any size, "
            "see --tile of `centernet detect`."
        )
    return int(height), int(width)
