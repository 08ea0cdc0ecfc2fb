"""The masks in COCO's JSON: polygons and run lengths of each annotation, in the frame of its image."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from centernet_tf.properties.masks import polygons
from centernet_tf.properties.masks.records import CROSSING
from centernet_tf.properties.property import Fault, Size


class ImageMasks:
    """Reads the masks of one image's annotations, and counts what records do not show any more.

    Args:
        size: Width and height of the image in pixels as the JSON has them; None where it does not.

    Attributes:
        counts: Of `records.CROSSING`.
    """

    def __init__(self, size: Size | None) -> None:
        self.size = size
        self.counts: Counter[str] = Counter({CROSSING: 0})

    def mask(self, row: Mapping[str, Any], which: str) -> bytes | Fault:
        """The mask of an annotation as compressed counts, b"" for none, or what is wrong with it."""
        given = row.get("segmentation")
        if given and self.size is None:
            detail = f"{which} has a mask, but its image no 'width' and 'height' in the JSON; masks need them"
            return Fault("mask without the size of its image", detail)
        found = polygons.read(given, self.size or (0, 0))
        if isinstance(found, Fault):
            return Fault(found.reason, f"{which} {found.detail}")
        self.counts[CROSSING] += polygons.crosses(given)
        return found

    @staticmethod
    def rows(masks: Sequence[bytes]) -> dict[str, np.ndarray]:
        """Rows of N objects."""
        rows = np.full(len(masks), b"", object)
        rows[:] = masks
        return {"segmentations": rows}
