"""Which detection is which object, for errors of what else is known of both."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from centernet_tf.geometry.boxes import box_iou

IOU = 0.5  # of boxes in the image, above which a detection is that object


def pair(detections: Mapping[str, Any], boxes: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Each detection, best score first, takes the object of its class that it overlaps most and that is free.

    Args:
        detections: "boxes" [K, 4] left, top, right, bottom in pixels, "scores" [K], "classes" [K].
        boxes: [N, 4] of the objects.
        classes: [N] of the objects.

    Returns:
        [N] row of the detection that is each object, -1 where none is.
    """
    found = np.full(len(boxes), -1)
    if not len(boxes):
        return found
    common = box_iou(np.asarray(detections["boxes"], np.float64), np.asarray(boxes, np.float64))
    alike = np.asarray(detections["classes"])[:, None] == np.asarray(classes)
    free = np.where(alike & (common > IOU), common, 0.0)
    for row in np.argsort(-np.asarray(detections["scores"]), kind="stable"):
        if free[row].max() > 0:
            place = free[row].argmax()
            found[place] = row
            free[:, place] = 0
    return found
