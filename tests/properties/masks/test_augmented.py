"""Masks in the input pipeline: they move with their boxes and are where the image shows the object."""

import cv2
import numpy as np
import pytest

from centernet_tf.data.augment import Augmentation
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.data.pipeline import Feed
from centernet_tf.datasets.drawn import masked_shapes
from centernet_tf.datasets.drawn.shapes import Scene
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import UsageError
from centernet_tf.geometry import patches
from centernet_tf.properties.fields import ROTATED, SHARED
from centernet_tf.properties.masks import Masks, runs

SIZE = (64, 96)
MASKS = next(field for field in Masks().fields if field.name == "masks")
SCENE = Scene(objects=(1, 3), sizes=(0.3, 0.6), outside=0.4, hidden=0.5)
COLORLESS = {"brightness": 0, "contrast": 0, "saturation": 0, "lighting": 0}


def white(item):
    """The item, its objects white on black: what is seen is the union of its masks."""
    size = item.source.shape[1::-1]
    seen = [runs.pixels(runs.read_counts(data), size) for data in item.rows["segmentations"]]
    pixels = np.repeat(np.any(seen, axis=0)[..., None] * np.uint8(255), 3, axis=-1)
    return Item(item.key, item.image_id, pixels, item.filename, item.boxes, item.classes, rows=item.rows)


def write(folder, items):
    write_records(
        items, directory=folder, name="a", split="train", classes=masked_shapes.CLASSES, properties=(Masks(),)
    )
    return open_dataset(folder)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    items = [white(item) for item in masked_shapes.read(8, (96, 128), seed=3, scene=SCENE).items]
    return write(tmp_path_factory.mktemp("masks") / "train", items)


def feed(dataset, **changes):
    return Feed(**{"size": SIZE, "properties": dataset.properties, "fields": (*SHARED, MASKS), **changes})


def pasted(rows, image, size=SIZE):
    """[N, h, w] bool of one image of a batch."""
    found = patches.paste(
        rows["masks"][image],
        rows["boxes"][image],
        np.arange(size[1], dtype=np.float32),
        np.arange(size[0], dtype=np.float32),
    )
    return found[np.asarray(rows["valid"][image])] > 0.4


@pytest.mark.parametrize(
    "augment",
    [
        Augmentation(crop=False, shift=0, scale=0, flip=0, **COLORLESS),
        Augmentation(crop=False, shift=0, scale=0, flip=1, **COLORLESS),
        Augmentation(flip=0.5, **COLORLESS),
        Augmentation(crop=False, flip=0.5, **COLORLESS),
        Augmentation(mosaic=1, **COLORLESS),
        Augmentation(copy_paste=1, **COLORLESS),
    ],
    ids=["plain", "mirrored", "cropped", "jittered", "mosaic", "pasted"],
)
def test_masks_are_where_the_object_is_seen(records, augment):
    batches = feed(records).training(records, 8, augment)
    inputs, rows = next(iter(batches.as_numpy_iterator()))
    for image in range(8):
        seen, found = inputs["image"][image, ..., 0] > 127, pasted(rows, image).any(axis=0)
        both = (seen & found).sum() / max((seen | found).sum(), 1)
        assert seen.sum() < 100 or both >= 0.85, both  # small shapes: a quarter of a pixel all around is a tenth


def test_as_the_warped_pixels_of_each_object(records):
    """The pixel mask warped as the image is, beside what its patch says there."""
    _, rows = next(iter(feed(records).validation(records, 8).as_numpy_iterator()))
    for image, record in enumerate(iterate(records)):
        scale = SIZE[1] / record.width
        matrix = np.array([[scale, 0, 0], [0, scale, (SIZE[0] - scale * record.height) / 2]])
        for mask, data in zip(pasted(rows, image), record.rows["segmentations"]):
            whole = runs.pixels(runs.read_counts(data), record.size).astype(np.float32)
            warped = cv2.warpAffine(whole, matrix, SIZE[::-1], flags=cv2.INTER_LINEAR) > 0.5
            assert (warped & mask).sum() / (warped | mask).sum() >= 0.8


def test_rows_and_images_without_masks(tmp_path):
    plain = Item("b", 9, np.zeros((96, 128, 3), np.uint8), "b.png", np.zeros((0, 4)), [])
    lacking = Item("c", 10, np.zeros((96, 128, 3), np.uint8), "c.png", np.array([[3, 4, 30, 50]]), [0])
    dataset = write(tmp_path / "a", [plain, lacking])
    _, rows = next(iter(feed(dataset).validation(dataset, 2).as_numpy_iterator()))
    assert rows["masks"].shape == (2, 16, 64, 64) and not rows["masks"].any() and rows["valid"].sum() == 1


@pytest.mark.parametrize(
    "augment",
    [Augmentation(rotate=5, rotate_probability=0.5), Augmentation(crop=False, geometry="fitted", rotate=5, shear=2)],
    ids=["rotated", "fitted"],
)
def test_nothing_turns_masks(records, augment):
    fields = (*SHARED, MASKS, ROTATED)
    with pytest.raises(UsageError, match=r"augment: masks lie in the frames of boxes, which stay upright"):
        feed(records, fields=fields).training(records, 2, augment)
    feed(records, fields=(*SHARED, ROTATED)).check_augment(augment)
