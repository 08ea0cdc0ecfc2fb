"""Training step: rendering, forward, backward, update; one fresh process for each case."""

import json
import sys

import keras
import numpy as np

from centernet_tf.benchmark.timing import in_fresh_process, interleaved
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.training.trainer import Trainer

CASES = tuple(
    (backbone, size, batch, precision)
    for backbone in ("mobilenetv2_fpn", "resnet18", "resnet18_dcn")
    for size, batch in ((256, 8),)
    for precision in ("float32", "mixed_bfloat16")
)


def measure() -> list[tuple[str, str, str, str]]:
    """Rows of (backbone, precision, ms a step, images a second)."""
    rows = []
    for backbone, size, batch, precision in CASES:
        found = in_fresh_process(__name__, backbone, str(size), str(batch), precision)
        title = f"{backbone}, {size}x{size}, batch {batch}"
        rows.append((title, precision, f"{found['ms']:.0f}", f"{1000 * batch / found['ms']:.1f}"))
    return rows


def one(backbone: str, size: int, batch: int, precision: str) -> dict[str, float]:
    """Median time of a step in milliseconds."""
    keras.config.set_dtype_policy(precision)
    card = ModelCard(
        tasks={"detect": {}},
        backbone=backbone,
        classes=("first", "second", "third"),
        max_objects=100,
        input=InputCard(height=size, width=size, stride=32),
    )
    tasks = card.task_set()
    trainer = Trainer(build_network(backbone, tasks.heads), tasks, card.input.normalization, (size, size), 0.998)
    trainer.compile(keras.optimizers.Adam(1e-4), loss=None, jit_compile=False)
    random = np.random.default_rng(0)
    corner = random.uniform(0, size - 40, (batch, 16, 2))
    inputs = {
        "image": random.integers(0, 255, (batch, size, size, 3), np.uint8),
        "color": np.tile(np.float32([[1, 0, 0, 0, 0, 0]]), (batch, 1)),
    }
    rows = {
        "boxes": np.concatenate([corner, corner + random.uniform(10, 40, corner.shape)], -1).astype(np.float32),
        "classes": random.integers(0, 3, (batch, 16)).astype(np.int32),
        "crowd": np.zeros((batch, 16), bool),
        "valid": np.ones((batch, 16), bool),
    }
    return {"ms": interleaved({"step": lambda: trainer.train_on_batch(inputs, rows)}, rounds=7)["step"]}


if __name__ == "__main__":
    print(json.dumps(one(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])))
