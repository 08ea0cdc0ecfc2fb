"""Mixed records in the stream: which, when, and reached again from any step."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from centernet_tf.data.augment import Augmentation
from centernet_tf.data.dataset import open_dataset
from centernet_tf.data.partners import with_partners
from centernet_tf.data.pipeline import Feed
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import UsageError
from centernet_tf.points.task import Clip
from centernet_tf.properties.fields import JITTERED, ROTATED, SHARED, ZOOM, Field
from centernet_tf.properties.property import Property

STILL = {"crop": False, "shift": 0, "scale": 0, "flip": 0, "brightness": 0, "contrast": 0, "saturation": 0}
POINT = Field("point", "float32", (2,), "points", 0.0, "x, y of something")


@pytest.fixture(scope="module")
def greys(tmp_path_factory):
    """22 images of one grey each, its number times 10 and 10 more, with a box over all."""
    items = []
    for number in range(22):
        pixels = np.full((32, 32, 3), 10 * number + 10, np.uint8)
        items.append(Item(f"{number:04d}", number, pixels, f"{number}.png", np.array([[0, 0, 32, 32]]), [0]))
    folder = tmp_path_factory.mktemp("greys")
    write_records(items, directory=folder, name="made", split="train", classes=("a",), shards=2)
    return open_dataset(folder)


def take(batches, count):
    return list(itertools.islice(batches.as_numpy_iterator(), count))


def shown(image):
    """The greys that take a good part of an image."""
    greys, counts = np.unique(image[..., 0], return_counts=True)
    return {int(grey) for grey, count in zip(greys, counts) if count > 20 and grey % 10 == 0}


def test_most_are_mixed_until_the_last_epochs(greys):
    augment = Augmentation(**STILL, lighting=0, mosaic=0.7, close_last=2)
    batches = take(Feed((32, 32)).training(greys, 11, augment, 0, 3), 6)
    several = [[len(shown(image)) > 1 for image in inputs["image"]] for inputs, _ in batches]
    assert 8 <= np.sum(several[:2]) < 22 and not np.any(several[2:])
    for (_, rows), mixed in zip(batches, several):
        assert all(valid.sum() == 4 if one else valid.sum() in (1, 4) for valid, one in zip(rows["valid"], mixed))
    firsts = [int(image[0, 0, 0]) for inputs, _ in batches[:2] for image in inputs["image"]]
    assert sorted(firsts) == list(range(10, 230, 10)), "each image has its turn, at the left top"


def test_any_step_can_be_begun_with(greys):
    augment = Augmentation(mosaic=0.4, mixup=0.2, copy_paste=0.3, close_last=1)
    feed = Feed((32, 32), shuffle=8)  # blocks of an epoch
    unbroken = take(feed.training(greys, 5, augment, 0, 3), 12)
    resumed = take(feed.training(greys, 5, augment, 5, 3), 7)
    for one, other in zip(unbroken[5:], resumed, strict=True):
        assert all(map(np.array_equal, tf.nest.flatten(one), tf.nest.flatten(other)))


@pytest.mark.parametrize("augment", [Augmentation(), Augmentation(close_last=1)], ids=str)
def test_without_mixes_batches_stay_what_they_were(greys, augment):
    """Figures of the pipeline as it was before images could be mixed."""
    batches = take(Feed((32, 32), shuffle=8).training(greys, 4, augment, 4), 2)
    assert [image.max() for inputs, _ in batches for image in inputs["image"]] == [210, 170, 200, 220, 10, 50, 20, 80]
    colors = np.concatenate([inputs["color"][:, 0] for inputs, _ in batches])
    wanted = [1.4412, 0.6111, 0.8617, 0.7982, 0.5001, 0.9862, 0.8781, 1.3582]
    np.testing.assert_allclose(colors, wanted, atol=1e-4)
    np.testing.assert_allclose(batches[0][1]["boxes"][1, 0], [-1.69, 2.92, 22.92, 27.54], atol=0.01)


def test_partners_are_any_of_the_block():
    block = tf.constant([str(number) for number in range(50)])
    mixes, seed = {"mosaic": 0.5, "mixup": 0.25}, tf.constant([3, 4], tf.int64)
    found = list(with_partners(block, mixes, seed, tf.constant(False)).as_numpy_iterator())
    assert [int(records[0]) for _, records in found] == list(range(50))
    assert [len(records) for _, records in found] == [(1, 4, 2)[way] for way, _ in found]
    ways = np.bincount([way for way, _ in found], minlength=3)
    assert (ways > (4, 12, 4)).all()
    assert len({int(one) for _, records in found for one in records[1:]}) > 25
    closed = with_partners(block, mixes, seed, tf.constant(True)).as_numpy_iterator()
    assert all(way == 0 and len(records) == 1 for way, records in closed)
    assert not list(with_partners(block[:0], mixes, seed, tf.constant(False)))


def join(frames, size, random):
    return frames[0], {}


class Points(Property):
    """Something with a point that nobody labels."""

    name = "points"

    @property
    def fields(self):
        return (POINT,)


@pytest.mark.parametrize(
    ("augment", "feed", "said"),
    [
        ({}, {"frames": (0, 1), "clip": Clip(join)}, "frames of videos are not mixed"),
        ({}, {"device_warp": True}, "the device warps single images"),
        ({"crop": False, "geometry": "fitted"}, {}, "turned, fitted or stretched"),
        ({"rotate": 5, "rotate_probability": 0.5}, {"fields": (*SHARED, ROTATED)}, "turned, fitted or stretched"),
        ({"geometry": "stretched"}, {"window": "stretched"}, "turned, fitted or stretched"),
        ({}, {"fields": (*SHARED, ZOOM)}, "no one zoom: times as large"),
        ({"crop": False, "jitter_probability": 0.5}, {"fields": (*SHARED, JITTERED)}, "no one jittered"),
        (
            {},
            {"fields": (*SHARED, POINT), "properties": (Points(),)},
            r"point \(x, y of something\) may lie in another",
        ),
        ({"mixup": 0.8}, {}, "mosaic 0.5 [+] mixup 0.8 is more than 1"),
    ],
)
def test_what_cannot_be_mixed(augment, feed, said):
    made, wanted = Feed((32, 32), **feed), Augmentation(**{"mosaic": 0.5, **augment})
    with pytest.raises(UsageError, match=rf"^augment\.mosaic.*{said}"):
        made.check_augment(wanted)


def test_points_of_two_whole_images_may_be_blended():
    Feed((32, 32), fields=(*SHARED, POINT), properties=(Points(),)).check_augment(Augmentation(mixup=0.5))
