"""Found masks for other programs: COCO's run lengths in JSON."""

from typing import Any

import numpy as np

from centernet_tf.errors import UsageError
from centernet_tf.properties.masks import pixels
from centernet_tf.properties.property import Rows, Size


def at_pixels(rows: Rows, size: Size, threshold: float, margin: float) -> Rows:
    """Found masks at the pixels of their image.

    Args:
        rows: "boxes" and "masks" of what was found; or "segmentations", which then stay.
        size: Width and height of the image.
        threshold: Of `Masks`.
        margin: Of `Masks`.

    Returns:
        "segmentations" [N] objects, bytes, see `Masks`, and "segmentation_size" [2] int64, height and width of the
        image, which COCO's files give with each of them.
    """
    height_and_width = {"segmentation_size": np.array(size[::-1], np.int64)}
    if "segmentations" in rows:
        return height_and_width
    made = pixels.segmentations(rows["masks"], rows["boxes"], size, threshold, margin)
    return {"segmentations": made, **height_and_width}


def to_json(rows: Rows) -> list[dict[str, Any]]:
    """COCO's "segmentation" of each object; nothing of those without mask."""
    size = rows["segmentation_size"].tolist()
    return [
        {"segmentation": {"size": size, "counts": counts.decode("ascii")}} if counts else {}
        for counts in rows["segmentations"]
    ]


def whole_masks(rows: Rows) -> np.ndarray:
    """[N, H, W] bool, every mask in the whole image; rows with those of `at_pixels`."""
    height, width = rows["segmentation_size"].tolist()
    masks = np.zeros((len(rows["segmentations"]), height, width), bool)
    for mask, counts in zip(masks, rows["segmentations"]):
        region = pixels.region_from(counts, (width, height))
        mask[region.part] = region.pixels
    return masks


def middle_side(side: int, margin: float) -> int:
    """Rows and columns of a mask that lie over its object's box, of those over the widened one.

    Raises:
        UsageError: The sides of the box do not fall between two of them.
    """
    middle = round(side / (1 + 2 * margin))
    if (side - middle) % 2 or abs(middle * (1 + 2 * margin) - side) > 1e-6 * side:
        raise UsageError(
            f"masks of {side} x {side} that show {margin:g} of their box beyond each side cannot be told for the box "
            f"alone: it is {side / (1 + 2 * margin):g} of them wide. Use a side and a margin of which the box is a "
            "whole number in the middle, such as 48 and 0.25."
        )
    return middle
