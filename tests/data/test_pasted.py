"""Objects pasted on another image: where they are seen, and who is hidden below."""

import numpy as np
import pytest

from centernet_tf.data.pasted import CHOSEN, pasted, shapes, uncovered
from centernet_tf.properties.fields import SHARED
from centernet_tf.properties.interactions import Interactions
from centernet_tf.properties.masks import Masks

MASKS = next(field for field in Masks().fields if field.motion == "patches")
PAIRS = tuple(field for field in Interactions(verbs=("rides",)).fields)
SIZE = (48, 64)


class Every:
    """Chooses all or, where told, none."""

    def __init__(self, chance=0.0):
        self.chance = chance

    def random(self, count):
        return np.full(count, self.chance)


def rows_of(boxes, classes, **more):
    count = len(boxes)
    plain = {"crowd": np.zeros(count, bool), "ignored": np.zeros(count, bool)}
    boxes = np.reshape(boxes, (-1, 4)).astype(np.float32)
    return {"boxes": boxes, "classes": np.array(classes, np.int32), **plain, **more}


def disks(count):
    """[N, 16, 16] of disks that fill their boxes."""
    place = (np.arange(16) + 0.5) / 8 - 1
    return np.repeat((place[:, None] ** 2 + place**2 <= 1)[None], count, axis=0).astype(np.float32)


def images():
    return np.full((*SIZE, 3), 10, np.uint8), np.full((*SIZE, 3), 200, np.uint8)


def test_boxes_are_pasted_and_hide_who_is_below():
    ground, source = images()
    below = rows_of([[10, 10, 30, 30], [0, 0, 8, 8], [20, 10, 60, 30]], [0, 1, 2])
    above = rows_of([[9, 9, 32, 32], [50, 40, 90, 80]], [3, 4])
    image, rows = pasted(Every(), (ground, below), (source, above), SHARED)
    wanted = np.zeros(SIZE, bool)
    wanted[9:33, 9:33] = wanted[40:, 50:] = True
    assert np.array_equal(image[..., 0], np.where(wanted, 200, 10))
    assert rows["classes"].tolist() == [1, 2, 3, 4], "the first is hidden, of the third more than half is seen"
    np.testing.assert_array_equal(rows["boxes"][1], below["boxes"][2])


def test_masks_are_pasted_and_cut_out_of_those_below():
    fields = (*SHARED, MASKS)
    ground, source = images()
    below = rows_of([[10, 10, 40, 40]], [0], masks=np.ones((1, 16, 16), np.float32))
    above = rows_of([[20, 20, 40, 40]], [1], masks=disks(1))
    image, rows = pasted(Every(), (ground, below), (source, above), fields)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    distance = np.hypot(x - 30, y - 30)
    seen = image[..., 0] == 200
    assert seen[distance < 9].all() and not seen[distance > 11].any()
    assert rows["classes"].tolist() == [0, 1] and np.array_equal(rows["masks"][1], above["masks"][0])
    left = shapes(rows, fields, SIZE, np.array([0]))[0]
    assert not left[distance < 8].any()
    assert left[(distance > 12) & (x > 11) & (x < 39) & (y > 11) & (y < 39)].all()


@pytest.mark.parametrize("flag", ["crowd", "ignored"])
def test_groups_ignored_and_unseen_objects_are_not_pasted(flag):
    ground, source = images()
    above = rows_of([[1, 1, 20, 20], [70, 1, 90, 20]], [0, 1])
    above[flag][0] = True
    image, rows = pasted(Every(), (ground, rows_of([], [])), (source, above), SHARED)
    assert np.array_equal(image, ground) and not len(rows["boxes"])


def test_nobody_is_chosen_above_the_chance():
    ground, source = images()
    below, above = (rows_of([[1, 1, 20, 20]], [number]) for number in (0, 1))
    image, rows = pasted(Every(CHOSEN), (ground, below), (source, above), SHARED)
    assert np.array_equal(image, ground) and rows["classes"].tolist() == [0]


def test_pairs_lose_hidden_ends_and_count_on():
    fields = (*SHARED, *PAIRS)
    pairs = {"pairs": np.int32([[0, 1], [1, -1]]), "verbs": np.int32([0, 0]), "observed": np.ones(2, bool)}
    below = rows_of([[10, 10, 30, 30], [40, 0, 50, 8]], [0, 1], **pairs)
    above = rows_of([[9, 9, 32, 32], [2, 40, 9, 46]], [2, 3], **pairs)
    _, rows = pasted(Every(), (images()[0], below), (images()[1], above), fields)
    assert rows["classes"].tolist() == [1, 2, 3]
    assert rows["pairs"].tolist() == [[0, -1], [1, 2], [2, -1]]


def test_what_lies_outside_is_not_hidden():
    below = rows_of([[-30, -30, -5, -5], [60, 40, 100, 90]], [0, 1])
    hidden = np.zeros(SIZE, bool)
    hidden[:30] = True
    assert uncovered(below, SHARED, hidden)["classes"].tolist() == [0, 1]
