"""Several images as one input, beside images that are warped one by one."""

import cv2
import numpy as np
import pytest

from centernet_tf.data import example
from centernet_tf.data.augment import Augmentation
from centernet_tf.data.mixed import MIXES, NEAREST, Mixer, covering, seams
from centernet_tf.data.sample import Sampler
from centernet_tf.geometry import affine
from centernet_tf.properties.fields import SHARED

SIZE = (96, 128)
FILL = 20
DEFAULT = Augmentation()


def mixer(augment=DEFAULT, resample="bilinear"):
    return Mixer(Sampler(SIZE, "longer side", 20, SHARED, (), ("a", "b", "c", "d"), augment), FILL, resample)


def picture(number, random, height=80, width=100):
    """A white object of class `number` on grey of its own, and its lists."""
    low = random.uniform(5, 35, 2)
    left, top, right, bottom = np.round([*low, *(low + random.uniform(15, 40, 2))]).astype(int)
    pixels = np.full((height, width, 3), 40 + 20 * number, np.uint8)
    pixels[top:bottom, left:right] = 255
    sides = np.array([left, top, right, bottom]) / [width, height, width, height]
    lists = {key: np.array([side], np.float32) for key, side in zip(example.SIDES, sides)}
    return pixels, {**lists, example.LABEL: np.array([number + 1]), example.WIDTH: np.array([width])} | {
        example.HEIGHT: np.array([height])
    }


def quarters(across, down):
    """(left, top, right, bottom) of each in an input of `SIZE`."""
    height, width = SIZE
    return [(0, 0, across, down), (across, 0, width, down), (0, down, across, height), (across, down, width, height)]


def middle(seed):
    """x and y of the middle of a mosaic, from its first two numbers."""
    random = np.random.default_rng(seed)
    return tuple(round(side * random.uniform(NEAREST, 1 - NEAREST)) for side in SIZE[::-1])


@pytest.mark.parametrize("seed", range(6))
def test_a_mosaic_is_four_images_warped_one_by_one(seed):
    pictures = [picture(number, np.random.default_rng([seed, number])) for number in range(4)]
    image, _ = mixer().draw("mosaic", np.random.default_rng(seed), pictures)
    random, wanted = np.random.default_rng(seed), np.zeros((*SIZE, 3), np.uint8)
    random.uniform(size=2)
    for place, (pixels, _) in zip(quarters(*middle(seed)), pictures):
        matrix = affine.chain(Augmentation().matrix(random, 80, 100, SIZE), covering(place, SIZE))
        alone = cv2.warpAffine(pixels, matrix, SIZE[::-1], borderValue=(FILL,) * 3)
        left, top, right, bottom = place
        wanted[top:bottom, left:right] = alone[top:bottom, left:right]
    assert np.abs(image.astype(int) - wanted).max() <= 9  # OpenCV rounds positions to a 32nd of a pixel


@pytest.mark.parametrize("seed", range(6))
def test_objects_of_a_mosaic_are_where_they_are_seen(seed):
    pictures = [picture(number, np.random.default_rng([seed, number])) for number in range(4)]
    image, rows = mixer().draw("mosaic", np.random.default_rng(seed), pictures)
    found = dict(zip(rows["classes"].tolist(), rows["boxes"]))
    for number, (left, top, right, bottom) in enumerate(quarters(*middle(seed))):
        lines, columns = np.nonzero(image[top:bottom, left:right, 0] > 200)
        if len(lines) < 20:  # next to nothing of it is seen
            continue
        seen = [columns.min() + left, lines.min() + top, columns.max() + left + 1, lines.max() + top + 1]
        box = np.clip(found[number], 0, np.tile(SIZE[::-1], 2))
        np.testing.assert_allclose(box, seen, atol=2.5)


def test_an_image_covers_its_quarter():
    corners = np.array([[0, 0], SIZE[::-1]])
    for place in quarters(40, 60):
        (left, top), (right, bottom) = affine.move_points(corners, covering(place, SIZE))
        assert left <= place[0] and top <= place[1] and right >= place[2] and bottom >= place[3]
        assert (left, right) == pytest.approx(place[::2]) or (top, bottom) == pytest.approx(place[1::2])
    np.testing.assert_allclose(covering((0, 0, *SIZE[::-1]), SIZE), np.eye(2, 3))
    assert seams((0, 60, 40, 96), SIZE).tolist() == [-np.inf, 60, 40, np.inf]


def test_mixup_blends_two_images_with_the_objects_of_both():
    plain = Augmentation(crop=False, shift=0, scale=0, flip=0)
    pictures = [picture(number, np.random.default_rng(number)) for number in range(2)]
    image, rows = mixer(plain).draw("mixup", np.random.default_rng(0), pictures)
    assert rows["classes"].tolist() == [0, 1]
    matrix = plain.matrix(np.random.default_rng(0), 80, 100, SIZE)
    first, second = (cv2.warpAffine(one, matrix, SIZE[::-1], borderValue=(FILL,) * 3) for one, _ in pictures)
    apart = (first != second).any(axis=-1)
    parts = (image.astype(float) - second)[apart] / (first.astype(float) - second)[apart]
    assert 0.3 < np.median(parts) < 0.7 and np.abs(parts - np.median(parts)).max() < 0.05


@pytest.mark.parametrize("name", MIXES)
@pytest.mark.parametrize("changes", [{}, {"distort_probability": 1.0}, {"hsv_value": 0.4}], ids=str)
def test_pixels_have_the_type_that_is_told(name, changes):
    one = mixer(Augmentation(**changes), "area" if changes else "bilinear")
    pictures = [picture(number, np.random.default_rng(number)) for number in range(MIXES[name][0])]
    image, _ = one.draw(name, np.random.default_rng(0), pictures)
    assert image.dtype == one.dtype and image.shape == (*SIZE, 3)
