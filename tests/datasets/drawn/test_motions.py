"""Drawn actions: the same numbers draw the same frame, and only time tells what somebody does."""

import dataclasses
import itertools

import numpy as np
import pytest
from typer.testing import CliRunner

from centernet_tf.cli.records import app
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.drawn.motions import ACTIONS, Motions, draw_frame, draw_lives, read
from centernet_tf.errors import UsageError

SIZE = (96, 128)
QUIET = Motions(noise=0.0, texture=0.0)


def lives(seeds, motions=QUIET, size=SIZE):
    ground = np.zeros((*size, 3), np.float32)
    return [life for seed in seeds for life in draw_lives(np.random.default_rng(seed), ground, motions)]


def states(life):
    """[frames, 4] x, y, size and tilt."""
    found = [life.state(frame) for frame in range(life.first, life.first + life.count)]
    return np.array([[*middle, size, tilt] for middle, size, tilt in found])


def test_no_objects_give_empty_arrays():
    image, boxes, actions, ids = draw_frame((0,), 0, SIZE, dataclasses.replace(QUIET, objects=(0, 0)))
    assert image.shape == (*SIZE, 3) and image.dtype == np.uint8
    assert boxes.shape == (0, 4) and actions.shape == ids.shape == (0,) and actions.dtype == np.int64


def test_the_same_numbers_draw_the_same_frame():
    for one, other in zip(draw_frame((3, 1), 7, SIZE, Motions()), draw_frame((3, 1), 7, SIZE, Motions())):
        np.testing.assert_array_equal(one, other)
    base = draw_frame((3, 1), 7, SIZE, Motions())[0]
    others = [draw_frame(seed, frame, SIZE, Motions())[0] for seed, frame in (((3, 2), 7), ((3, 1), 8))]
    assert all((image != base).any() for image in others)


def test_everybody_does_what_the_class_says_and_nothing_else():
    expected = {"left": (-1, 0, 0), "right": (1, 0, 0), "grow": (0, 1, 0), "turn": (0, 0, 1), "stop": (0, 0, 0)}
    for life in lives(range(40)):
        steps = np.diff(states(life), axis=0)
        moved, up, grown, turned = np.sign(np.round(steps, 9)).T
        signs = expected[ACTIONS[life.action]]
        assert (up == 0).all() and (moved == signs[0]).all() and (grown == signs[1]).all()
        assert (np.abs(turned) == signs[2]).all() and np.ptp(turned) == 0
        if signs[0]:
            assert QUIET.speed[0] * 96 * 0.99 < np.abs(steps[:, 0]).max() < QUIET.speed[1] * 96 * 1.01


def ranks_apart(one, other):
    """The largest distance of two distributions (Kolmogorov, Smirnov), in units of what chance makes in one of 20."""
    everything = np.sort(np.concatenate([one, other]))
    shares = [np.searchsorted(np.sort(values), everything, "right") / len(values) for values in (one, other)]
    return np.abs(shares[0] - shares[1]).max() / (1.36 * np.sqrt(1 / len(one) + 1 / len(other)))


def test_a_single_frame_does_not_tell_the_action():
    """A frame of each life by lot: neither place, size, tilt nor shape differ from action to action."""
    random = np.random.default_rng(0)
    seen = {number: [] for number in range(len(ACTIONS))}
    for life in lives(range(1000), dataclasses.replace(QUIET, objects=(2, 4))):
        (x, y), size, tilt = life.state(life.first + random.integers(life.count))
        seen[life.action].append([x, y, size, tilt % (np.pi / 2), len(life.curves[0]), life.color[0]])
    seen = {number: np.array(values) for number, values in seen.items()}
    counts = [len(values) for values in seen.values()]
    assert min(counts) > 600 and max(counts) < 1.2 * min(counts)
    apart = {
        (one, other, column): ranks_apart(seen[one][:, column], seen[other][:, column])
        for one, other in itertools.combinations(seen, 2)
        for column in range(6)
    }
    assert max(apart.values()) < 1.5, max(apart, key=apart.get)
    # The measure would see it: who goes left is further left at the end.
    late = {number: [] for number in range(len(ACTIONS))}
    for life in lives(range(300)):
        late[life.action].append(life.state(life.first + life.count - 1)[0][0])
    assert ranks_apart(np.array(late[0]), np.array(late[1])) > 2


def test_nobody_leaves_the_image_and_tubes_are_long_enough():
    data = read(3, SIZE, motions=QUIET, seed=2)
    lengths = {}
    for item in data.items:
        assert (item.boxes >= -0.01).all() and (item.boxes <= [SIZE[1] + 0.01, SIZE[0] + 0.01] * 2).all()
        for number, label in zip(item.rows["track_ids"].tolist(), item.classes.tolist()):
            lengths.setdefault((item.video, number), []).append(label)
    assert len(lengths) > 6 and all(len({*labels}) == 1 for labels in lengths.values())
    assert np.median([len(labels) for labels in lengths.values()]) >= QUIET.lasts[0]
    assert {life.count for life in lives(range(60))} == {*range(16, 25)}


def test_videos_may_be_shorter_than_an_action():
    data = read(3, SIZE, motions=dataclasses.replace(QUIET, frames=5, objects=(2, 2)))
    assert len(data.items) == 15 and all(len(item.boxes) <= 2 for item in data.items)
    assert sum(len(item.boxes) for item in data.items) > 20
    assert len(read(2, SIZE, motions=dataclasses.replace(QUIET, frames=1)).items) == 2


def test_videos_follow_one_another_and_their_identities_are_of_tubes():
    data = read(2, SIZE, motions=Motions(frames=3, rate=10), seed=4)
    assert [(item.video, item.frame) for item in data.items] == [(v, f) for v in ("0000", "0001") for f in (1, 2, 3)]
    assert [item.time for item in data.items] == pytest.approx([0, 0.1, 0.2] * 2)
    assert data.classes == ACTIONS and data.properties[0].tubes
    other = read(2, SIZE, motions=Motions(frames=3), seed=4, split="val").items[0]
    assert (other.source != data.items[0].source).any()


def test_the_command_draws_actions(tmp_path):
    arguments = ["shapes", "--video", "--actions", "--count", "1", "--frames", "4", "--size", "64x64", "--objects", "2"]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    dataset = open_dataset(tmp_path / "out")
    assert dataset.classes == ACTIONS and dataset.images == 4 and dataset.property("tracks").tubes
    expected = read(1, (64, 64), motions=Motions(frames=4, objects=(2, 2))).items[1]
    record = [*iterate(dataset)][1]
    np.testing.assert_array_equal(record.rows["track_ids"], expected.rows["track_ids"])
    np.testing.assert_array_equal(record.classes, expected.classes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--actions"], "--actions is of videos"),
        (["--video", "--actions", "--look-alikes"], "--look-alikes does not apply to actions"),
        (["--video", "--actions", "--camera", "0.1"], "--camera does not apply to actions"),
        (["--video", "--actions", "--away", "0.1"], "--away does not apply to actions"),
        (["--video", "--actions", "--speed", "0.5"], "leave it"),
    ],
)
def test_options_that_do_not_go_together_are_told(options, message, tmp_path):
    result = CliRunner().invoke(app, ["shapes", *options, "--out", str(tmp_path / "out")])
    assert isinstance(result.exception, UsageError) and message in str(result.exception)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objects": (3, 2)}, "objects"),
        ({"sizes": (0.0, 0.2)}, "sizes"),
        ({"sizes": (0.5, 0.6)}, "leave it"),
        ({"frames": 0}, "0 frames"),
        ({"rate": 0.0}, "at 0.0 a second"),
        ({"pause": -1}, "pause -1"),
        ({"lasts": (1, 5)}, "lasts"),
        ({"speed": (0.1, 0.05)}, "speed"),
        ({"growth": (0.0, 0.1)}, "growth"),
        ({"turn": (5.0, 400.0)}, "turn"),
        ({"visible": 1.5}, "visible is 1.5"),
    ],
)
def test_wrong_settings_are_told(settings, message):
    with pytest.raises(UsageError, match=message):
        Motions(**settings)


@pytest.mark.parametrize(("count", "size", "seed"), [(0, SIZE, 0), (1, (31, 64), 0), (1, SIZE, -1)])
def test_wrong_calls_are_told(count, size, seed):
    with pytest.raises(UsageError, match="actions"):
        read(count, size, seed=seed)
