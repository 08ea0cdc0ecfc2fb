"""Networks with the heads of 80 classes at 512x512: size, work, time and memory, each in a fresh process."""

import json
import sys
from collections.abc import Sequence

import keras
import numpy as np

from centernet_tf.backbones import BACKBONES, find_backbone
from centernet_tf.benchmark.modes import modes, prepared
from centernet_tf.benchmark.multiply_adds import multiply_adds
from centernet_tf.benchmark.timing import PeakMemory, in_fresh_process, interleaved
from centernet_tf.model.network import build_network
from centernet_tf.points.centers import Centers

SIZE, CLASSES = 512, 80
BATCHES = (1, 8)


def measure(chosen: Sequence[str] = ()) -> list[tuple[str, ...]]:
    """Rows of (backbone, parameters, multiply-adds, batch, mode, ms, images / s, peak MB above the network itself).

    Args:
        chosen: Backbones and batch sizes, in any order. Without a backbone, all that need no argument; without a
            size, 1 and 8.

    Raises:
        UsageError: An unknown backbone.
    """
    batches = [int(word) for word in chosen if word.isdigit()] or BATCHES
    names = [word for word in chosen if not word.isdigit()] or [
        name for name, entry in BACKBONES.items() if entry.build
    ]
    for name in names:
        find_backbone(name)
    # Sixteen bits are slower on a processor; the JAX backend is the one for other devices.
    precisions = ("float32", "mixed_bfloat16") if keras.backend.backend() == "jax" else ("float32",)
    rows = []
    for name in names:
        for batch in batches:
            for precision in precisions:
                for mode in modes():
                    title = mode if precision == "float32" else f"{mode}, bfloat16"
                    print(f"{name}, batch {batch}, {title} ...", file=sys.stderr, flush=True)
                    found = in_fresh_process(__name__, name, str(batch), mode, precision)
                    size = (f"{found['parameters'] / 1e6:.1f}", f"{found['multiply_adds'] / 1e9:.1f}")
                    speed = (f"{found['ms']:.0f}", f"{1000 * batch / found['ms']:.2f}", f"{found['peak']:.0f}")
                    rows.append((name, *size, str(batch), title, *speed))
    return rows


def one(name: str, batch: int, mode: str, precision: str) -> dict[str, float]:
    """Size and work of one network; its time in ms and peak of memory in MB in one mode."""
    keras.config.set_dtype_policy(precision)
    network = build_network(name, Centers(CLASSES).heads())
    images = np.random.default_rng(0).normal(size=(batch, SIZE, SIZE, 3)).astype(np.float32)
    work = multiply_adds(network, (SIZE, SIZE, 3))
    run = prepared(network, images, mode)
    with PeakMemory() as memory:
        run()
    heavy = work * batch > 100e9
    times = interleaved({"run": run}, rounds=3 if heavy else 7, warm=1)
    parameters = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    return {"parameters": parameters, "multiply_adds": work, "ms": times["run"], "peak": memory.megabytes}


if __name__ == "__main__":
    print(json.dumps(one(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4])))
