"""Rendering heatmaps: 80 classes, 128x128 cells, batch of 16, by number of objects; beside drawing them in NumPy."""

import json
import sys

import numpy as np
import tensorflow as tf

from centernet_tf.benchmark import classic
from centernet_tf.benchmark.timing import PeakMemory, in_fresh_process, interleaved
from centernet_tf.points.centers import Centers

BATCH, CLASSES, GRID = 16, 80, (128, 128)
COUNTS = {7: 16, 30: 32, 100: 100}  # Objects, and the rows that the input pipeline ships for so many.


def measure() -> list[tuple[str, str, str, str, str]]:
    """Rows of (objects, ms per image: NumPy, graph, XLA; peak MB of a batch in the graph and under XLA)."""
    rows = []
    for count in COUNTS:
        found = in_fresh_process(__name__, str(count), "time")
        times = (f"{found[name]:.2f}" for name in ("usual", "graph", "xla"))
        # TensorFlow keeps what it once had, so a peak shows in the first runs of a process only.
        peaks = (f"{in_fresh_process(__name__, str(count), way)['peak']:.0f}" for way in ("graph", "xla"))
        rows.append((str(count), *times, " / ".join(peaks)))
    return rows


def one(count: int, wanted: str) -> dict[str, float]:
    """For one number of objects: every way's time ("time"), or the peak of memory of one ("graph", "xla")."""
    random = np.random.default_rng(count)
    corner = random.uniform(0, 400, (BATCH, COUNTS[count], 2))
    boxes = np.concatenate([corner, corner + random.uniform(8, 160, corner.shape)], axis=-1).astype(np.float32)
    classes = random.integers(0, CLASSES, boxes.shape[:2]).astype(np.int32)
    valid = np.broadcast_to(np.arange(COUNTS[count]) < count, classes.shape)
    rows = {"boxes": boxes, "classes": classes, "crowd": np.zeros_like(valid), "valid": valid}
    rows = {name: tf.constant(value) for name, value in rows.items()}
    centers = Centers(CLASSES)

    def encode():
        return centers.encode(rows, centers.locate(rows, GRID))["heatmap"]["heatmap"]

    def usual() -> None:
        for image in range(BATCH):
            inside = np.clip(boxes[image, :count] / 4, 0, 127)
            classic.draw_targets(inside, classes[image], GRID, CLASSES)

    ways = {"graph": tf.function(encode), "xla": tf.function(encode, jit_compile=True)}
    if wanted in ways:
        with PeakMemory() as memory:
            for _ in range(3):
                ways[wanted]().numpy()
        return {"peak": memory.megabytes}
    works = {name: (lambda way=way: way().numpy()) for name, way in ways.items()}
    times = interleaved({"usual": usual, **works}, rounds=9)
    return {name: value / BATCH for name, value in times.items()}


if __name__ == "__main__":
    print(json.dumps(one(int(sys.argv[1]), sys.argv[2])))
