"""Multi-scale training: which sizes there are, and that every batch has one of them, with its objects."""

import itertools

import numpy as np
import pytest

from centernet_tf.data.augment import Augmentation
from centernet_tf.data.pipeline import Feed
from centernet_tf.data.scales import size_of_batch, sizes_around
from centernet_tf.errors import UsageError
from centernet_tf.points.task import Input
from centernet_tf.properties.fields import JITTERED, SHARED

SIZES = sizes_around((64, 96), 0.5, 32)
STILL = {"flip": 0, "crop": False, "shift": 0, "scale": 0, "brightness": 0, "contrast": 0, "saturation": 0}


def test_nothing_is_changed_where_nothing_is_asked_for():
    assert sizes_around((64, 96), 0, 32) == ((64, 96),)


def test_sizes_are_multiples_on_both_sides_of_the_usual_one():
    assert SIZES == ((32, 64), (64, 64), (64, 96), (64, 128), (96, 128)), "a half is rounded to the even multiple"
    assert sizes_around((384, 512), 0.25, 32) == ((288, 384), (320, 448), (384, 512), (448, 576), (480, 640))
    assert sizes_around((128, 128), 0.9, 128)[0] == (128, 128), "no side is zero"


def test_every_size_comes_as_often():
    drawn = [int(size_of_batch(5, 317, epoch, batch)) for epoch in range(4) for batch in range(100)]
    assert set(drawn) == set(range(5)) and np.bincount(drawn).min() > 50
    assert drawn == [int(size_of_batch(5, 317, epoch, batch)) for epoch in range(4) for batch in range(100)]
    assert drawn != [int(size_of_batch(5, 318, epoch, batch)) for epoch in range(4) for batch in range(100)]


def batches(feed, data, count, step=0, **augment):
    augment = Augmentation(**{**STILL, "lighting": 0, **augment})
    made = feed.training(data, 4, augment, step, 3).as_numpy_iterator()
    return list(itertools.islice(made, count))


@pytest.mark.parametrize("changes", [{}, {"mosaic": 0.5, "erase": 0.5}], ids=str)
def test_batches_have_a_size_each_until_the_last_epochs_and_from_any_step(changes, shapes_train):
    feed, steps = Feed((64, 96), sizes=SIZES), shapes_train.images // 4
    made = batches(feed, shapes_train, 3 * steps, close_last=1, **changes)
    shown = [inputs["image"].shape[1:3] for inputs, _ in made]
    assert len({*shown[: 2 * steps]}) > 2 and {*shown} <= {*SIZES}
    assert {*shown[2 * steps :]} == {(64, 96)}
    for (inputs, rows), (again, same) in zip(
        made[steps + 1 :], batches(feed, shapes_train, 3, steps + 1, close_last=1, **changes)
    ):
        np.testing.assert_array_equal(inputs["image"], again["image"])
        np.testing.assert_array_equal(rows["boxes"], same["boxes"])


def test_objects_grow_with_the_input(shapes_train):
    """Of the same images, unchanged but for their size: boxes over the input's width are the same."""
    usual, scaled = (batches(Feed((64, 64), sizes=sizes), shapes_train, 4) for sizes in ((), ((64, 64), (96, 96))))
    factors = set()
    for (inputs, rows), (larger, moved) in zip(usual, scaled):
        factor = larger["image"].shape[1] / inputs["image"].shape[1]
        factors.add(factor)
        count = min(rows["boxes"].shape[1], moved["boxes"].shape[1])
        for image in range(4):
            valid = rows["valid"][image, :count]
            np.testing.assert_allclose(
                moved["boxes"][image, :count][valid], factor * rows["boxes"][image, :count][valid], atol=1e-3
            )
    assert factors == {1, 1.5}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"device_warp": True}, "what the device warps or draws has one size"),
        ({"inputs": {"image": Input(), "prior": Input(draw=lambda rows, size: rows)}}, "warps or draws has one size"),
        ({"fields": (*SHARED, JITTERED)}, "a task here cannot learn distances"),
    ],
)
def test_what_cannot_change_its_size(options, said):
    augment = Augmentation(**STILL)
    with pytest.raises(UsageError, match=f"augment.multi_scale: .*{said}"):
        Feed((64, 96), sizes=SIZES, **options).check_augment(augment)
    Feed((64, 96), sizes=((64, 96),), **options).check_augment(augment)
