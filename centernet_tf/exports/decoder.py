"""Reads the maps of a file exported without its decode. Needs only NumPy: copy this file into a program of your own.

maps = {"heatmap": ..., "offset": ..., "size": ...}  # Outputs of the file, by their names in its signature.
boxes, classes, scores, count = decode(maps["heatmap"], maps["offset"], maps["size"])
"""

import numpy as np

CANDIDATES = 100  # peaks that are looked at, at least, where another order of scores decides which become objects


def peaks(heatmap: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The best local maxima of one image.

    Args:
        heatmap: [h, w, C], with or without the sigmoid: both have the same order.
        count: How many at most.

    Returns:
        Rows, columns, classes and values [N], the largest first.
    """
    padded = np.pad(heatmap, ((1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    rows = np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])
    around = np.maximum(np.maximum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])
    y, x, label = np.nonzero(heatmap >= around)
    values = heatmap[y, x, label]
    best = np.argsort(-values, kind="stable")[:count]
    return y[best], x[best], label[best], values[best]


def decode(
    heatmap: np.ndarray,
    offset: np.ndarray,
    size: np.ndarray,
    max_objects: int = 10,
    ltrb: bool = False,
    iou: np.ndarray | None = None,
    iou_aware: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Maps to objects, as the exported decode finds them.

    Args:
        heatmap: [B, h, w, C] float32 before the sigmoid.
        offset: [B, h, w, 2] (x, y) from the cell's corner to the object's centre, in cells.
        size: [B, h, w, 2] or [B, h, w, 2 C] (width, height) in cells.
        max_objects: K.
        ltrb: Whether size is [B, h, w, 4] instead, from the centre to the left, top, right and bottom edge.
        iou: [B, h, w, 1] float32 before the sigmoid, of models that have it.
        iou_aware: The model's setting.

    Returns:
        Boxes [B, K, 4] top, left, bottom, right as fractions of the image's height and width, clipped to 0..1; classes
        [B, K] counted from 0; scores [B, K] in 0..1, the best first; and the number of objects [B]. All float32; rows
        beyond the number are 0.
    """
    batch, height, width, _ = heatmap.shape
    boxes = np.zeros((batch, max_objects, 4), np.float32)
    classes, scores = np.zeros((2, batch, max_objects), np.float32)
    counts = np.zeros(batch, np.float32)
    for image in range(batch):
        y, x, label, logits = peaks(heatmap[image], max_objects if iou is None else max(max_objects, CANDIDATES))
        score = 1 / (1 + np.exp(-logits))
        if iou is not None:
            score = score ** (1 - iou_aware) * (1 / (1 + np.exp(-iou[image, y, x, 0]))) ** iou_aware
            best = np.argsort(-score, kind="stable")[:max_objects]
            y, x, label, score = y[best], x[best], label[best], score[best]
        found = len(score)
        center = np.stack([y, x], axis=-1) + offset[image, y, x, ::-1]
        sides = size[image, y, x].reshape(found, -1, 2)
        half = sides[np.arange(found), label if sides.shape[1] > 1 and not ltrb else 0, ::-1] / 2
        near, far = (sides[:, 0, ::-1], sides[:, 1, ::-1]) if ltrb else (half, half)
        corners = np.concatenate([center - near, center + far], axis=-1) / [height, width, height, width]
        boxes[image, :found] = np.clip(corners, 0, 1)
        classes[image, :found] = label
        scores[image, :found] = score
        counts[image] = found
    return boxes, classes, scores, counts
