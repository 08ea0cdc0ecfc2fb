"""What several tests share: tiny records to train on, padded objects, and a network that needs no training."""

import gc
from pathlib import Path

import keras
import numpy as np
import pytest

from centernet_tf.data.records import Dataset, open_dataset
from centernet_tf.datasets import shapes
from centernet_tf.datasets.writer import write_records
from centernet_tf.model_file import InputCard, ModelCard, save_model
from centernet_tf.schema import Field

COLORS = np.array([[255, 0, 0], [0, 255, 0]])


@pytest.fixture(autouse=True, scope="module")
def let_go(request):
    """Frees the networks that a module kept for its tests; all of them together would fill the memory."""
    yield
    for value in vars(request.module).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()
    gc.collect()


@pytest.fixture(scope="session")
def spot_card():
    """Card of the spot network: fixed inputs of 128x128, pixels as they are."""
    plain = InputCard(height=128, width=128, stride=32, mean=(0, 0, 0), std=(1, 1, 1), order="rgb")
    return ModelCard(
        tasks=("detect",), backbone="mobilenetv2_fpn", classes=("red", "green"), max_objects=20, input=plain
    )


@pytest.fixture(scope="session")
def spot_network():
    """Finds red and green spots: scores a cell by its mean colour.

    Every object lies in the middle of its cell and is 8 x 6 cells large.
    """
    image = keras.Input((None, None, 3), name="image")
    mean = keras.layers.AveragePooling2D(4)(image)
    heads = {name: keras.layers.Conv2D(2, 1, name=name) for name in ("heatmap", "offset", "size")}
    network = keras.Model(image, {name: [layer(mean)] for name, layer in heads.items()})
    color = np.array([[16, -16], [-16, 16], [-16, -16]], np.float32)
    heads["heatmap"].set_weights([color[None, None], np.array([-6, -6], np.float32)])
    for name, value in (("offset", (0.5, 0.5)), ("size", (8, 6))):
        heads[name].set_weights([np.zeros((1, 1, 3, 2)), np.array(value)])
    return network


@pytest.fixture(scope="session")
def spot_model(tmp_path_factory, spot_network, spot_card):
    """The spot network as a model file."""
    path = tmp_path_factory.mktemp("model") / "spots.keras"
    save_model(path, spot_network, spot_card)
    return path


@pytest.fixture(scope="session")
def draw_spots():
    """Function (width, height, *(x, y, class)) -> [H, W, 3] uint8 RGB, black with soft spots."""

    def spots(width, height, *centers):
        y, x = np.mgrid[:height, :width]
        image = np.zeros((height, width, 3))
        for left, top, kind in centers:
            reach = max(width, height) / 16
            image += np.exp(-((x - left) ** 2 + (y - top) ** 2) / (2 * reach**2))[..., None] * COLORS[kind]
        return image.clip(0, 255).astype(np.uint8)

    return spots


def write_shapes(directory: Path, split: str, count: int) -> Dataset:
    """Records of drawn shapes, 64 x 64 pixels, one to three objects an image."""
    scene = shapes.Scene(objects=(1, 3), sizes=(0.25, 0.6))
    classes, items = shapes.read(count, (64, 64), split=split, scene=scene)
    write_records(items, directory=directory, name="shapes", split=split, classes=classes, shards=2)
    return open_dataset(directory)


@pytest.fixture(scope="session")
def shapes_train(tmp_path_factory) -> Dataset:
    """24 drawn images in two shards, to train on."""
    return write_shapes(tmp_path_factory.mktemp("shapes") / "train", "train", 24)


@pytest.fixture(scope="session")
def shapes_val(tmp_path_factory) -> Dataset:
    """8 other drawn images, to validate on."""
    return write_shapes(tmp_path_factory.mktemp("shapes") / "val", "val", 8)


def random_field(random: np.random.Generator, field: Field, boxes: np.ndarray, num_classes: int) -> np.ndarray:
    """[N, ...] of one field: points lie within the boxes, counted things stay below the number of classes.

    Three points of an object lie in cells of their own, and of what is known of them, the first is.
    """
    shape = (len(boxes), *field.shape)
    if field.name == "boxes":
        return boxes
    if field.dtype == "bool":
        return np.full(shape, field.name == "solid")
    if field.motion == "angles":
        return random.uniform(-np.pi, np.pi, shape).astype(field.dtype)
    if "metres" in field.meaning:
        low, high = (1, 5) if field.shape else (10, 30)  # dimensions; distances, from where no object reaches us
        return random.uniform(low, high, shape).astype(field.dtype)
    if field.motion == "points":
        steps = (1,) * (len(shape) - 2)
        corner, far = (boxes[:, part].reshape(-1, *steps, 2) for part in (slice(2), slice(2, 4)))
        place = random.random(shape)
        if len(field.shape) == 2:
            place[..., 0] = (np.arange(field.shape[0]) + 0.45 + 0.1 * place[..., 0]) / field.shape[0]
        return (corner + place * (far - corner)).astype(field.dtype)
    if field.dtype.startswith("int"):
        numbers = random.integers(0, num_classes, shape).astype(field.dtype)
        if field.shape:
            numbers[:, 0] = 1
        return numbers
    return random.normal(size=shape).astype(field.dtype)


@pytest.fixture(scope="session")
def rows():
    """A function that makes padded objects as the input pipeline does.

    Objects stand apart, one in each quarter of the image, so that each can be told from the others.
    """

    def make(fields, size=(64, 64), images=2, objects=3, padded=5, num_classes=3, seed=0) -> dict[str, np.ndarray]:
        random = np.random.default_rng(seed)
        made = {field.name: [] for field in fields}
        for _ in range(images):
            half = np.array(size[::-1]) / 2
            quarter = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])[:objects]
            center = (quarter + random.uniform(0.4, 0.6, (objects, 2))) * half
            side = half * random.uniform(0.3, 0.5, (objects, 2))
            boxes = np.concatenate([center - side / 2, center + side / 2], axis=1).astype(np.float32)
            for field in fields:
                if field.level == "image":
                    made[field.name].append(np.full(field.shape, field.fill, field.dtype))
                    continue
                padding = np.full((padded - objects, *field.shape), field.fill, field.dtype)
                made[field.name].append(np.concatenate([random_field(random, field, boxes, num_classes), padding]))
        valid = np.broadcast_to(np.arange(padded) < objects, (images, padded))
        return {**{name: np.stack(values) for name, values in made.items()}, "valid": valid.copy()}

    return make
