"""Cameras' objects through the input pipeline: what a mirror image changes, and what nothing may."""

import dataclasses
import itertools

import numpy as np
import pytest

from centernet_tf.centers import Centers
from centernet_tf.data.augment import Augmentation
from centernet_tf.data.pipeline import Feed
from centernet_tf.data.records import open_dataset
from centernet_tf.datasets import scenes
from centernet_tf.datasets.writer import write_records
from centernet_tf.tasks import build_tasks

STILL = Augmentation(crop=False, shift=0, scale=0, flip=0, brightness=0, contrast=0, saturation=0, lighting=0)
TASKS = build_tasks(["box3d"], Centers(len(scenes.CLASSES), box3d_amodal_offset=True))


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    directory = tmp_path_factory.mktemp("scenes")
    classes, items = scenes.read(4, (96, 160))
    write_records(items, directory=directory, name="scenes", split="train", classes=classes, shards=1, solid=True)
    return open_dataset(directory)


def rows_of(records, augment):
    batches = Feed((96, 160), fields=TASKS.fields).training(records, 4, augment).as_numpy_iterator()
    return next(itertools.islice(batches, 1))[1]


def test_a_mirror_turns_angles_and_nothing_else_in_space(records):
    plain, mirrored = rows_of(records, STILL), rows_of(records, dataclasses.replace(STILL, flip=1.0))
    assert not plain["jittered"].any() and not mirrored["jittered"].any()
    assert plain["solid"].any() and plain["neutral"].shape == plain["solid"].shape
    for name in ("depths", "dimensions", "solid", "neutral", "classes", "valid"):
        np.testing.assert_array_equal(plain[name], mirrored[name])
    solid = plain["solid"]
    turned = np.exp(1j * mirrored["alphas"][solid])
    np.testing.assert_allclose(turned, -np.exp(-1j * plain["alphas"][solid]), atol=1e-6)
    boxes, other = plain["boxes"][solid], mirrored["boxes"][solid]
    np.testing.assert_allclose(other[:, [2, 0]], 160 - boxes[:, [0, 2]], atol=1e-3)
    np.testing.assert_allclose(mirrored["middles"][solid], plain["middles"][solid] * [-1, 1] + [160, 0], atol=1e-3)


def test_jittered_images_keep_what_they_are(records):
    plain = rows_of(records, STILL)
    jittered = rows_of(records, dataclasses.replace(STILL, scale=0.4, shift=0.1, jitter_probability=0.999))
    assert jittered["jittered"].all()
    for name in ("depths", "dimensions", "alphas"):
        np.testing.assert_array_equal(plain[name], jittered[name])
    assert not np.allclose(plain["boxes"], jittered["boxes"])
    shares = []
    for rows in (plain, jittered):  # Where in its box the middle lies, in parts of the box's sides.
        low, high = rows["boxes"][rows["solid"]].reshape(-1, 2, 2).swapaxes(0, 1)
        shares.append((rows["middles"][rows["solid"]] - low) / (high - low))
    np.testing.assert_allclose(*shares, atol=1e-3)
