"""Decoding keypoints: 512x512, batch 1, one thread, by keypoints and objects."""

import functools
import json
import time

import numpy as np

from centernet_tf.benchmark.timing import in_fresh_process, interleaved
from centernet_tf.points.centers import Centers
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.tasks import build_tasks
from centernet_tf.tasks.detect import Detect
from centernet_tf.tasks.pose import Pose

GRID = 128
CASES = [
    ("detect", 0, 100),
    *(("pose", keypoints, 100) for keypoints in (17, 34, 68)),
    *(("pose", 17, count) for count in (25, 50, 200, 400)),
]
ROUNDS = 60


def measure() -> list[tuple[str, str, str, str]]:
    """Rows of (task, keypoints, objects, milliseconds)."""
    times = in_fresh_process("centernet_tf.benchmark.keypoints")["ms"]
    return [(task, str(keypoints or ""), str(count), f"{ms:.2f}") for (task, keypoints, count), ms in zip(CASES, times)]


def milliseconds() -> list[float]:
    """Median processor time of each case; all of them run once in every round."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    random = np.random.default_rng(0)
    works = []
    for task, keypoints, count in CASES:
        skeleton = Skeleton(keypoints=tuple(map(str, range(keypoints)))) if keypoints else None
        settings = Pose(skeleton=skeleton) if skeleton else Detect()
        tasks = build_tasks({task: settings}, Centers(1, count))
        maps = {}
        for head in tasks.heads:
            # A network that has learned scores most cells low.
            mean = -4.0 if head.heatmap else 10.0 if head.name == "size" else 0.0
            values = random.normal(mean, 1.5, (1, GRID, GRID, head.channels))
            maps[head.name] = [tf.constant(values.astype(np.float32))]
        works.append(functools.partial(tf.function(tasks.decode), maps))
    times = interleaved({str(number): work for number, work in enumerate(works)}, ROUNDS, clock=time.process_time)
    return list(times.values())


if __name__ == "__main__":
    print(json.dumps({"ms": milliseconds()}))
