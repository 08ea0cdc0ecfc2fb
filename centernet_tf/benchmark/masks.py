"""What masks cost: a training step and decoding beside those of plain detection, 512x512, 80 classes, 100 objects."""

import functools
import json
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from centernet_tf.benchmark.timing import in_fresh_process, interleaved
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.points.task_set import TaskSet
from centernet_tf.properties.masks import SIDE
from centernet_tf.training.trainer import Trainer

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


def tasks_of(tasks: dict[str, Any], backbone: str) -> tuple[ModelCard, TaskSet]:
    """Card and tasks of a case."""
    form = InputCard(height=SIZE, width=SIZE, stride=32)
    classes = tuple(f"class{number}" for number in range(CLASSES))
    card = ModelCard(tasks=tasks, backbone=backbone, classes=classes, max_objects=OBJECTS, input=form)
    return card, card.task_set()


def step_of(backbone: str, tasks: dict[str, Any]) -> Callable[[], Any]:
    """A training step of a case."""
    card, built = tasks_of(tasks, backbone)
    trainer = Trainer(build_network(backbone, built.heads), built, card.input.normalization, (SIZE, SIZE))
    trainer.compile(keras.optimizers.Adam(1e-4), loss=None, jit_compile=False)
    random = np.random.default_rng(0)
    corner = random.uniform(0, SIZE - 40, (BATCH, OBJECTS, 2))
    inputs = {
        "image": random.integers(0, 255, (BATCH, SIZE, SIZE, 3), np.uint8),
        "color": np.tile(np.float32([[1, 0, 0, 0, 0, 0]]), (BATCH, 1)),
    }
    rows = {
        "boxes": np.concatenate([corner, corner + random.uniform(20, 200, corner.shape)], -1).astype(np.float32),
        "classes": random.integers(0, CLASSES, (BATCH, OBJECTS), np.int32),
        "crowd": np.zeros((BATCH, OBJECTS), bool),
        "valid": np.ones((BATCH, OBJECTS), bool),
    }
    if "mask" in tasks:
        rows["masks"] = random.integers(0, 2, (BATCH, OBJECTS, SIDE, SIDE)).astype(np.float32)
    return lambda: trainer.train_on_batch(inputs, rows)


def decodes() -> dict[str, float]:
    """Median processor time of decoding an image in milliseconds; all cases run once in every round."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    random, works = np.random.default_rng(0), {}
    for name, tasks in CASES.items():
        _, built = tasks_of(tasks, BACKBONES[0])
        maps = {head.name: [keras.tree.map_structure(tf.constant, _map_of(random, head))] for head in built.heads}
        works[name] = functools.partial(tf.function(built.decode), maps)
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(DECODES + 3):
        for name, work in works.items():
            began = time.process_time()
            work()
            if number >= 3:
                times[name].append((time.process_time() - began) * 1e3)
    return {name: float(np.median(own)) for name, own in times.items()}


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
