"""Decoding joints: 512x512, batch 1, one thread, by joints and objects."""

import functools
import json
import time

import numpy as np

from centernet_tf.benchmark.timing import in_fresh_process
from centernet_tf.centers import Centers
from centernet_tf.skeleton import Skeleton
from centernet_tf.tasks import build_tasks

GRID = 128
CASES = [
    ("detect", 0, 100),
    *(("pose", joints, 100) for joints in (17, 34, 68)),
    *(("pose", 17, count) for count in (25, 50, 200, 400)),
]
ROUNDS = 60


def measure() -> list[tuple[str, str, str, str]]:
    """Rows of (task, joints, objects, milliseconds)."""
    times = in_fresh_process("centernet_tf.benchmark.joints")["ms"]
    return [(task, str(joints or ""), str(count), f"{ms:.2f}") for (task, joints, count), ms in zip(CASES, times)]


def milliseconds() -> list[float]:
    """Median processor time of each case; all of them run once in every round."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    random = np.random.default_rng(0)
    works = []
    for task, joints, count in CASES:
        skeleton = Skeleton(joints=tuple(map(str, range(joints)))) if joints else None
        tasks = build_tasks((task,), Centers(1, count, skeleton=skeleton))
        maps = {}
        for head in tasks.heads:
            # A network that has learned scores most cells low.
            mean = -4.0 if head.heatmap else 10.0 if head.name == "size" else 0.0
            values = random.normal(mean, 1.5, (1, GRID, GRID, head.channels))
            maps[head.name] = [tf.constant(values.astype(np.float32))]
        works.append(functools.partial(tf.function(tasks.decode), maps))
    times: list[list[float]] = [[] for _ in works]
    for number in range(ROUNDS + 3):
        for work, own in zip(works, times):
            began = time.process_time()
            work()
            if number >= 3:
                own.append((time.process_time() - began) * 1e3)
    return [float(np.median(own)) for own in times]


if __name__ == "__main__":
    print(json.dumps({"ms": milliseconds()}))
