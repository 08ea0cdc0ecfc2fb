"""Training step: rendering, forward, backward, update; one fresh process for each case."""

import json
import sys

import keras

from centernet_tf.benchmark.timing import in_fresh_process, interleaved
from centernet_tf.benchmark.trainers import card_of, noise, trainer_of

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
    card = card_of(backbone, size, classes=3)
    trainer = trainer_of(card, ema=0.998)
    inputs, rows = noise(card, batch, objects=16)
    return {"ms": interleaved({"step": lambda: trainer.train_on_batch(inputs, rows)}, rounds=7)["step"]}


if __name__ == "__main__":
    print(json.dumps(one(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])))
