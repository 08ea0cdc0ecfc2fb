"""Random erasing: how much, how often, where."""

import itertools

import numpy as np
import pytest

from centernet_tf.data.augment import Augmentation
from centernet_tf.data.erased import ASPECTS, draw_hole, erased
from centernet_tf.data.pipeline import Feed
from centernet_tf.errors import UsageError
from centernet_tf.points.task import Clip

SIZE = (60, 90)


def test_rectangles_are_as_large_as_is_told_and_lie_inside():
    random = np.random.default_rng(0)
    holes = np.array([draw_hole(random, SIZE, (0.05, 0.2)) for _ in range(400)])
    sides = holes[:, 2:] - holes[:, :2]
    parts, aspects = sides.prod(axis=1) / (60 * 90), sides[:, 1] / sides[:, 0]
    assert (holes[:, :2] >= 0).all() and (holes[:, 2:] <= SIZE[::-1]).all()
    assert 0.045 < parts.min() < 0.07 and 0.18 < parts.max() < 0.21
    assert ASPECTS[0] * 0.9 < aspects.min() < 0.4 and 2.5 < aspects.max() < ASPECTS[1] * 1.1
    assert holes[:, :2].min() == 0 and (holes[:, 2:].max(axis=0) == SIZE[::-1]).all(), "up to every edge"


def test_nothing_fits_a_single_pixel():
    assert draw_hole(np.random.default_rng(0), (1, 1), (0.02, 0.2)) is None


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_only_the_rectangle_is_noise(kind):
    pixels, random = np.full((*SIZE, 3), 300 if kind == "float32" else 7, kind), np.random.default_rng(1)
    made = [erased(pixels, random, 0.5, (0.1, 0.1)) for _ in range(100)]
    changed = np.array([(one != pixels).any(axis=-1).mean() for one in made])
    assert 35 < (changed > 0).sum() < 65 and np.abs(changed[changed > 0] - 0.1).max() < 0.02
    assert (pixels == pixels[0, 0, 0]).all() and {one.dtype.name for one in made} == {kind}
    noise = made[int(changed.argmax())]
    assert 100 < noise[(noise != pixels).any(axis=-1)].mean() < 155


def test_until_the_last_epochs_and_from_any_step(shapes_train):
    """All but the erased pixels, and all rows, are those of a run without."""
    feed, augment = Feed((64, 64)), Augmentation(erase=1, close_last=1)
    batch = shapes_train.images // 2
    plain, made, resumed = (
        list(itertools.islice(feed.training(shapes_train, batch, *given).as_numpy_iterator(), count))
        for *given, count in ((Augmentation(), 0, 2, 4), (augment, 0, 2, 4), (augment, 1, 2, 3))
    )
    for number, ((before, rows), (after, moved)) in enumerate(zip(plain, made)):
        changed = (before["image"] != after["image"]).any(axis=-1).mean(axis=(1, 2))
        assert (changed > 0.01).all() and (changed < 0.25).all() if number < 2 else not changed.any()
        assert all(np.array_equal(rows[name], moved[name]) for name in rows)
    assert all(np.array_equal(one["image"], other["image"]) for (one, _), (other, _) in zip(made[1:], resumed))


@pytest.mark.parametrize(
    ("feed", "changes", "said"),
    [
        ({"device_warp": True}, {}, r"augment\.erase: the device"),
        ({"frames": (0, 1), "clip": Clip(lambda frames, size, random: (frames[0], {}))}, {}, "frames of videos"),
        ({}, {"erase_area": (0.3, 0.2)}, r"augment\.erase_area: 0\.3 to 0\.2; expected two parts"),
    ],
)
def test_what_cannot_be_erased(feed, changes, said):
    with pytest.raises(UsageError, match=said):
        Feed(SIZE, **feed).check_augment(Augmentation(erase=0.5, **changes))
