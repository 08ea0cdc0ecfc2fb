"""Drawn videos: the same numbers draw the same frame, identities move by their speed and hide."""

import dataclasses
import itertools

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from centernet_tf.cli.records import app
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.drawn.film import Film, draw_frame, read
from centernet_tf.datasets.drawn.ways import ABSENT, Room, Way, out_and_elsewhere
from centernet_tf.errors import UsageError
from centernet_tf.geometry.boxes import box_iou

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


def disks(film, seed, frames):
    """{identity: [circles of 24 pixels' width [24, 24, 3], less their mean]} that nothing hides or cuts off."""
    found = {}
    circle = np.hypot(*(np.mgrid[:24, :24] - 11.5)) < 10
    for frame in frames:
        image, boxes, _, ids = draw_frame((seed,), frame, SIZE, film)
        alone = (box_iou(boxes, boxes) > 0).sum(axis=1) == 1
        inside = (boxes >= 0).all(axis=1) & (boxes <= [SIZE[1], SIZE[0]] * 2).all(axis=1)
        for box, number in zip(boxes[alone & inside], ids[alone & inside].tolist()):
            scale = 24 / (box[2] - box[0])
            view = np.array([[scale, 0, -scale * box[0]], [0, scale, -scale * box[1]]])
            patch = cv2.warpAffine(image, view, (24, 24)).astype(float)
            found.setdefault(number, []).append((patch - patch[circle].mean(axis=0)) * circle[..., None])
    return found


def likeness(one, other):
    """The best correlation of two patches, however one is turned."""
    turns = [cv2.getRotationMatrix2D((11.5, 11.5), angle, 1) for angle in range(0, 360, 6)]
    turned = np.array([cv2.warpAffine(other, turn, (24, 24)).ravel() for turn in turns])
    return (turned @ one.ravel() / np.linalg.norm(turned, axis=1) / np.linalg.norm(one)).max()


def test_only_the_pattern_tells_look_alikes_apart_and_it_moves_and_turns_with_them():
    film = Film.of_look_alikes(kinds=("circle",), away=0.0, turn=15.0, sizes=(0.25, 0.25), noise=0.0, objects=(5, 5))
    found = {number: patches for number, patches in disks(film, 4, range(0, 40, 5)).items() if len(patches) > 1}
    assert len(found) >= 3
    own = [likeness(*pair) for patches in found.values() for pair in itertools.combinations(patches, 2)]
    others = [likeness(a, b) for one, more in itertools.combinations(found.values(), 2) for a in one for b in more]
    assert min(own) > 0.75 > max(others), (min(own), max(others))


def test_look_alikes_share_a_colour_and_others_do_not():
    film = Film.of_look_alikes(objects=(6, 6), kinds=("rectangle",), noise=0.0, sizes=(0.3, 0.3), texture=0.0)
    ground = draw_frame((2,), 0, SIZE, dataclasses.replace(film, objects=(0, 0)))[0]
    image, boxes, _, _ = draw_frame((2,), 0, SIZE, film)
    drawn = image[np.any(image != ground, axis=-1)] // 48  # a shade differs by up to 50 levels
    counts = np.unique(drawn, axis=0, return_counts=True)[1]
    assert counts.max() > 0.2 * len(drawn)
    plain = draw_frame((2,), 0, SIZE, dataclasses.replace(film, look_alikes=False))
    np.testing.assert_array_equal(plain[1], boxes)  # who is where does not depend on the look
    assert (plain[0] != image).any()


@pytest.mark.parametrize("kinds", [("star",), ("cross", "circle")])
def test_classes_are_those_of_the_film(kinds):
    data = read(1, SIZE, film=Film(kinds=kinds, objects=(9, 9), visible=0.0))
    assert data.classes == kinds
    assert {int(number) for number in data.items[0].classes} == {*range(len(kinds))}


def test_who_leaves_is_away_for_some_frames_and_comes_back():
    film = Film.of_look_alikes(camera=0.0, away=1.0, elsewhere=False, objects=(3, 3), sizes=(0.2, 0.2), visible=0.05)
    away = []
    for seed in range(6):
        seen = [set(draw_frame((seed,), frame, SIZE, film)[3].tolist()) for frame in range(film.frames)]
        for number in range(3):
            gone = [number not in one for one in seen]
            lengths = [len(list(run)) for absent, run in itertools.groupby(gone) if absent]
            away.append(max(lengths, default=0) if not (gone[0] or gone[-1]) else None)
    usual = [length for length in away if length is not None]
    assert len(usual) >= 12
    inside = [ABSENT[0] - 2 <= length <= ABSENT[1] + 4 for length in usual]
    assert np.mean(inside) > 0.8


def absences(film, seeds):
    """[middles of the last box before and the first after, and frames between] of who is away for longest."""
    found = []
    for seed in range(seeds):
        for way in places((seed,), film, film.frames).values():
            frames = sorted(way)
            if (gap := max(np.diff(frames), default=0)) > ABSENT[0]:
                last = frames[int(np.diff(frames).argmax())]
                found.append((way[last], way[last + gap], int(gap) - 1))
    return found


def edge_of(middle):
    """The nearest edge: 0 left, 1 top, 2 right, 3 bottom."""
    return int(np.argmin([*middle, *(np.array(SIZE[::-1]) - middle)]))


def test_who_leaves_comes_back_over_another_edge():
    film = Film.of_look_alikes(camera=0.0, away=1.0, objects=(3, 3), sizes=(0.2, 0.2), visible=0.05)
    found = absences(film, 5)
    assert len(found) >= 8
    assert np.mean([edge_of(before) != edge_of(after) for before, after, _ in found]) > 0.8
    assert np.mean([frames <= ABSENT[1] + 4 for *_, frames in found]) > 0.8
    same = absences(dataclasses.replace(film, elsewhere=False), 4)
    assert np.mean([edge_of(before) == edge_of(after) for before, after, _ in same]) > 0.8


@pytest.mark.parametrize(("camera", "visible"), [(0.0, 0.0), (0.02, 0.0), (0.0, 0.6)])
def test_nobody_who_is_in_sight_jumps(camera, visible):
    """Whatever part is seen moves on; only who is wholly out of the view is elsewhere in the next frame."""
    film = Film.of_look_alikes(
        camera=camera, away=1.0, visible=visible, objects=(2, 2), speed=0.08, noise=0.0, texture=0.0
    )
    moved = 0
    for seed in range(3):
        everyone = [draw_frame((seed,), frame, SIZE, dataclasses.replace(film, visible=0.0)) for frame in range(48)]
        for (_, boxes, _, ids), (_, later, _, same) in itertools.pairwise(everyone):
            for row, number in enumerate(ids):
                if number in same:
                    step = boxes[row].reshape(2, 2).mean(0) - later[same.tolist().index(number)].reshape(2, 2).mean(0)
                    assert np.linalg.norm(step) <= (film.speed + camera) * min(SIZE) + 1e-3
                    moved += 1
    assert moved > 30


def test_a_room_of_one_step_is_crossed_wholly():
    """Both ways are out of the view by the radius, camera and all, in the frame between them."""
    rng, room = np.random.default_rng(3), Room((60, 90), 40, 2.0, 0.2)
    for _ in range(50):
        way = Way(rng.uniform(20, 40, 2), rng.uniform(5, 30, 2), rng.uniform(0, 0.1, 2), rng.uniform(0, 6, 2))
        first, second, until = out_and_elsewhere(way, rng, room, unseen=3.0, radius=9.0)
        for part in (first, second):
            beyond = np.abs(part.at(until) - [45, 30]) - [45, 30]
            assert beyond.max() >= 9.0 + 0.2 * until - 1e-9
            steps = np.diff([part.at(frame) for frame in range(40)], axis=0)
            assert np.abs(steps).max() <= max(2.0, np.abs(way.reach * way.pace).max()) + 1e-9
        axis = int(np.argmax(np.abs(first.at(until) - way.at(until)) > 1e-9))
        np.testing.assert_allclose(first.at(5.0)[1 - axis], way.at(5.0)[1 - axis])


def test_the_command_draws_look_alikes(tmp_path):
    arguments = ["shapes", "--video", "--look-alikes", "--count", "1", "--frames", "3", "--size", "64x64"]
    result = CliRunner().invoke(app, [*arguments, "--objects", "5", "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    dataset = open_dataset(tmp_path / "out")
    assert dataset.classes == ("circle", "rectangle") and dataset.images == 3
    expected = read(1, (64, 64), film=Film.of_look_alikes(frames=3, objects=(5, 5))).items[1]
    record = [*iterate(dataset)][1]
    np.testing.assert_array_equal(record.rows["track_ids"], expected.rows["track_ids"])
    refused = CliRunner().invoke(app, ["shapes", "--look-alikes", "--out", str(tmp_path / "more")])
    assert "--look-alikes is of videos" in str(refused.exception)
    refused = CliRunner().invoke(app, ["shapes", "--video", "--elsewhere", "--out", str(tmp_path / "more")])
    assert "--elsewhere is of shapes that leave" in str(refused.exception)


def test_the_command_lets_shapes_return_where_they_are_told_to(tmp_path):
    arguments = ["shapes", "--video", "--look-alikes", "--count", "1", "--size", "64x64", "--no-elsewhere"]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    for wanted in (True, False):
        expected = read(1, (64, 64), film=Film.of_look_alikes(elsewhere=wanted)).items
        same = [
            np.array_equal(record.rows["track_ids"], item.rows["track_ids"])
            for record, item in zip(iterate(open_dataset(tmp_path / "out")), expected)
        ]
        assert all(same) is not wanted


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kinds": ()}, "kinds"),
        ({"kinds": ("circle", "circle")}, "kinds"),
        ({"kinds": ("person",)}, "expected some of circle, triangle"),
        ({"away": 1.5}, "away is 1.5"),
        ({"away": 0.5, "elsewhere": True, "speed": 0.0}, "speed is 0"),
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
