"""What learning identities costs: a training step beside plain detection, and the memory of large classifiers."""

import json
import sys

import numpy as np

from centernet_tf.benchmark.timing import highest_memory, in_fresh_process, interleaved
from centernet_tf.benchmark.trainers import card_of, noise, trainer_of

BACKBONE, SIZE, BATCH, OBJECTS = "mobilenetv2_fpn", 256, 8, 100
COUNTS = (1_000, 100_000)


def step_of(count: int):
    """A training step of detection, or of re-identification with so many identities."""
    tasks = {"reid": {"identities": [count]}} if count else {"detect": {}}
    card = card_of(BACKBONE, SIZE, classes=1, objects=OBJECTS, tasks=tasks)
    trainer = trainer_of(card)
    inputs, rows = noise(card, BATCH, OBJECTS)
    if count:
        rows["identities"] = np.random.default_rng(1).integers(0, count, (BATCH, OBJECTS), np.int32)
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
