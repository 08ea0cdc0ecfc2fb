"""What pairs of objects cost: decoding beside plain detection, 512x512, 80 classes, 100 objects, 100 verb points."""

import functools
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from centernet_tf.benchmark.timing import in_fresh_process
from centernet_tf.points.centers import Centers
from centernet_tf.points.task_set import TaskSet
from centernet_tf.tasks import build_tasks, read_task
from centernet_tf.tasks.hoi.decode import points_of

SIZE, CLASSES, VERBS, OBJECTS = 512, 80, 117, 100
NAMES = ("person", *(f"class{number}" for number in range(1, CLASSES)))
WORDS = tuple(f"verb{number}" for number in range(VERBS))
TABLE = {verb: NAMES[number % 8 :: 4] for number, verb in enumerate(WORDS)}
CASES = {
    "detection": {"detect": {}},
    "detection and peaks of verbs": {"hoi": {"verbs": WORDS}},
    "and matching of pairs": {"hoi": {"verbs": WORDS}},
    "the same, with a table of allowed pairs": {"hoi": {"verbs": WORDS, "allowed": TABLE}},
    "points with a vector": {"hoi": {"verbs": WORDS, "allowed": TABLE, "head": "vector"}},
}
PEAKS = "detection and peaks of verbs"
ROUNDS = 40


def measure() -> list[tuple[str, ...]]:
    """Rows of (what, milliseconds, milliseconds beyond the peaks of verbs)."""
    times = in_fresh_process("centernet_tf.benchmark.interactions")
    return [(name, f"{took:.2f}", f"{took - times[PEAKS]:.2f}") for name, took in times.items()]


def decodes() -> dict[str, float]:
    """Median processor time of decoding an image in milliseconds, one core; all cases run once in every round."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    random, works = np.random.default_rng(0), {}
    centers = Centers(CLASSES, max_objects=OBJECTS, class_names=NAMES)
    for name, tasks in CASES.items():
        built = build_tasks({task: read_task(task, values) for task, values in tasks.items()}, centers)
        maps = {head.name: [tf.constant(_map_of(random, head))] for head in built.heads}
        works[name] = functools.partial(tf.function(_work_of(name, built, centers)), maps)
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(ROUNDS + 3):
        for name, run in works.items():
            began = time.process_time()
            run()
            if number >= 3:
                times[name].append((time.process_time() - began) * 1e3)
    return {name: float(np.median(own)) for name, own in times.items()}


def _work_of(name: str, built: TaskSet, centers: Centers) -> Callable[[dict[str, Any]], Any]:
    """Maps to what a case finds in them."""

    def peaks(maps: dict[str, Any]) -> Any:
        last = {head: one[-1] for head, one in maps.items()}
        return centers.decode(last, built.peaks(last)), points_of(last, OBJECTS)

    return peaks if name == PEAKS else lambda maps: built.place(built.decode(maps), {})


def _map_of(random: np.random.Generator, head: Any) -> np.ndarray:
    """What a network answers for a head: it scores most cells low, and its boxes are 100 pixels large."""
    mean, grid = -4.0 if head.heatmap else 25.0 if head.name in ("size", "vector") else 0.0, SIZE // 4
    return random.normal(mean, 1.5, (1, grid, grid, head.channels)).astype(np.float32)


if __name__ == "__main__":
    print(json.dumps(decodes()))
