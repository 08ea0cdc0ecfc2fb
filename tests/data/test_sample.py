"""One training sample in NumPy, without an image."""

import dataclasses

import numpy as np
import pytest

from centernet_tf.data import example
from centernet_tf.data.augment import Augmentation
from centernet_tf.data.sample import Sampler
from centernet_tf.points.task import Clip
from centernet_tf.properties.fields import SHARED, ZOOM, Field

SHAPE = (40, 80, 3)
WAYS = Field("ways", "float32", (2,), "fixed", 0.0, "to the middle in the frame before")
LEFTS = Field("lefts", "float32", (), "fixed", -1.0, "left sides of the boxes of the frame before")
STILL = Augmentation(crop=False, shift=0, scale=0, flip=0)


def lists(boxes):
    """Stored lists of boxes [N, 4] in pixels."""
    boxes = np.reshape(boxes, (-1, 4)).astype(np.float32) / np.float32([80, 40, 80, 40])
    sides = dict(zip(example.SIDES, boxes.T))
    return {**sides, example.LABEL: np.ones(len(boxes), np.int64), example.WIDTH: np.array([80])} | {
        example.HEIGHT: np.array([40])
    }


def join(frames, size, random):
    """Ways of the objects to where they were, which come in the same order; nobody is drawn without chance."""
    assert size == (20, 40)
    now, before = (frames[offset]["boxes"] for offset in (0, -1))
    ways = (before - now)[:, :2]
    return {**frames[0], "ways": ways}, {"lefts": before[:, 0] + (0 if random is None else 1000)}


def sampler(augment=None, clip=None, most=4, fields=SHARED):
    frames = (0,) if clip is None else (-1, 0)
    return Sampler((20, 40), "longer side", most, fields, (), ("a",), augment, frames, clip)


CLIP = Clip(join, fields=(WAYS,), reads=SHARED, drawn=(LEFTS,))
NOW, BEFORE = [[8, 8, 28, 20], [40, 0, 60, 40]], [[4, 8, 24, 20], [40, 4, 60, 44]]


def test_no_objects():
    made = sampler().draw(None, [(SHAPE, lists([]))])
    assert not made.valid.any() and made.matrices.shape == (1, 2, 3) and made.drawn == []
    made = sampler(clip=CLIP, fields=(*SHARED, WAYS)).draw(None, [(SHAPE, lists([]))] * 2, (False, True))
    assert [one.shape for one in made.drawn] == [(4,), (4,)] and not made.drawn[1].any()


def test_a_single_image():
    one = sampler()
    made = one.draw(None, [(SHAPE, lists(NOW))])
    rows = dict(zip((field.name for field in one.padded), made.rows))
    np.testing.assert_allclose(rows["boxes"][:2], np.array(NOW) / 2)
    assert made.valid.tolist() == [True, True, False, False] and rows["classes"].tolist() == [0, 0, -1, -1]
    assert not made.jittered and made.zoom == 1


@pytest.mark.parametrize("window", ["longer side", "width"])
def test_how_large_an_image_is_shown(window):
    still = Augmentation(crop=False, shift=0, scale=0.4, flip=0.5, jitter_probability=1, rotate_probability=0)
    one = dataclasses.replace(sampler(still, fields=(*SHARED, ZOOM)), window=window)
    zooms = []
    for seed in range(8):
        made = one.draw(np.random.default_rng(seed), [(SHAPE, lists(NOW))])
        # Of objects 20 wide, at half the size.
        boxes = dict(zip((field.name for field in one.padded), made.rows))["boxes"]
        assert made.zoom == pytest.approx((boxes[0, 2] - boxes[0, 0]) / 10, rel=1e-5)
        zooms.append(made.zoom)
    assert max(zooms) > 1.1 and min(zooms) < 0.9


def test_frames_are_joined_in_pixels_of_the_input():
    one = sampler(clip=CLIP, fields=(*SHARED, WAYS))
    made = one.draw(None, [(SHAPE, lists(BEFORE)), (SHAPE, lists(NOW))], (False, True))
    rows = dict(zip((field.name for field in one.padded), made.rows))
    np.testing.assert_allclose(rows["ways"], [[-2, 0], [0, 2], [0, 0], [0, 0]], atol=1e-5)
    np.testing.assert_array_equal(made.matrices[0], made.matrices[1])
    lefts, valid = made.drawn
    np.testing.assert_allclose(lefts, [2, 20, -1, -1])
    assert valid.tolist() == [True, True, False, False]
    assert WAYS not in one.read and LEFTS not in one.read


def test_further_objects_are_left_out():
    one = sampler(clip=CLIP, most=1, fields=(*SHARED, WAYS))
    made = one.draw(None, [(SHAPE, lists(BEFORE)), (SHAPE, lists(NOW))], (False, True))
    assert made.valid.tolist() == [True] and [len(values) for values in made.rows + made.drawn] == [1] * 7
    np.testing.assert_allclose(made.drawn[0], [2])


@pytest.mark.parametrize("flip", [0.0, 1.0])
@pytest.mark.parametrize(
    ("same_crop", "present", "alike"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_the_other_frame_has_a_crop_of_its_own(flip, same_crop, present, alike):
    clip = Clip(join, (WAYS,), SHARED, (LEFTS,), same_crop=same_crop, shift=0.1, scale=0.1)
    one = sampler(Augmentation(crop=False, shift=0, scale=0, flip=flip), clip, fields=(*SHARED, WAYS))
    stored = [(SHAPE, lists(NOW if present else BEFORE)), (SHAPE, lists(NOW))]
    made = [one.draw(np.random.default_rng(seed), stored, (present, True)) for seed in range(200)]
    other, own = (np.array([sample.matrices[place] for sample in made]) for place in (0, 1))
    np.testing.assert_allclose(own, own[:1].repeat(200, axis=0))
    assert (other == own).all() if alike else (other != own).any(axis=(1, 2)).all()
    assert (np.linalg.det(other[:, :, :2]) < 0).all() == bool(flip)  # mirrored as the present one
    # The window's middle moves by a normal distribution that is cut at twice its deviation; its side by at most 10 %.
    if not alike:
        scale = np.hypot(*other[:, :, 0].T) / np.hypot(*own[0, :, 0])
        assert scale.min() == pytest.approx(1 / 1.1, abs=1e-5) and scale.max() == pytest.approx(1 / 0.9, abs=1e-5)
        middle = np.array([20, 10, 1.0])
        back = [np.linalg.solve(matrix[:, :2], middle[:2] - matrix[:, 2]) for matrix in other]
        moved = (np.array(back) - [40, 20]) / 80
        assert np.abs(moved).max() == pytest.approx(0.2, abs=1e-4) and 0.08 < moved.std() < 0.1
    # What inputs are drawn from is known to be training.
    assert all(sample.drawn[0][0] > 900 for sample in made)


def test_images_of_another_size_are_moved_by_the_present_ones_matrix():
    one = sampler(clip=CLIP, fields=(*SHARED, WAYS))
    made = one.draw(None, [((80, 160, 3), {**lists(BEFORE)}), (SHAPE, lists(NOW))], (False, True))
    np.testing.assert_array_equal(made.matrices[0], made.matrices[1])


def test_lists_that_make_no_rows_are_told():
    broken = {**lists(NOW), example.LABEL: np.array([1], np.int64)}
    with pytest.raises(ValueError, match="holds 1 labels for 2 boxes"):
        sampler().draw(None, [(SHAPE, broken)])
