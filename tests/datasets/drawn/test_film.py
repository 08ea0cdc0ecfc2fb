"""Drawn videos: the same numbers draw the same frame, identities move by their speed and hide."""

import dataclasses
import itertools

import numpy as np
import pytest

from centernet_tf.datasets.drawn.film import Film, draw_frame, read
from centernet_tf.errors import UsageError

SIZE = (96, 128)
QUIET = Film(noise=0.0, camera=0.0, turn=0.0)


def places(seed, film, frames=12):
    """{identity: {frame: middle of its box}}."""
    found = {}
    for frame in range(frames):
        _, boxes, _, ids = draw_frame(seed, frame, SIZE, film)
        for box, number in zip(boxes, ids.tolist()):
            found.setdefault(number, {})[frame] = (box[:2] + box[2:]) / 2
    return found


def test_no_objects_give_empty_arrays():
    image, boxes, classes, ids = draw_frame((0,), 0, SIZE, dataclasses.replace(QUIET, objects=(0, 0)))
    assert image.shape == (*SIZE, 3) and image.dtype == np.uint8
    assert boxes.shape == (0, 4) and classes.shape == ids.shape == (0,)


def test_the_same_numbers_draw_the_same_frame():
    for one, other in zip(draw_frame((3, 1), 7, SIZE, Film()), draw_frame((3, 1), 7, SIZE, Film())):
        np.testing.assert_array_equal(one, other)
    base = draw_frame((3, 1), 7, SIZE, Film())[0]
    assert all((draw_frame(seed, frame, SIZE, Film())[0] != base).any() for seed, frame in (((3, 2), 7), ((3, 1), 8)))


@pytest.mark.parametrize("seed", range(3))
def test_who_is_seen_stands_out_where_its_box_is(seed):
    film = dataclasses.replace(QUIET, texture=0.0)
    image, boxes, _, _ = draw_frame((seed,), 0, SIZE, film)
    ground = draw_frame((seed,), 0, SIZE, dataclasses.replace(film, objects=(0, 0)))[0]
    changed = np.any(image != ground, axis=-1)
    for left, top, right, bottom in boxes.clip(0, [SIZE[1], SIZE[0]] * 2):
        inside = changed[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))]
        assert inside.mean() > 0.05


@pytest.mark.parametrize("speed", [0.0, 0.02, 0.08])
def test_nobody_moves_faster_than_the_speed(speed):
    film = dataclasses.replace(QUIET, speed=speed, objects=(5, 5))
    steps = [
        np.linalg.norm(way[frame + 1] - way[frame])
        for seed in range(4)
        for way in places((seed,), film).values()
        for frame in way
        if frame + 1 in way
    ]
    assert len(steps) > 100 and max(steps) <= speed * min(SIZE) + 1e-3
    assert max(steps) >= 0.5 * speed * min(SIZE)


def test_the_camera_moves_all_alike():
    film = dataclasses.replace(QUIET, speed=0.0, camera=0.03, objects=(5, 5))
    steps = [
        {
            number: way[frame + 1] - way[frame]
            for number, way in places((2,), film).items()
            if {frame, frame + 1} <= {*way}
        }
        for frame in range(11)
    ]
    assert max(np.abs(step).max() for one in steps for step in one.values()) > 0.3
    for one in steps:
        together = np.array(list(one.values()))
        np.testing.assert_allclose(together, together[:1].repeat(len(together), axis=0), atol=1e-3)


def test_who_is_hidden_is_left_out_and_comes_back():
    film = dataclasses.replace(QUIET, objects=(8, 8), speed=0.08)
    gone = [set(range(8)) - set(draw_frame((1,), frame, SIZE, film)[3].tolist()) for frame in range(40)]
    assert any(gone) and not any(len(one) == 8 for one in gone)
    returns = [number for number in range(8) for a, b in itertools.pairwise(gone) if number in a and number not in b]
    assert returns
    # Everybody is told where also the hidden count.
    everybody = draw_frame((1,), 0, SIZE, dataclasses.replace(film, visible=0.0))[3]
    assert {*draw_frame((1,), 0, SIZE, film)[3]} <= {*everybody}


def test_videos_follow_one_another():
    data = read(2, SIZE, film=Film(frames=3, rate=10), seed=4)
    assert [(item.video, item.frame) for item in data.items] == [(v, f) for v in ("0000", "0001") for f in (1, 2, 3)]
    assert [item.time for item in data.items] == pytest.approx([0, 0.1, 0.2] * 2)
    assert len({item.image_id for item in data.items}) == 6 and data.properties[0].name == "tracks"
    other = read(2, SIZE, film=Film(frames=3), seed=4, split="val").items[0]
    assert other.source.shape == data.items[0].source.shape and (other.source != data.items[0].source).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objects": (3, 2)}, "objects"),
        ({"objects": (0, 61)}, "objects"),
        ({"sizes": (0.0, 0.2)}, "sizes"),
        ({"frames": 0}, "0 frames"),
        ({"rate": 0.0}, "at 0.0 a second"),
        ({"rate": float("nan")}, "at nan a second"),
        ({"speed": 1.5}, "speed is 1.5"),
        ({"camera": -0.1}, "camera is -0.1"),
        ({"turn": 400.0}, "turn is 400.0"),
    ],
)
def test_wrong_settings_are_told(settings, message):
    with pytest.raises(UsageError, match=message):
        Film(**settings)


@pytest.mark.parametrize(("count", "size", "seed"), [(0, SIZE, 0), (1, (31, 64), 0), (1, SIZE, -1)])
def test_wrong_calls_are_told(count, size, seed):
    with pytest.raises(UsageError, match="video"):
        read(count, size, seed=seed)
