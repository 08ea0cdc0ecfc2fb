"""The usual way, for comparison: a loader that does everything on the host with NumPy and OpenCV, image by image.

It does the same work as the official loader: decode, warp, colour in float, normalise, and draw every target. Written
from the paper and the description of that loader.
"""

import math

import cv2
import numpy as np

from centernet_tf.preprocess import COCO_MEAN, COCO_STD, GREY


def radius(height: float, width: float, iou: float = 0.7) -> float:
    """Gaussian radius with the published roots, in float64; see `geometry.gaussian.radius`."""
    total, area = height + width, height * width
    quadratics = (
        (1, total, area * (1 - iou) / (1 + iou)),
        (4, 2 * total, (1 - iou) * area),
        (4 * iou, -2 * iou * total, (iou - 1) * area),
    )
    return min((b + math.sqrt(b * b - 4 * a * c)) / 2 for a, b, c in quadratics)


def draw_gaussian(heatmap: np.ndarray, x: int, y: int, reach: int) -> None:
    """Raises a plane [h, w] to a Gaussian around a cell, in place."""
    axis = np.arange(-reach, reach + 1)
    sigma = (2 * reach + 1) / 6
    bump = np.exp(-(axis[:, None] ** 2 + axis[None] ** 2) / (2 * sigma * sigma))
    height, width = heatmap.shape
    left, right = min(x, reach), min(width - x, reach + 1)
    top, bottom = min(y, reach), min(height - y, reach + 1)
    window = heatmap[y - top : y + bottom, x - left : x + right]
    np.maximum(window, bump[reach - top : reach + bottom, reach - left : reach + right], out=window)


def draw_targets(boxes: np.ndarray, classes: np.ndarray, grid: tuple[int, int], num_classes: int) -> np.ndarray:
    """Heatmap [C, h, w] float32 of boxes [N, 4] in cells, object by object."""
    heatmap = np.zeros((num_classes, *grid), np.float32)
    for box, label in zip(boxes, classes):
        width, height = box[2] - box[0], box[3] - box[1]
        if width > 0 and height > 0:
            x, y = int((box[0] + box[2]) / 2), int((box[1] + box[3]) / 2)
            draw_gaussian(heatmap[label], x, y, max(0, int(radius(math.ceil(height), math.ceil(width)))))
    return heatmap


def load(encoded: bytes, boxes: np.ndarray, classes: np.ndarray, random: np.random.Generator, num_classes: int = 80):
    """One training sample at 512x512: normalised image [3, 512, 512] float32 and heatmap [C, 128, 128]."""
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    height, width = image.shape[:2]
    scale = 512 / (max(height, width) * random.choice(np.arange(0.6, 1.4, 0.1)))
    center = random.integers(128, width - 128), random.integers(128, height - 128)
    if random.random() < 0.5:
        image = image[:, ::-1]
        center = width - center[0] - 1, center[1]
        boxes = np.stack([width - 1 - boxes[:, 2], boxes[:, 1], width - 1 - boxes[:, 0], boxes[:, 3]], axis=1)
    matrix = np.array([[scale, 0, 256 - scale * center[0]], [0, scale, 256 - scale * center[1]]])
    image = cv2.warpAffine(image, matrix, (512, 512), flags=cv2.INTER_LINEAR).astype(np.float32) / 255
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    mean = grey.mean()
    for step in random.permutation(3):
        keep = random.uniform(0.6, 1.4)
        image *= keep
        if step:
            image += (1 - keep) * (mean if step == 1 else grey[..., None])
    image += np.asarray(GREY, np.float32) * random.normal(0, 0.1)
    image = ((image - np.float32(COCO_MEAN)) / np.float32(COCO_STD)).transpose(2, 0, 1)
    moved = (boxes.reshape(-1, 2, 2) * scale + matrix[:, 2]).reshape(-1, 4) / 4
    return np.ascontiguousarray(image), draw_targets(np.clip(moved, 0, 127), classes, (128, 128), num_classes)
