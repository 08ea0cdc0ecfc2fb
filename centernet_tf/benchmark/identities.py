"""What learning identities costs: a training step beside plain detection, and the memory of large classifiers."""

import json
import sys

import keras
import numpy as np

from centernet_tf.benchmark.timing import highest_memory, in_fresh_process, interleaved
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.training.trainer import Trainer

BACKBONE, SIZE, BATCH, OBJECTS = "mobilenetv2_fpn", 256, 8, 100
COUNTS = (1_000, 100_000)


def step_of(count: int):
    """A training step of detection, or of re-identification with so many identities."""
    tasks = {"reid": {"identities": [count]}} if count else {"detect": {}}
    form = InputCard(height=SIZE, width=SIZE, stride=32)
    card = ModelCard(tasks=tasks, backbone=BACKBONE, classes=("person",), max_objects=OBJECTS, input=form)
    built = card.task_set()
    trainer = Trainer(build_network(BACKBONE, built.heads), built, form.normalization, (SIZE, SIZE))
    trainer.compile(keras.optimizers.Adam(1e-4), loss=None, jit_compile=False)
    random = np.random.default_rng(0)
    corner = random.uniform(0, SIZE - 40, (BATCH, OBJECTS, 2))
    inputs = {
        "image": random.integers(0, 255, (BATCH, SIZE, SIZE, 3), np.uint8),
        "color": np.tile(np.float32([[1, 0, 0, 0, 0, 0]]), (BATCH, 1)),
    }
    rows = {
        "boxes": np.concatenate([corner, corner + random.uniform(10, 40, corner.shape)], -1).astype(np.float32),
        "classes": np.zeros((BATCH, OBJECTS), np.int32),
        "crowd": np.zeros((BATCH, OBJECTS), bool),
        "valid": np.ones((BATCH, OBJECTS), bool),
    }
    if count:
        rows["identities"] = random.integers(0, count, (BATCH, OBJECTS), np.int32)
    return lambda: trainer.train_on_batch(inputs, rows)


def measure() -> list[tuple[str, ...]]:
    """Rows of (what, ms a step, times plain detection, peak MB of a process that trains nothing else)."""
    times = interleaved({str(count): step_of(count) for count in (0, *COUNTS)}, rounds=15)
    rows = []
    for count in (0, *COUNTS):
        title = f"{BACKBONE}, {SIZE}x{SIZE}, batch {BATCH}, {OBJECTS} objects, " + (
            f"{count:,} identities" if count else "detection"
        )
        peak = in_fresh_process(__name__, str(count))["MB"]
        took = times[str(count)]
        rows.append((title, f"{took:.0f}", f"{took / times['0']:.3f}", f"{peak:.0f}"))
    return rows


if __name__ == "__main__":
    step = step_of(int(sys.argv[1]))
    step()
    print(json.dumps({"MB": highest_memory()}))
