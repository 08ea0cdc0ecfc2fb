"""What several tests share: tiny records to train on, padded objects, and a network that needs no training."""

import contextlib
import gc
import shutil
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest

from centernet_tf.backbones import BACKBONES, Backbone
from centernet_tf.data.dataset import Dataset, open_dataset
from centernet_tf.datasets.drawn import shapes
from centernet_tf.datasets.writer import write_records
from centernet_tf.host.files import write_json
from centernet_tf.model import shipped
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.file import save_model
from centernet_tf.model.shipped import Shipped
from centernet_tf.properties.fields import Field

# TensorFlow and Keras are a million objects that are never garbage. Looking through them again and again took a quarter
# of the tests' time; `let_go` collects what a module leaves, and sets apart what stays.
gc.collect()
gc.freeze()
gc.set_threshold(50_000, 20, 100)


def tiny_backbone(inputs):
    """Three convolutions down to a quarter and two more that see further: what tests of plumbing train and export."""
    stems = []
    for name, wanted in inputs.items():
        channels = getattr(wanted, "channels", wanted)
        image = keras.Input((None, None, channels), name=name)
        stems.append((image, keras.layers.Conv2D(8, 3, 2, "same", use_bias=False, name=f"{name}_stem")(image)))
    x = stems[0][1] if len(stems) == 1 else keras.layers.Add(name="stems")([stem for _, stem in stems])
    x = keras.layers.ReLU(name="relu1")(keras.layers.BatchNormalization(name="norm1")(x))
    x = keras.layers.Conv2D(16, 3, 2, "same", use_bias=False, name="conv2")(x)
    x = keras.layers.ReLU(name="relu2")(keras.layers.BatchNormalization(name="norm2")(x))
    x = keras.layers.Conv2D(16, 3, 1, "same", dilation_rate=3, activation="relu", name="conv3")(x)
    return keras.Model({image.name: image for image, _ in stems}, {"stack1": x}, name="tiny")


# Known by name wherever a model is built or loaded in this process; programs that tests start do not know it.
BACKBONES["tiny"] = Backbone(tiny_backbone, head_channels=8)

COLORS = np.array([[255, 0, 0], [0, 255, 0]])


# Files that keep one core busy for minutes; of two processes, none should begin one when the other is done.
LONGEST = (
    "test_train",
    "test_files",
    "test_formats",
    "test_tasks",
    "test_backbones",
    "test_new_property",
    "test_golden",
)


def pytest_addoption(parser):
    parser.addoption(
        "--first-cases",
        type=int,
        metavar="N",
        help="run N cases of each test, the first of its parameters: for JAX, which compiles each for seconds",
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Begins with the longest files, and leaves out cases beyond those that were asked for.

    Last, for cases that marks leave out are none of the first.
    """
    items.sort(key=lambda item: not item.path.stem.startswith(LONGEST))
    most = config.getoption("--first-cases")
    if most is None:
        return
    seen, left = Counter(), []
    for item in items:
        test = item.nodeid.partition("[")[0]
        seen[test] += 1
        left += [item] if seen[test] > most else []
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


def pytest_collection_finish():
    """Sets apart what the modules of all tests brought, which would be looked through behind each of them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def let_go(request):
    """Frees the networks that a module kept for its tests; all of them together would fill the memory."""
    yield
    for value in vars(request.module).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()
    gc.collect()
    gc.freeze()  # What lives on belongs to the session; half a second for each module went into looking through it.


@pytest.fixture
def small_disk():
    """A context, `with small_disk(n)`, in which no file of this process grows beyond n bytes, as on a full disk."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")

    @contextlib.contextmanager
    def limited(size):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


@pytest.fixture(scope="session")
def as_one():
    """A function -> the same; JAX compiles it as one, as in training, for of each operation alone it takes seconds."""
    if keras.backend.backend() != "jax":
        return lambda function: function
    import jax

    return jax.jit


@pytest.fixture(scope="module")
def eagerly():
    """TensorFlow runs each operation at once: tracing takes a second, and most networks of tests answer once or twice.

    For modules whose networks others compile, too.
    """
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def spot_card():
    """Card of the spot network: fixed inputs of 128x128, pixels as they are."""
    plain = InputCard(height=128, width=128, stride=32, mean=(0, 0, 0), std=(1, 1, 1), order="rgb")
    return ModelCard(
        tasks={"detect": {}}, backbone="mobilenetv2_fpn", classes=("red", "green"), max_objects=20, input=plain
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


@pytest.fixture
def ship(tmp_path, monkeypatch):
    """A function (model file, name): the package comes with this model, and with no other than those given so."""
    folder = tmp_path / "package"
    folder.mkdir()
    monkeypatch.setattr(shipped, "FOLDER", folder)

    def put(model: Path, name: str) -> Shipped:
        content = {name: name for name in ("finds", "backbone", "data", "licence", "scored_on", "recipe", "command")}
        content |= {"tasks": ("detect",), "scores": {"AP": 0.5}, "scores_float32": {"AP": 0.5}}
        made = Shipped(name=name, size=model.stat().st_size, sha256=shipped.checksum(model), **content)
        shutil.copy(model, made.path)
        write_json(folder / f"{name}.json", made.as_dict())
        return made

    return put


@pytest.fixture
def two_spots(ship, spot_model, tmp_path, monkeypatch) -> Shipped:
    """The one model that the package comes with, "two-spots"; the program runs in an empty folder."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return ship(spot_model, "two-spots")


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
    classes, items, _ = shapes.read(count, (64, 64), split=split, scene=scene)
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
    if field.motion == "boxes":
        # Of boxes through several frames, the middle one is the object's own.
        steps = np.arange(np.prod(field.shape[:-1], dtype=int)) - np.prod(field.shape[:-1], dtype=int) // 2
        shift = np.tile(np.multiply.outer(random.uniform(-1, 1, (len(boxes), 1)), steps).reshape(-1, len(steps), 1), 4)
        return (boxes[:, None] + shift).reshape(shape).astype(np.float32)
    if field.dtype == "bool":
        return np.full(shape, field.name in ("has_box3d", "known", "drawn"))
    if field.motion == "patches":
        # The left or the right half of a box, so that any grid of even sides holds it as it is.
        halves = (np.arange(shape[-1]) < shape[-1] // 2) == random.integers(0, 2, (len(boxes), 1, 1)).astype(bool)
        return np.broadcast_to(halves, shape).astype(field.dtype)
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


@pytest.fixture
def random_scene():
    """A function that makes images with truth and imperfect detections: [(image id, detections, truth)]."""

    def make(images=20, classes=4, seed=0, ties=False, most=12):
        random = np.random.default_rng(seed)
        scene = []
        for image_id in random.permutation(10**6)[:images].tolist():
            count = int(random.integers(0, most))
            corner, size = random.uniform(0, 300, (count, 2)), random.uniform(8, 150, (count, 2))
            boxes = np.concatenate([corner, corner + size], axis=1)
            truth = {
                "boxes": boxes,
                "classes": random.integers(0, classes, count),
                "crowd": random.random(count) < 0.15,
                "difficult": random.random(count) < 0.2,
                "area": size.prod(axis=1) * random.uniform(0.5, 1, count),
            }
            twice = np.repeat(np.arange(count), random.integers(0, 4, count))
            found = boxes[twice] + random.normal(0, 6, (len(twice), 4))
            found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
            label = np.where(random.random(len(twice)) < 0.85, truth["classes"][twice], 0)
            scores = random.random(len(twice)).astype(np.float32)
            if ties:
                scores = scores.round(1)
            scene.append((image_id, {"boxes": found.astype(np.float32), "scores": scores, "classes": label}, truth))
        return scene

    return make
