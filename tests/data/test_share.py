"""Batches of several processes are together those of one, from any step on."""

import numpy as np
import pytest
from keras import tree

from centernet_tf.data.augment import Augmentation
from centernet_tf.data.pipeline import Feed
from centernet_tf.data.share import Share

BATCH, LENGTH = 8, 3  # images of a batch, batches of an epoch of 24 images
COUNT = 2 * LENGTH


def made(dataset, share, step=0, batches=COUNT, **options):
    """Images and rows of so many of all batches, [images, ...], as this process makes them."""
    feed = Feed((64, 64), max_objects=20, shuffle=16, share=share)
    found = feed.training(dataset, BATCH, Augmentation(**options), step).take(batches * share.pieces)
    return [tree.map_structure(np.asarray, one) for one in found]


def joined(parts):
    return tree.map_structure(lambda *values: np.concatenate(values), *parts)


@pytest.fixture(scope="module")
def whole(shapes_train):
    return made(shapes_train, Share())


def check_same(parts, whole):
    """Parts of a batch, in order; further rows without objects change nothing."""
    (inputs, rows), (wanted, wanted_rows) = joined(parts), whole
    np.testing.assert_array_equal(inputs["image"], wanted["image"])
    np.testing.assert_array_equal(inputs["color"], wanted["color"])
    kept = wanted_rows["valid"].shape[1]
    for name, value in rows.items():
        np.testing.assert_array_equal(value[:, :kept], wanted_rows[name], err_msg=name)
    assert not rows["valid"][:, kept:].any()


@pytest.mark.parametrize("alike", [False, True])
def test_all_processes_make_each_image_once(shapes_train, whole, alike):
    parts = [made(shapes_train, Share(process, 4, alike=alike)) for process in range(4)]
    assert {len(rows["valid"]) for part in parts for _, rows in part} == {2}
    for step in range(COUNT):
        check_same([part[step] for part in parts], whole[step])
    shapes = {rows["boxes"].shape for part in parts for _, rows in part}
    assert (shapes == {(2, 20, 4)}) == alike


@pytest.mark.parametrize("step", [1, LENGTH - 1, LENGTH, LENGTH + 2])
def test_they_go_on_at_any_step(shapes_train, whole, step):
    parts = [made(shapes_train, Share(process, 2), step, batches=1)[0] for process in range(2)]
    check_same(parts, whole[step])


def test_each_device_of_a_process_has_a_piece(shapes_train, whole):
    pieces = made(shapes_train, Share(1, 2, pieces=2), batches=2)
    for step in range(2):
        check_same([pieces[2 * step], pieces[2 * step + 1]], tree.map_structure(lambda value: value[4:], whole[step]))


def test_mixed_images_too(shapes_train):
    (expected,) = made(shapes_train, Share(), step=2, batches=1, mosaic=0.5)
    parts = [made(shapes_train, Share(process, 2), 2, batches=1, mosaic=0.5)[0] for process in range(2)]
    check_same(parts, expected)
