"""Drawn persons: repeatable, with keypoints where they are painted, hidden ones told from visible ones."""

import dataclasses

import numpy as np
import pytest

from centernet_tf.datasets.drawn.body import strike_pose
from centernet_tf.datasets.drawn.figures import CLASSES, PERSON, draw_figures, read
from centernet_tf.datasets.drawn.stage import Stage
from centernet_tf.errors import UsageError

ALONE = Stage(persons=(1, 1), balls=0, blocks=0, noise=0.0, lines=0)
EMPTY = dataclasses.replace(ALONE, persons=(0, 0))


def test_an_empty_stage_gives_empty_arrays():
    drawn = draw_figures(0, stage=EMPTY)
    assert drawn.image.shape == (128, 128, 3) and drawn.image.dtype == np.uint8
    assert drawn.boxes.shape == (0, 4) and drawn.keypoints.shape == (0, 13, 3) and drawn.area.shape == (0,)


@pytest.mark.parametrize("size", [(128, 128), (96, 160)])
@pytest.mark.parametrize("seed", [(0, 1), (5, 0)])
def test_same_seed_same_image(seed, size):
    first, second = draw_figures(seed, size), draw_figures(seed, size)
    for field in dataclasses.fields(first):
        np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name))
    assert first.image.shape == (*size, 3)
    assert not np.array_equal(first.image, draw_figures((*seed, 1), size).image)


@pytest.mark.parametrize("number", range(12))
def test_box_keypoints_and_area_are_of_what_was_painted(number):
    drawn = draw_figures((1, number), stage=ALONE)
    changed = np.any(drawn.image != draw_figures((1, number), stage=EMPTY).image, axis=-1)
    rows, columns = np.nonzero(changed)
    outer = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    np.testing.assert_allclose(drawn.boxes[0], outer, atol=1.25)
    assert changed.sum() * 0.7 < drawn.area[0] <= changed.sum()
    (keypoints,) = drawn.keypoints
    assert (keypoints[:, 2] > 0).all()
    x, y = keypoints[:, :2].astype(int).T
    assert changed[y, x].all()


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_labels_are_sound(difficulty):
    labels, classes = np.zeros(3, int), np.zeros(2, int)
    for number in range(12):
        drawn = draw_figures((2, number), (128, 160), Stage.at(difficulty))
        assert (drawn.boxes >= 0).all() and (drawn.boxes <= [160, 128, 160, 128]).all()
        sides = drawn.boxes[:, 2:] - drawn.boxes[:, :2]
        assert (sides > 0).all() and (drawn.area <= sides.prod(axis=1)).all()
        persons = drawn.keypoints[drawn.classes == CLASSES.index("person")]
        assert not drawn.keypoints[drawn.classes == CLASSES.index("ball")].any()
        assert ((persons[..., :2] >= 0) & (persons[..., :2] < [160, 128])).all()
        assert not persons[persons[..., 2] == 0].any()
        labels += np.bincount(persons[..., 2].astype(int).ravel(), minlength=3)
        classes += np.bincount(drawn.classes, minlength=2)
    assert classes.all() and labels[1:].all()
    assert labels[2] > labels[1]
    assert (labels[0] > 0) == (difficulty > 0)


def test_blocks_hide_keypoints():
    hidden = [
        sum(
            (draw_figures((3, number), stage=dataclasses.replace(ALONE, blocks=blocks)).keypoints[..., 2] == 1).sum()
            for number in range(20)
        )
        for blocks in (0, 4)
    ]
    assert hidden[1] > hidden[0] + 10


def test_the_left_hand_of_a_face_is_on_our_right():
    rng = np.random.default_rng(0)
    left, right = (PERSON.keypoints.index(f"{side}_shoulder") for side in ("left", "right"))
    for _ in range(20):
        body = strike_pose(rng, tilt=5, limber=1, turned=0.5)
        faces = any(part.color == "mark" for part in body.parts)
        assert (body.keypoints[left, 0] > body.keypoints[right, 0]) == faces


def test_skeleton_is_whole():
    assert len(PERSON.keypoints) == 13 and len(PERSON.flip_pairs) == 6
    assert {index for limb in PERSON.limbs for index in limb} == set(range(13))
    assert PERSON.sigmas[0] == 0.035 and PERSON.sigmas[-1] == 0.089


def test_items_carry_everything():
    classes, items, (keypoints,) = read(3, (96, 96), seed=4, split="val")
    assert classes == CLASSES and keypoints.skeleton == PERSON and len(items) == 3
    item = items[2]
    assert item.rows["keypoints"].shape == (len(item.boxes), 13, 2) and len(item.area) == len(item.boxes)
    assert item.rows["keypoint_labels"].shape == (len(item.boxes), 13)
    assert not np.array_equal(item.source, read(3, (96, 96), seed=4)[1][2].source)
    with pytest.raises(IndexError):
        items[3]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Stage(persons=(3, 1)), "fewest first"),
        (lambda: Stage(sizes=(0.5, 0.1)), "smallest first"),
        (lambda: Stage(hidden=2), "hidden 2 must be from 0 to 1"),
        (lambda: Stage.at(1.1), "difficulty 1.1"),
        (lambda: draw_figures(0, (32, 128)), "at least 64"),
        (lambda: read(0), "at least 1 image"),
    ],
)
def test_impossible_stages_are_refused(call, words):
    with pytest.raises(UsageError, match=words):
        call()
