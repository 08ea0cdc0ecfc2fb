"""Found masks for other programs: COCO's run lengths in JSON."""

from typing import Any

import numpy as np

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
