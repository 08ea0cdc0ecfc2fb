"""A network that trains, and a batch of noise to train on: what every timing of a training step needs."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.points.task_set import TaskSet
from centernet_tf.training.trainer import Trainer


def card_of(
    backbone: str, size: int, classes: int = 80, objects: int = 100, tasks: Mapping[str, Any] | None = None
) -> ModelCard:
    """The card of a network of plain detection, or of other tasks, for inputs of size x size pixels."""
    return ModelCard(
        tasks={"detect": {}} if tasks is None else dict(tasks),
        backbone=backbone,
        classes=tuple(f"class{number}" for number in range(classes)),
        max_objects=objects,
        input=InputCard(height=size, width=size, stride=32),
    )


def trainer_of(card: ModelCard, compiled: bool = False, ema: float = 0.0) -> Trainer:
    """A trainer of a new network, with Adam.

    Args:
        card: Of the network.
        compiled: Whether XLA compiles the step; JAX has no other way that is worth timing.
        ema: As `Trainer` takes it.
    """
    tasks: TaskSet = card.task_set()
    size = card.input.height, card.input.width
    trainer = Trainer(build_network(card.backbone, tasks.heads), tasks, card.input.normalization, size, ema)
    trainer.compile(keras.optimizers.Adam(1e-4), loss=None, jit_compile=compiled or keras.backend.backend() == "jax")
    return trainer


def noise(
    card: ModelCard, batch: int, objects: int, sides: tuple[float, float] = (10, 40), rows: int | None = None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """(inputs, rows) as a training step takes them, the same in every process.

    Args:
        card: For its input size, a square, and its classes.
        batch: Images B.
        objects: In each image.
        sides: Least and largest side of their boxes in pixels.
        rows: Rows N that are shipped for so many objects; as many as objects where left out.

    Returns:
        "image" [B, size, size, 3] uint8 and "color" [B, 6]; "boxes" [B, N, 4] in pixels of the input (left, top, right,
        bottom), "classes", "crowd" and "valid" [B, N].
    """
    random, size, rows = np.random.default_rng(0), card.input.height, rows or objects
    corner = random.uniform(0, max(size - 40, 1), (batch, rows, 2))
    boxes = np.concatenate([corner, corner + random.uniform(*sides, corner.shape)], -1)
    inputs = {
        "image": random.integers(0, 255, (batch, size, size, 3), np.uint8),
        "color": np.tile(np.float32([[1, 0, 0, 0, 0, 0]]), (batch, 1)),
    }
    return inputs, {
        "boxes": boxes.astype(np.float32),
        "classes": random.integers(0, len(card.classes), (batch, rows), np.int32),
        "crowd": np.zeros((batch, rows), bool),
        "valid": np.broadcast_to(np.arange(rows) < objects, (batch, rows)).copy(),
    }
