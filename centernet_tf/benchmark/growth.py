"""How cost grows with records, objects, pixels and images at a time: time and memory, each in a fresh process."""

import argparse
import functools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from centernet_tf.backbones import find_backbone
from centernet_tf.benchmark.modes import compiled, gradient
from centernet_tf.benchmark.options import Options, positive
from centernet_tf.benchmark.timing import PeakMemory, in_fresh_process, interleaved
from centernet_tf.benchmark.trainers import card_of, noise, trainer_of
from centernet_tf.data.augment import Augmentation
from centernet_tf.data.dataset import open_dataset
from centernet_tf.data.pipeline import Feed
from centernet_tf.datasets.drawn import shapes
from centernet_tf.datasets.writer import write_records
from centernet_tf.detector.compiled import on_device
from centernet_tf.detector.graph import DetectorGraph
from centernet_tf.errors import UsageError
from centernet_tf.model.network import build_network
from centernet_tf.points.centers import STRIDE

# What grows, how far, and what is measured of it.
AXES = {
    "records": ((1_000, 10_000, 100_000), ("write", "open", "first batch")),
    "objects": ((7, 30, 100, 300), ("render", "loss", "decode")),
    "pixels": ((256, 512, 1024, 1536), ("answer", "step")),
    "batch": ((1, 8, 32), ("answer", "step")),
}
# By how many, or how much, the time is divided to be compared.
UNITS: dict[str, tuple[Callable[[int], float], str]] = {
    "records": (lambda count: count / 1000, "1,000 records"),
    "objects": (lambda count: count, "object"),
    "pixels": (lambda side: side * side / 1e6, "megapixel"),
    "batch": (lambda count: count, "image"),
}
DRAWN, BATCH = (64, 64), 8  # size of drawn images; images at a time where objects grow or records are read
OBJECTS, ROUNDS = 16, 5


def options_of(words: Sequence[str]) -> argparse.Namespace:
    """Reads what is behind the table's name.

    Raises:
        UsageError: An option or the backbone is unknown, or a size suits the backbone not.
    """
    parser = Options("growth", __doc__)
    for axis, (amounts, _) in AXES.items():
        usual = ", ".join(f"{amount:,}" for amount in amounts)
        parser.add_argument(f"--{axis}", nargs="*", type=positive, help=f"only this; {usual} if no number follows")
    parser.add_argument("--backbone", default="mobilenetv2_fpn", help="of answers and steps")
    parser.add_argument("--size", type=positive, default=256, help="side in pixels where other things grow")
    found = parser.parse_args(list(words))
    given = {axis: getattr(found, axis) for axis in AXES if getattr(found, axis) is not None}
    found.amounts = {axis: given.get(axis) or AXES[axis][0] for axis in given or AXES}
    stride = find_backbone(found.backbone).stride
    for side in (found.size, *found.amounts.get("pixels", ())):
        if side % stride:
            raise UsageError(f"growth: {side} pixels are no multiple of {stride}, which {found.backbone} needs.")
    return found


def measure(words: Sequence[str] = ()) -> Iterator[tuple[str, ...]]:
    """Rows of (what grows, how many, work, ms, ms of a unit, peak MB above the start of the work).

    Args:
        words: As `options_of` reads them.

    Raises:
        UsageError: As `options_of`.
    """
    options = options_of(words)
    for axis, amounts in options.amounts.items():
        for amount in amounts:
            with tempfile.TemporaryDirectory() as folder:
                for work in AXES[axis][1]:
                    print(f"{axis} {amount:,}, {work} ...", file=sys.stderr, flush=True)
                    yield _row(axis, amount, work, options.backbone, options.size, folder)


def _row(axis: str, amount: int, work: str, backbone: str, size: int, folder: str) -> tuple[str, ...]:
    case = (axis, f"{amount:,}", work)
    try:
        found = in_fresh_process(__name__, axis, str(amount), work, backbone, str(size), folder)
    except MemoryError:
        return (*case, "out of memory", "", "")
    divide, unit = UNITS[axis]
    return (*case, f"{found['ms']:,.1f}", f"{found['ms'] / divide(amount):.3f} / {unit}", f"{found['peak']:,.0f}")


def one(axis: str, amount: int, work: str, backbone: str, size: int, folder: Path) -> dict[str, float]:
    """Time in ms, and "peak" of memory in MB above the start, of one case in this process.

    Args:
        axis: Key of `AXES`.
        amount: How many or how large.
        work: One of the axis' works.
        backbone: Of answers and steps.
        size: Side in pixels where pixels do not grow.
        folder: Of the records, which "write" writes and the others read.
    """
    if axis == "records":
        return records(amount, work, folder)
    if axis == "objects":
        run = objects(amount, work, size)
    else:
        side, batch = (amount, 1) if axis == "pixels" else (size, amount)
        run = {"answer": answer, "step": step}[work](backbone, side, batch)
    with PeakMemory() as memory:
        run()
    return {"ms": interleaved({work: run}, ROUNDS, warm=1)[work], "peak": memory.megabytes}


def records(count: int, work: str, folder: Path) -> dict[str, float]:
    """Records of drawn images: written, opened and checked, or read up to the first batch; once."""

    def write() -> None:
        split = shapes.read(count, DRAWN)
        write_records(split.items, directory=folder, name="shapes", split="train", classes=split.classes)

    def first() -> None:
        next(iter(Feed(DRAWN).training(dataset, BATCH, Augmentation())))

    dataset = open_dataset(folder, check=False) if work == "first batch" else None
    run = {"write": write, "open": functools.partial(open_dataset, folder), "first batch": first}[work]
    with PeakMemory() as memory:
        began = time.perf_counter()
        run()
        took = time.perf_counter() - began
    return {"ms": took * 1e3, "peak": memory.megabytes}


def objects(count: int, work: str, size: int) -> Callable[[], Any]:
    """Rendering targets of so many objects, the losses' gradients by the maps with that, or decoding so many."""
    card = card_of("resnet18", size, objects=count)
    tasks, grid = card.task_set(), (size // STRIDE, size // STRIDE)
    _, rows = noise(card, BATCH, count, (8, 160))
    random = np.random.default_rng(1)
    maps = {head.name: [random.normal(-2, 1, (BATCH, *grid, head.channels)).astype("float32")] for head in tasks.heads}
    rows, maps = (keras.tree.map_structure(ops.convert_to_tensor, values) for values in (rows, maps))

    def cost(maps: Any, rows: Any) -> Any:
        return tasks.total(tasks.losses(maps, tasks.encode(rows, grid)))

    return {
        "render": lambda: compiled(functools.partial(tasks.encode, grid=grid), rows),
        "loss": lambda: compiled(gradient(cost), maps, rows),
        "decode": lambda: compiled(tasks.decode, maps),
    }[work]()


def answer(backbone: str, size: int, batch: int) -> Callable[[], Any]:
    """Images of the input's size to objects, as detection runs it."""
    card = card_of(backbone, size)
    tasks = card.task_set()
    graph = DetectorGraph(build_network(backbone, tasks.heads), tasks, card.input)
    images = np.random.default_rng(0).integers(0, 255, (batch, size, size, 3), np.uint8)
    inputs = {"images": images, "sizes": np.full((batch, 2), size, np.int32)}
    return lambda: keras.tree.map_structure(ops.convert_to_numpy, on_device(graph, inputs))


def step(backbone: str, size: int, batch: int) -> Callable[[], Any]:
    """A training step."""
    card = card_of(backbone, size)
    trainer = trainer_of(card)
    inputs, rows = noise(card, batch, OBJECTS)
    return lambda: trainer.train_on_batch(inputs, rows)


if __name__ == "__main__":
    _axis, _amount, _work, _backbone, _size, _folder = sys.argv[1:]
    print(json.dumps(one(_axis, int(_amount), _work, _backbone, int(_size), Path(_folder))))
