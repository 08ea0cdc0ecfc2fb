"""Networks with the heads of 80 classes: size, work, time, memory, and speed beside this machine's own matrices.

Each case runs in a fresh process, in which the network and a large product of matrices of the same precision take
turns, so that their ratio holds on a machine that is busy with other things.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from centernet_tf.backbones import BACKBONES, find_backbone
from centernet_tf.benchmark.modes import modes, prepared
from centernet_tf.benchmark.multiply_adds import multiply_adds, whole_maps
from centernet_tf.benchmark.options import Options, positive
from centernet_tf.benchmark.rate import SIDE, TRAINING, matrix_rate, product, share
from centernet_tf.benchmark.timing import PeakMemory, in_fresh_process, interleaved
from centernet_tf.benchmark.trainers import card_of, noise, trainer_of
from centernet_tf.errors import UsageError
from centernet_tf.model.network import build_network
from centernet_tf.points.centers import Centers

CLASSES, OBJECTS = 80, 16
PRECISIONS = ("float32", "bfloat16")
WORKS = ("forward", "training")
HEAVY = 200e9  # multiply-adds of a case from which fewer rounds are enough


def options_of(words: Sequence[str]) -> argparse.Namespace:
    """Reads what is behind the table's name.

    Raises:
        UsageError: An option, a value or a backbone is unknown, or the input size suits a backbone not.
    """
    ways = [mode for mode in modes() if mode != "eager"]
    parser = Options("networks", __doc__)
    parser.add_argument(
        "chosen", nargs="*", type=_chosen, help="backbones and batch sizes, all that there are and 1 if left out"
    )
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--mode", nargs="+", choices=modes(), default=ways, help="how the backend runs them")
    parser.add_argument("--work", nargs="+", choices=WORKS, default=WORKS, help="which rows to measure")
    parser.add_argument("--cores", type=int, choices=(1,), help="one core, processor time; all, wall time, if left out")
    parser.add_argument("--size", type=positive, default=512, help="side of the input in pixels")
    parser.add_argument("--side", type=positive, default=SIDE, help="side of the matrices that are multiplied")
    found = parser.parse_args(list(words))
    found.batches = [word for word in found.chosen if isinstance(word, int)] or [1]
    names = [word for word in found.chosen if isinstance(word, str)]
    found.names = names or [name for name, entry in BACKBONES.items() if entry.build]
    for name in found.names:
        stride = find_backbone(name).stride
        if found.size % stride:
            raise UsageError(f"networks: --size {found.size} is no multiple of {stride}, which {name} needs.")
    return found


def _chosen(word: str) -> str | int:
    return positive(word) if word.isdigit() else word


def measure(words: Sequence[str] = ()) -> Iterator[tuple[str, ...]]:
    """Rows of (backbone, parameters, multiply-adds of an image, batch, mode, work, ms, images / s, peak MB above the
    network itself, GFLOP/s of matrices, share of it).

    Args:
        words: As `options_of` reads them.

    Raises:
        UsageError: As `options_of`.
    """
    options = options_of(words)
    for name in options.names:
        for batch in options.batches:
            for precision in options.precision:
                for mode in options.mode:
                    for work in options.work:
                        if mode != "eager" or work == "forward":  # Nobody trains layer by layer.
                            yield _row(options, name, batch, precision, mode, work)


def _row(options: argparse.Namespace, name: str, batch: int, precision: str, mode: str, work: str) -> tuple[str, ...]:
    title = mode if precision == "float32" else f"{mode}, {precision}"
    print(f"{name}, batch {batch}, {title}, {work} ...", file=sys.stderr, flush=True)
    sides, cores = (str(options.size), str(options.side)), options.cores or 0
    try:
        found = in_fresh_process(__name__, name, str(batch), precision, mode, work, *sides, str(cores), cores=cores)
    except MemoryError:
        return (name, "", "", str(batch), title, work, "out of memory", "", "", "", "")
    size = (f"{found['parameters'] / 1e6:.1f}", f"{found['multiply_adds'] / 1e9:.1f}")
    speed = (f"{found['ms']:.0f}", f"{1000 * batch / found['ms']:.2f}", f"{found['peak']:.0f}")
    return (name, *size, str(batch), title, work, *speed, f"{found['rate']:.0f}", f"{found['share']:.2f}")


def one(
    name: str, batch: int, precision: str, mode: str, work: str, size: int, side: int = SIDE, cores: int = 0
) -> dict[str, float]:
    """One case in this process.

    Args:
        name: Backbone.
        batch: Images.
        precision: "float32" or "bfloat16", the latter mixed as Keras' policy is.
        mode: One of `modes.modes`.
        work: One of `WORKS`.
        size: Side of the input in pixels.
        side: Of the matrices.
        cores: 1 measures processor time, 0 wall time; how many there are is up to who started this process.

    Returns:
        "parameters"; "multiply_adds" forward, of one image; "ms"; "peak" of memory in MB; "rate" of matrices of this
        precision in GFLOP/s; "share" of it.
    """
    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    run, network, counted = (
        _training(name, batch, mode, size) if work == "training" else _forward(name, batch, mode, size)
    )
    done = multiply_adds(counted, (size, size, 3)) * batch * (TRAINING if work == "training" else 1)
    with PeakMemory() as memory:
        run()
    clock = time.process_time if cores == 1 else time.perf_counter
    works = {"run": run, "matrices": product(precision, side)}
    times = interleaved(works, rounds=3 if done > HEAVY else 7, warm=1, clock=clock)
    rate = matrix_rate(times["matrices"], side)
    return {
        "parameters": sum(int(np.prod(weight.shape)) for weight in network.trainable_weights),
        "multiply_adds": multiply_adds(network, (size, size, 3)),
        "ms": times["run"],
        "peak": memory.megabytes,
        "rate": rate,
        "share": share(done, times["run"], rate),
    }


def _forward(name: str, batch: int, mode: str, size: int) -> tuple[Callable[[], Any], keras.Model, keras.Model]:
    """A call, the network, and the part of it that the call computes."""
    network = build_network(name, Centers(CLASSES).heads())
    images = np.random.default_rng(0).normal(size=(batch, size, size, 3)).astype(np.float32)
    return prepared(network, images, mode), network, network


def _training(name: str, batch: int, mode: str, size: int) -> tuple[Callable[[], Any], keras.Model, keras.Model]:
    """Likewise, of a step."""
    card = card_of(name, size, CLASSES)
    trainer = trainer_of(card, compiled=mode == "xla")
    inputs, rows = noise(card, batch, OBJECTS)
    counted = whole_maps(trainer.network, trainer.tasks.heads)
    return lambda: trainer.train_on_batch(inputs, rows), trainer.network, counted


if __name__ == "__main__":
    _name, _batch, _precision, _mode, _work, *_sizes = sys.argv[1:]
    print(json.dumps(one(_name, int(_batch), _precision, _mode, _work, *map(int, _sizes))))
