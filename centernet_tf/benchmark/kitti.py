"""KITTI's metric on as many frames as its training set has: 7,481, each of 20 objects."""

import json
import sys
import time

import numpy as np

from centernet_tf.benchmark.timing import highest_memory, in_fresh_process
from centernet_tf.properties.boxes3d.kitti import KittiBoxes3d
from centernet_tf.properties.boxes3d.records import from_columns
from centernet_tf.properties.metric import ImageKey

FRAMES, OBJECTS = 7481, 20
CASES = (20, 50, 100)  # detections of a frame
NAMES = ("Pedestrian", "Car", "Cyclist")
SIZES = np.array([[1.7, 0.6, 0.8], [1.5, 1.6, 3.9], [1.7, 0.6, 1.8]])


def measure() -> list[tuple[str, ...]]:
    """Rows of (frames, objects of a frame, detections of a frame, seconds to gather, to score, peak MB)."""
    rows = []
    for count in CASES:
        found = in_fresh_process("centernet_tf.benchmark.kitti", str(count))
        gather, score = found["seconds"]
        rows.append((f"{FRAMES}", str(OBJECTS), str(count), f"{gather:.1f}", f"{score:.1f}", f"{found['memory']:.0f}"))
    return rows


def seconds(detections: int) -> tuple[float, float]:
    """Time to take in all frames, and to score them, at four difficulties in four senses."""
    random = np.random.default_rng(0)
    metric = KittiBoxes3d(NAMES)
    gathering = 0.0
    for frame in range(FRAMES):
        pair = _frame(random, detections)
        start = time.perf_counter()
        metric.update(ImageKey(frame), *pair)
        gathering += time.perf_counter() - start
    start = time.perf_counter()
    metric.result()
    return gathering, time.perf_counter() - start


def _frame(random: np.random.Generator, detections: int) -> tuple[dict, dict]:
    """Objects before a camera of focal length 700; most detections lie near them, some far off."""
    classes = random.integers(0, 3, OBJECTS)
    place = random.uniform([-20, 1, 5], [20, 2, 70], (OBJECTS, 3))
    angles = random.uniform(-3, 3, (OBJECTS, 2))
    boxes3d = np.concatenate([angles[:, :1], SIZES[classes], place, angles[:, 1:]], axis=1)
    truth = {
        "boxes": _boxes(boxes3d),
        "classes": classes,
        **from_columns(boxes3d),
        "ignored": random.random(OBJECTS) < 0.1,
        "truncated": random.choice([0, 0.2, 0.4], OBJECTS),
        "occluded": random.integers(0, 3, OBJECTS),
    }
    source = random.integers(0, OBJECTS, detections)
    near = np.where(random.random((detections, 1)) < 0.7, 0.02, 0.5)
    found = boxes3d[source] * (1 + near * random.normal(size=(detections, 8)))
    found[:, [1, 2, 3, 6]] = np.maximum(np.abs(found[:, [1, 2, 3, 6]]), 0.1)
    return {
        "boxes": _boxes(found), "classes": classes[source], **from_columns(found), "scores": random.random(detections)
    }, truth  # fmt: skip


def _boxes(boxes3d: np.ndarray) -> np.ndarray:
    low = boxes3d[:, 4:6] / boxes3d[:, 6:7] * 700 + [600, 180]
    extent = boxes3d[:, [3, 1]] / boxes3d[:, 6:7] * 700
    return np.concatenate([low - extent * [0.5, 1], low + extent * [0.5, 0]], axis=1)


if __name__ == "__main__":
    spent = seconds(int(sys.argv[1]))
    print(json.dumps({"seconds": spent, "memory": highest_memory()}))
