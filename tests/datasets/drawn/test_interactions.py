"""Drawn interactions are what the pictures show, all of it, and distance alone does not tell them."""

from collections import Counter

import numpy as np
import pytest

from centernet_tf.cli import main
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.drawn.interactions import Scene, _fill, _Stage, draw_interactions, read
from centernet_tf.datasets.drawn.relations import CLASSES, VERBS, Thing, UnclearError, facts, gap, overlap, relations
from centernet_tf.datasets.drawn.samples import SAMPLES, rasterise
from centernet_tf.errors import UsageError

SIZE = (96, 96)


def stages(count):
    """The first scenes, as `draw_interactions` fills them."""
    for seed in range(count):
        stage = _Stage(np.random.default_rng(seed), SIZE, Scene())
        _fill(stage)
        yield stage


def painted(stage):
    """[H, W] in samples: the number of the thing that is seen, from 1."""
    owners = np.zeros((SIZE[0] * SAMPLES, SIZE[1] * SAMPLES), int)
    for number, thing in enumerate(stage.things, start=1):
        owners[rasterise(list(thing.curves), (slice(0, SIZE[0]), slice(0, SIZE[1]))) > 0] = number
    return owners


def seen(stage, number, owners):
    """What an arrow does as the samples show it: by following its line, looking down, and looking around it."""
    thing, done = stage.things[number], set()
    own = np.argwhere(owners == number + 1) / SAMPLES
    for other in range(len(stage.things)):
        kind = CLASSES[stage.things[other].kind]
        there = np.argwhere(owners == other + 1) / SAMPLES
        apart = np.sqrt(((own[::5, None] - there[None, ::5]) ** 2).sum(axis=-1).min())
        if (
            kind == "frame"
            and (there.min(axis=0) < own.min(axis=0)).all()
            and (there.max(axis=0) > own.max(axis=0)).all()
        ):
            return {(other, "inside")}
        if kind not in ("arrow", "frame") and apart < 2.0:
            done.add((other, "touch"))
    for step in np.arange(1, 0.6 * SIZE[0], 0.25):
        x, y = ((thing.tip + step * thing.direction) * SAMPLES).astype(int)
        inside = 0 <= x < owners.shape[1] and 0 <= y < owners.shape[0]
        if inside and owners[y, x] not in (0, number + 1):
            done.add((int(owners[y, x]) - 1, "point_at"))
            break
    return done


def test_an_empty_scene():
    drawn = draw_interactions(1, SIZE, Scene(arrows=(0, 0), strays=0))
    assert drawn["boxes"].shape == (0, 4) and drawn["rows"]["pairs"].shape == (0, 2)
    assert drawn["source"].shape == (*SIZE, 3)


def test_pictures_show_what_is_annotated():
    counts = Counter()
    for stage in stages(20):
        owners, pairs = painted(stage), stage.pairs()
        for number, thing in enumerate(stage.things):
            told = {(other, VERBS[verb]) for arrow, other, verb in pairs if arrow == number}
            if not thing.is_arrow:
                assert not told
                continue
            counts.update(verb for _, verb in told)
            assert seen(stage, number, owners) == {one for one in told if one[1] != "above"}
            for other, verb in told:
                if verb == "above":
                    box = stage.things[other].box
                    assert thing.box[3] < box[1] and box[0] < thing.center[0] < box[2]
    assert min(counts[verb] for verb in VERBS) >= 2


def test_nothing_overlaps():
    for stage in stages(5):
        for number, thing in enumerate(stage.things):
            assert not any(overlap(thing, other) for other in stage.things[:number])


def test_the_nearest_is_often_the_wrong_one():
    right = Counter()
    for stage in stages(20):
        centers = np.array([thing.center for thing in stage.things])
        arrows = np.array([thing.is_arrow for thing in stage.things])
        for arrow, other, verb in stage.pairs():
            away = np.hypot(*(centers - centers[[arrow, other]].mean(axis=0)).T)
            nearest = np.where(arrows, away, np.inf).argmin(), np.where(arrows, np.inf, away).argmin()
            right[VERBS[verb], nearest == (arrow, other)] += 1
    for verb in ("above", "point_at"):
        assert right[verb, True] / (right[verb, True] + right[verb, False]) < 0.8


def test_the_same_numbers_draw_the_same_picture():
    first, second, third = (draw_interactions(seed, SIZE) for seed in ((0, 1), (0, 1), (0, 2)))
    np.testing.assert_array_equal(first["source"], second["source"])
    np.testing.assert_array_equal(first["rows"]["pairs"], second["rows"]["pairs"])
    assert (first["source"] != third["source"]).any()


def arrow(x, y, angle=0.0):
    return Thing.at(0, np.array([x, y], float), 20.0, angle)


def shape(x, y, kind="circle"):
    return Thing.at(CLASSES.index(kind), np.array([x, y], float), 8.0, 0.0)


@pytest.mark.parametrize(
    ("others", "done"),
    [
        ([], []),
        ([shape(60, 20)], [(0, "point_at")]),
        ([shape(60, 60)], []),
        ([shape(20, 44)], [(0, "above")]),
        ([shape(60, 20), shape(85, 20)], [(0, "point_at")]),  # the second is hidden behind the first
        ([shape(85, 20), shape(20, 44)], [(1, "above"), (0, "point_at")]),
        ([shape(38.3, 20)], [(0, "touch"), (0, "point_at")]),
        ([arrow(60, 60)], []),
    ],
)
def test_what_an_arrow_does(others, done):
    one = arrow(20, 20)
    assert relations([(other, facts(one, other, 96.0)) for other in others]) == done


@pytest.mark.parametrize(
    "other",
    [
        shape(60, 27),  # its rim is pointed at
        shape(40.5, 20),  # almost touches
        shape(29, 44),  # half under it
        shape(20, 70),  # rather far below
        arrow(60, 20),  # another arrow is pointed at
        shape(60, 20, "frame"),
    ],
)
def test_what_nobody_could_tell(other):
    one = arrow(20, 20)
    with pytest.raises(UnclearError):
        relations([(other, facts(one, other, 96.0))])


@pytest.mark.parametrize("seed", range(10))
def test_the_gap_is_that_of_all_points(seed):
    random = np.random.default_rng(seed)
    one, other = (Thing.at(int(random.integers(6)), random.uniform(0, 90, 2), 12.0, random.uniform(0, 6)) for _ in "ab")
    slow = min(np.hypot(*(a - b)) for a in one.edge for b in other.edge)
    assert gap(one, other) == pytest.approx(slow)
    assert (gap(one, other, 5.0) >= 5) == (slow >= 5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: read(0), "at least 1 image"),
        (lambda: read(1, (32, 96)), "too small"),
        (lambda: Scene(arrows=(3, 1)), "fewest first"),
    ],
)
def test_wrong_calls(call, words):
    with pytest.raises(UsageError, match=words):
        call()


def test_the_command(tmp_path, capsys):
    call = ["records", "shapes", "--interactions", "--count", "4", "--objects", "2", "--out", tmp_path / "out"]
    for further, code in ((["--difficulty", "0.5"], 2), (["--masks"], 2), ([], 0)):
        with pytest.raises(SystemExit) as ended:
            main([str(one) for one in (*call, *further)])
        assert (ended.value.code or 0) == code
    told = capsys.readouterr()
    assert "--difficulty does not apply to interactions" in told.err and "Pairs of objects:" in told.out
    dataset = open_dataset(tmp_path / "out")
    assert dataset.classes == CLASSES and dataset.property("interactions").verbs == VERBS
    for record, item in zip(iterate(dataset), read(4, scene=Scene(arrows=(2, 2))).items):
        np.testing.assert_array_equal(record.rows["pairs"], item.rows["pairs"])
        np.testing.assert_array_equal(record.rows["verbs"], item.rows["verbs"])
