"""What masks cost: a training step and decoding beside those of plain detection, 512x512, 80 classes, 100 objects."""

import functools
import json
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from centernet_tf.benchmark.timing import in_fresh_process, interleaved
from centernet_tf.benchmark.trainers import card_of, noise, trainer_of
from centernet_tf.model.card import ModelCard
from centernet_tf.properties.masks import SIDE

BACKBONES, SIZE, BATCH, OBJECTS, CLASSES = ("mobilenetv2_fpn", "resnet18"), 512, 8, 100, 80
CASES = {
    "detection": {"detect": {}},
    "masks, saliency of all": {"mask": {"saliency": "agnostic"}},
    "masks, saliency of each class": {"mask": {}},
    "the same, trained directly, too": {"mask": {"direct": True}},
    "masks by dynamic convolutions": {"mask": {"head": "dynamic"}},
}
ROUNDS = 5
DECODES = 40


def measure() -> list[tuple[str, ...]]:
    """Rows of (what, milliseconds, milliseconds beyond detection, times detection)."""
    rows = []
    for backbone in BACKBONES:
        times = interleaved({name: step_of(backbone, tasks) for name, tasks in CASES.items()}, ROUNDS, warm=1)
        rows += _beside(f"step, {backbone}, batch {BATCH}", times)
    return [*rows, *_beside("decode, one core", in_fresh_process("centernet_tf.benchmark.masks"))]


def _beside(title: str, times: dict[str, float]) -> list[tuple[str, ...]]:
    plain = times["detection"]
    return [
        (f"{title}, {name}", f"{took:.1f}", f"{took - plain:.1f}", f"{took / plain:.2f}")
        for name, took in times.items()
    ]


def case_of(tasks: dict[str, Any], backbone: str) -> ModelCard:
    """The card of a case."""
    return card_of(backbone, SIZE, CLASSES, OBJECTS, tasks)


def step_of(backbone: str, tasks: dict[str, Any]) -> Callable[[], Any]:
    """A training step of a case."""
    card = case_of(tasks, backbone)
    trainer = trainer_of(card)
    inputs, rows = noise(card, BATCH, OBJECTS, (20, 200))
    if "mask" in tasks:
        random = np.random.default_rng(1)
        rows["masks"] = random.integers(0, 2, (BATCH, OBJECTS, SIDE, SIDE)).astype(np.float32)
    return lambda: trainer.train_on_batch(inputs, rows)


def decodes() -> dict[str, float]:
    """Median processor time of decoding an image in milliseconds; all cases run once in every round."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    random, works = np.random.default_rng(0), {}
    for name, tasks in CASES.items():
        built = case_of(tasks, BACKBONES[0]).task_set()
        maps = {head.name: [keras.tree.map_structure(tf.constant, _map_of(random, head))] for head in built.heads}
        works[name] = functools.partial(tf.function(built.decode), maps)
    return interleaved(works, DECODES, clock=time.process_time)


def _map_of(random: np.random.Generator, head: Any) -> Any:
    """What a network answers for a head: it scores most cells low, and its boxes are 100 pixels large."""
    mean, grid, width = -4.0 if head.heatmap else 25.0 if head.name == "size" else 0.0, SIZE // 4, 256
    if not head.at_centers:
        return random.normal(mean, 1.5, (1, grid, grid, head.channels)).astype(np.float32)
    return {
        "features": random.normal(size=(1, grid, grid, width)).astype(np.float32),
        "kernel": random.normal(size=(width, head.channels)).astype(np.float32),
        "bias": np.zeros(head.channels, np.float32),
    }


if __name__ == "__main__":
    print(json.dumps(decodes()))
