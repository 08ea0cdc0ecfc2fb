"""The input size and the length of a training that are advised, on sets whose answer can be worked out by hand."""

import numpy as np
import pytest

from centernet_tf.data import choices
from centernet_tf.data.choices import Seen, input_size, look
from centernet_tf.data.dataset import open_dataset

CELLS = {(640, 480): 205}


def seen(sizes=CELLS, **pixels):
    """Objects of these shorter sides, in pixels of an image that is 640 wide."""
    return Seen(sizes, {name: np.array(one) / 640 for name, one in pixels.items()})


def test_nothing_to_measure():
    assert input_size(Seen({}, {}), 32)[0] == (512, 512)
    assert input_size(seen(), 32)[0] == (512, 512)
    assert input_size(seen(cell=[]), 32)[0] == (512, 512)


def test_the_smallest_class_decides():
    size, why = input_size(seen(platelet=[30, 38, 44], white=[150, 170, 190]), 32)
    assert size == (416, 544), "32 pixels of 38 at 640 are 539 of width, and three quarters of that in height"
    assert why == (
        "205 of 205 images are 640x480, and half of platelet, the smallest class, have a shorter side of at least "
        "32 pixels there"
    )


def test_a_class_of_one_object_in_hundreds_does_not():
    assert input_size(seen(dust=[4], white=[170.0] * 300), 32)[0] == (192, 256)


@pytest.mark.parametrize(
    ("sizes", "pixels", "expected"),
    [
        ({(256, 256): 9}, 20, (512, 512)),  # at most twice as large as the images are: 8 pixels of 256 wanted 1,024
        ({(4000, 3000): 9}, 2, (576, 768)),  # nor than can be trained on in a usual memory
        ({(640, 480): 9}, 300, (192, 256)),
        ({(96, 96): 9}, 300, (96, 96)),
        ({(480, 640): 9}, 38, (544, 544)),
        ({(640, 480): 90, (480, 640): 10}, 38, (544, 544)),
        ({(640, 480): 99, (480, 640): 1}, 38, (416, 544)),
    ],
)
def test_images_and_limits(sizes, pixels, expected):
    assert input_size(seen(sizes, thing=[pixels]), 32)[0] == expected


def test_sides_are_multiples_of_the_stride():
    assert input_size(seen(thing=[38]), 128)[0] == (512, 640)


@pytest.mark.parametrize(
    ("images", "batch", "count"), [(205, 8, 40), (24, 8, 334), (3, 8, 1000), (1000, 8, 20), (118287, 32, 20)]
)
def test_epochs(images, batch, count):
    found, why = choices.epochs(images, batch)
    assert found == count
    assert f"{count} epochs {count * max(images // batch, 1)} steps" in why


@pytest.mark.parametrize(
    ("images", "devices", "size"),
    [
        *[(1, 1, 1), (5, 1, 5), (205, 1, 8), (3199, 1, 8), (3200, 1, 16), (6400, 1, 32), (118287, 1, 32)],
        *[(205, 2, 8), (205, 3, 9), (205, 16, 16), (6400, 5, 30), (1, 4, 4)],
    ],
)
def test_batch(images, devices, size):
    found, why = choices.batch(images, devices)
    assert found == size and f"{images} images make {images // size} steps" in why
    assert (f"{size // devices} on each of {devices} devices" in why) == (devices > 1)


def test_looking_at_records(shapes_train):
    data = open_dataset(shapes_train.directory)
    found = look(data.files, data.classes)
    assert sum(found.sizes.values()) == data.images
    assert {name: len(one) for name, one in found.sides.items()} == data.objects_per_class
    assert all((one > 0).all() and (one < 1).all() for one in found.sides.values())
    assert sum(look(data.files, data.classes, 5).sizes.values()) == 5
