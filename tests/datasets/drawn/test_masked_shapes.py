"""Masks of drawn shapes: the very pixels that each shape changed, and those of the last one before the others."""

import dataclasses

import numpy as np
import pytest

from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.drawn import masked_shapes, shapes
from centernet_tf.datasets.drawn.samples import SAMPLES, visible_mask
from centernet_tf.datasets.drawn.shapes import Scene, draw_samples
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import UsageError
from centernet_tf.geometry import patches
from centernet_tf.properties.masks import runs

CROWDED = Scene(objects=(4, 4), sizes=(0.3, 0.5), hidden=0.5, iou=0.6, outside=0.4, noise=0.0, contrast=60.0)


def whole(owners, number):
    """[H, W] bool."""
    mask, (left, top) = visible_mask(owners, number)
    found = np.zeros(np.array(owners.shape) // SAMPLES, bool)
    found[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    return found


def slow(owners, number):
    """A pixel at a time."""
    height, width = np.array(owners.shape) // SAMPLES
    seen = [
        [np.mean(owners[y * SAMPLES :, x * SAMPLES :][:SAMPLES, :SAMPLES] == number) for x in range(width)]
        for y in range(height)
    ]
    return np.array(seen) > 0.5


def test_images_without_objects():
    _, items, (masks,) = masked_shapes.read(2, scene=Scene(objects=(0, 0)))
    assert masks.name == "masks" and items[0].rows["segmentations"].shape == (0,)


def test_as_seen_pixel_by_pixel():
    *_, owners = draw_samples(5, (48, 64), CROWDED)
    assert owners.max() > 1
    for number in range(1, owners.max() + 1):
        np.testing.assert_array_equal(whole(owners, number), slow(owners, number))


@pytest.mark.parametrize("seed", range(6))
def test_masks_are_the_pixels_that_a_shape_changed(seed):
    """Each image has one object more than the one before, so what differs is the last one's."""
    images, masks, samples = [], [], []
    for count in range(4):
        image, boxes, _, owners = draw_samples(seed, (96, 128), dataclasses.replace(CROWDED, objects=(count, count)))
        images.append(image.astype(int))
        samples.append(owners)
        masks.append([whole(owners, number) for number in range(1, len(boxes) + 1)])
    for count in range(1, 4):
        if len(masks[count]) == len(masks[count - 1]):
            continue  # no place was left
        changed = np.abs(images[count] - images[count - 1]).max(axis=-1) > 0
        last = masks[count][-1]
        assert (changed & last).sum() >= 0.95 * last.sum()  # where the ground has its colour, nothing changes
        touched = (samples[count] == len(masks[count])).reshape(96, SAMPLES, 128, SAMPLES).any(axis=(1, 3))
        assert not (changed & ~touched).any()
        assert not np.sum(masks[count], axis=0).max() > 1
        for before, after in zip(masks[count - 1], masks[count]):
            assert not (after & ~before).any()
            np.testing.assert_array_equal((before & ~last)[~changed], after[~changed])


def test_the_same_images_with_masks(tmp_path):
    _, plain, none = shapes.read(3, (64, 96), seed=7)
    classes, items, properties = masked_shapes.read(3, (64, 96), seed=7)
    assert none == () and [one.name for one in properties] == ["masks"]
    for one, other in zip(plain, items):
        np.testing.assert_array_equal(one.source, other.source)
        np.testing.assert_array_equal(one.boxes, other.boxes)
    report = write_records(items, directory=tmp_path, name="a", split="train", classes=classes, properties=properties)
    assert report.properties["masks"]["without"] == report.properties["masks"]["empty"] == 0
    for record, item in zip(iterate(open_dataset(tmp_path)), items):
        assert record.rows["segmentations"].tolist() == item.rows["segmentations"].tolist()
        objects = zip(record.rows["segmentations"], record.rows["masks"], record.full_boxes, record.area)
        for data, patch, box, area in objects:
            mask = runs.pixels(runs.read_counts(data), (96, 64))
            pasted = patches.paste(patch, box, np.arange(96, dtype=np.float32), np.arange(64, dtype=np.float32)) > 0.4
            assert (mask & pasted).sum() / (mask | pasted).sum() > 0.9
            assert area == mask.sum()


@pytest.mark.parametrize(("options", "text"), [({"count": 0}, "count 0"), ({"count": 1, "size": (8, 8)}, "size 8x8")])
def test_errors(options, text):
    with pytest.raises(UsageError, match=text):
        masked_shapes.read(**options)
