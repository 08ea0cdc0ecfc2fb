import dataclasses

import numpy as np
import pytest

from centernet_tf.datasets.drawn.shapes import CLASSES, Scene, draw_scene, read
from centernet_tf.errors import UsageError

QUIET = Scene(noise=0.0)
EMPTY = dataclasses.replace(QUIET, objects=(0, 0))
ONE = dataclasses.replace(QUIET, objects=(1, 1))


def changed_box(image, ground):
    """The box around the pixels that an object changed, in whole pixels."""
    rows, columns = np.nonzero(np.any(image != ground, axis=-1))
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def test_no_objects_give_empty_arrays():
    image, boxes, classes = draw_scene(0, scene=EMPTY)
    assert image.shape == (128, 128, 3)
    assert image.dtype == np.uint8
    assert boxes.shape == (0, 4)
    assert boxes.dtype == np.float32
    assert classes.shape == (0,)


@pytest.mark.parametrize("size", [(128, 128), (96, 160), (257, 64)])
@pytest.mark.parametrize("seed", [(0, 1), (0, 2), (5, 0)])
def test_same_seed_same_scene(seed, size):
    first, second = draw_scene(seed, size), draw_scene(seed, size)
    for one, other in zip(first, second):
        np.testing.assert_array_equal(one, other)
    assert first[0].shape == (*size, 3)
    assert not np.array_equal(first[0], draw_scene((*seed, 1), size)[0])


@pytest.mark.parametrize("number", range(30))
def test_box_is_tight_around_what_changed(number):
    image, boxes, _ = draw_scene((1, number), scene=ONE)
    ground, *_ = draw_scene((1, number), scene=EMPTY)
    # The faintest of sixteen levels of an edge pixel may round away, hence almost a pixel inwards.
    outer = changed_box(image, ground)
    inwards = (boxes[0] - outer) * [1, 1, -1, -1]
    assert np.all(inwards >= -0.5), (boxes[0], outer)
    assert np.all(inwards < 1.01), (boxes[0], outer)


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_boxes_lie_in_the_image_and_keep_the_promised_size(difficulty):
    scene = Scene.at(difficulty)
    seen = np.zeros(len(CLASSES), int)
    for number in range(20):
        _, boxes, classes = draw_scene((2, number), (96, 160), scene)
        assert 1 <= len(boxes) == len(classes) <= scene.objects[1]
        assert np.all(boxes >= 0)
        assert np.all(boxes <= [160, 96, 160, 96])
        longer = (boxes[:, 2:] - boxes[:, :2]).max(axis=-1)
        assert np.all(longer <= scene.sizes[1] * 96 + 0.5)
        assert np.all(longer > (1 - scene.hidden) * max(8, scene.sizes[0] * 96) / 2)
        seen += np.bincount(classes, minlength=len(CLASSES))
    assert np.all(seen > 0)


def test_hidden_zero_keeps_every_object_whole():
    scene = Scene(objects=(8, 8), hidden=0.0, iou=0.9, spacing=0.0, noise=0.0)
    for number in range(5):
        _, boxes, _ = draw_scene((3, number), scene=scene)
        longer = (boxes[:, 2:] - boxes[:, :2]).max(axis=-1)
        assert np.all(longer >= scene.sizes[0] * 128 - 0.5)


def hue_by_class(tint):
    """Mean orientation of the objects' hues, [classes] complex: longer where they agree."""
    orientations = [[] for _ in CLASSES]
    scene = dataclasses.replace(ONE, sizes=(0.4, 0.4), stretch=1.0, tint=tint, noise=0.0, texture=0.0, lines=0)
    for number in range(240):
        image, boxes, classes = draw_scene((4, number), scene=scene)
        left, top, right, bottom = boxes[0].astype(int)
        # A ring's middle is ground, so the object's colour is taken from a fifth of the way in.
        x, y = left + (right - left) // 2, top + (bottom - top) // 5
        red, green, blue = image[y, x].astype(float)
        orientations[classes[0]].append(np.exp(1j * np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue)))
    return np.array([np.mean(values) for values in orientations])


def test_color_tells_the_class_where_it_is_tinted():
    assert np.all(np.abs(hue_by_class(1.0)[[0, 2, 4, 5]]) > 0.7)
    assert np.all(np.abs(hue_by_class(0.0)) < 0.5)


def test_items_come_in_order_and_differ_between_splits():
    names, items, _ = read(3, (64, 96), seed=7)
    assert names == CLASSES
    assert [item.image_id for item in items] == [0, 1, 2]
    assert sorted(item.key for item in items) == [item.key for item in items]
    assert items[1].source.shape == (64, 96, 3)
    assert len(items[1].boxes) == len(items[1].classes)
    np.testing.assert_array_equal(items[1].source, read(9, (64, 96), seed=7)[1][1].source)
    assert not np.array_equal(items[1].source, read(3, (64, 96), seed=7, split="val")[1][1].source)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: draw_scene(0, (16, 128)), "size 16x128 is too small"),
        (lambda: Scene(objects=(3, 2)), r"objects \(3, 2\) must be two counts"),
        (lambda: Scene(sizes=(0.0, 0.5)), "must be two fractions"),
        (lambda: Scene(stretch=0.5), "stretch 0.5 must be at least 1"),
        (lambda: Scene(hidden=1.0), "hidden 1.0 must be from 0 to below 1"),
        (lambda: read(0), "count 0 and seed 0; expected at least 1 image"),
        (lambda: read(1, seed=-1), "seed -1"),
        (lambda: read(1, (8, 8)), "size 8x8 is too small"),
        (lambda: Scene.at(1.5), "difficulty 1.5 must be from 0 to 1"),
    ],
)
def test_errors(call, text):
    with pytest.raises(UsageError, match=text):
        call()
