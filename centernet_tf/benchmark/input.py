"""Input pipeline: 640x480 JPEG to 512x512 with every augmentation, per core; and what the device does instead."""

import functools
import tempfile
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf

from centernet_tf import preprocess
from centernet_tf.benchmark import classic
from centernet_tf.benchmark.timing import interleaved, processor_time
from centernet_tf.data.augment import Augmentation
from centernet_tf.data.dataset import Dataset, open_dataset
from centernet_tf.data.pipeline import Feed
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.writer import write_records

IMAGES, OBJECTS = 256, 7
BATCH, BATCHES = 16, 40
ROUNDS = 6  # The first warms up and is not counted.


def photo(random: np.random.Generator) -> bytes:
    """A JPEG of 640x480 with detail at all scales, about 90 kB like a photograph's."""
    image = np.zeros((480, 640, 3), np.float32)
    for side, strength in ((8, 60), (32, 40), (128, 22), (480, 5)):
        noise = random.normal(128 / 4, strength, (side, side * 4 // 3, 3)).astype(np.float32)
        image += cv2.resize(noise, (640, 480), interpolation=cv2.INTER_CUBIC)
    done, encoded = cv2.imencode(".jpg", np.clip(image, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])
    if not done:
        raise RuntimeError("OpenCV cannot write JPEG here.")
    return encoded.tobytes()


def make_records(folder: Path) -> tuple[Dataset, list[tuple[bytes, np.ndarray, np.ndarray]]]:
    """Records of such photos with `OBJECTS` boxes each, and the same in memory."""
    random = np.random.default_rng(0)
    names = [f"class{index:02d}" for index in range(80)]
    samples, items = [], []
    for number in range(IMAGES):
        corner = random.uniform(0, (500, 340), (OBJECTS, 2))
        boxes = np.concatenate([corner, corner + random.uniform(20, 130, (OBJECTS, 2))], axis=1).astype(np.float32)
        classes = random.integers(0, 80, OBJECTS)
        samples.append((photo(random), boxes, classes))
        name = f"{number:05d}.jpg"
        labels = [names[index] for index in classes]
        items.append(Item(key=name, image_id=number, source=samples[-1][0], filename=name, boxes=boxes, classes=labels))
    write_records(items, directory=folder, name="photos", split="train", classes=names)
    return open_dataset(folder), samples


def measure() -> list[tuple[str, str, str, str]]:
    """Rows of (what, milliseconds of one core per image, images per second and core, ratio to the usual way)."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        dataset, samples = make_records(Path(folder) / "train")
        random = np.random.default_rng(1)

        def usual() -> None:
            for sample in samples[:64]:
                classic.load(*sample, random)

        def ours(device: bool, augment: Augmentation) -> None:
            feed = Feed((512, 512), device_warp=device)
            # A stream that ends: nothing is prepared ahead that is not counted.
            for _ in feed.training(dataset, BATCH, augment).take(BATCHES):
                pass

        works = {
            "usual": (usual, len(samples[:64])),
            "host warps (OpenCV)": (functools.partial(ours, False, Augmentation()), BATCH * BATCHES),
            "the same, half of the inputs mosaics": (
                functools.partial(ours, False, Augmentation(mosaic=0.5)),
                BATCH * BATCHES,
            ),
            "device warps": (functools.partial(ours, True, Augmentation()), BATCH * BATCHES),
        }
        times: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(ROUNDS):
            for name, (work, images) in works.items():
                times[name].append(processor_time(work, 1) / images)
        medians = {name: float(np.median(values[1:])) for name, values in times.items()}
    base = medians.pop("usual")
    rows = [("usual loader: all on the host, targets included", f"{base:.2f}", f"{1000 / base:.0f}", "1.0")]
    rows += [(f"ours, {name}", f"{ms:.2f}", f"{1000 / ms:.0f}", f"{base / ms:.1f}") for name, ms in medians.items()]
    return rows + _device_rows()


def _device_rows() -> list[tuple[str, str, str, str]]:
    """What is left to the device, timed on this machine's processor for 16 images."""
    images = tf.constant(np.random.default_rng(0).integers(0, 255, (16, 512, 512, 3), np.uint8))
    whole = tf.constant(np.random.default_rng(0).integers(0, 255, (16, 512, 640, 3), np.uint8))
    fit = tf.constant(np.tile(np.float32([[0.9, 0.9, -10, 30]]), (16, 1)))
    color = tf.constant(np.tile(np.float32([[1.1, 0.1, -0.1, 0, 0, 0]]), (16, 1)))
    normalization = preprocess.Normalization()

    @tf.function(jit_compile=True)
    def paint():
        image = tf.cast(images, tf.float32) / 255.0
        return preprocess.normalize(preprocess.recolor(image, color), normalization)

    @tf.function(jit_compile=True)
    def move():
        return preprocess.warp(whole, fit, (512, 512))

    times = interleaved({"colour and normalisation": paint, "warp, where the device warps": move}, rounds=9)
    return [(f"on the device instead: {name}", f"{ms / 16:.2f}", "", "") for name, ms in times.items()]
