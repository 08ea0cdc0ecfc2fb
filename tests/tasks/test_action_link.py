"""Tubelets are linked as in the official code: golden values, a slow twin, and what must hold of any video."""

import dataclasses
import json
import time
from pathlib import Path

import numpy as np
import pytest

from centernet_tf.errors import UsageError
from centernet_tf.geometry.boxes import box_iou
from centernet_tf.properties.metric import ImageKey
from centernet_tf.properties.tracks.tube_scores import TubeMetric
from centernet_tf.properties.tracks.tubelets import suppress
from centernet_tf.properties.tracks.tubes import SCORE
from centernet_tf.tasks.action.link import Memory, Rules, finish, link, step

POINTS = Path(__file__).parents[1] / "golden" / "points"
SHORT = Rules(min_length=1)


def golden(name):
    with np.load(POINTS / f"{name}.npz") as file:
        arrays = dict(file)
    return arrays, json.loads(arrays.pop("meta").tobytes())


def rows_of(tubelets, scores, classes=None, frames=7):
    count = len(scores)
    return {
        "tubelets": np.array(tubelets, np.float32).reshape(count, frames, 4),
        "scores": np.array(scores, np.float32),
        "classes": np.zeros(count, int) if classes is None else np.array(classes, int),
    }


def golden_windows(arrays, video, frames):
    labels = sorted(int(key.split("/")[-1]) for key in arrays if key.startswith(f"start/{video}/"))
    windows = {}
    for start in range(1, frames - 5):
        own = [arrays[f"tubelets/{video}/{label}"][arrays[f"start/{video}/{label}"] == start] for label in labels]
        rows = np.concatenate(own)
        windows[start] = rows_of(rows[:, :-1], rows[:, -1], np.repeat(labels, [len(one) for one in own]))
    return windows


def expected_tubes(arrays, video):
    """[(class, rows of frame, box and score)]."""
    return [(int(key.split("/")[-2]), rows) for key, rows in arrays.items() if key.startswith(f"tube/{video}/")]


def assert_alike(found, expected):
    """Found tubes are the expected (class, rows, score), in whatever order."""
    assert len(found) == len(expected)
    for label, rows, score in expected:
        same = [
            tube
            for tube in found
            if tube.label == label
            and tube.frames.tolist() == rows[:, 0].astype(int).tolist()
            and np.abs(tube.boxes - rows[:, 1:5]).max() < 1e-3
        ]
        assert len(same) == 1
        np.testing.assert_allclose(same[0].scores, rows[:, 5], atol=1e-5)
        assert same[0].score == pytest.approx(score, abs=1e-5)


@pytest.mark.parametrize("video", golden("moc-linking")[1]["videos"])
def test_links_as_the_original(video):
    arrays, meta = golden("moc-linking")
    scores = meta["videos"][video]["scores"]
    expected = [
        (label, rows, score) for (label, rows), score in zip(expected_tubes(arrays, video), scores, strict=True)
    ]
    assert_alike(link(golden_windows(arrays, video, meta["nframes"]), meta["nframes"], Rules()), expected)


def test_links_whole_videos_as_the_original():
    arrays, meta = golden("moc-metrics")
    for video, frames in meta["videos"].items():
        scores = [score for label in range(2) for score in meta["tube_scores"][f"{video}/{label}"]]
        expected = [(label, rows, score) for (label, rows), score in zip(expected_tubes(arrays, video), scores)]
        assert_alike(link(golden_windows(arrays, video, frames), frames, Rules()), expected)


def slow_link(windows, frames, rules):
    """The rule, tube by tube and class by class: [(class, rows of frame, box and score, score)]."""
    length, result = rules.frames, []
    for label in sorted({int(one) for rows in windows.values() for one in rows["classes"]}):
        ended, current = [], []
        for start in range(1, frames - length + 2):
            rows = windows[start]
            own = rows["classes"] == label
            boxes = rows["tubelets"][own]
            scores = suppress(boxes, rows["scores"][own], rows["classes"][own], rules.overlap, rules.suppression)
            pool = sorted(
                ((float(score), box) for score, box in zip(scores, boxes) if score > -np.inf), key=lambda one: -one[0]
            )[: rules.most]
            current.sort(key=lambda tube: -np.mean([score for _, score, _ in tube]))
            for tube in list(current):
                begin, _, last = tube[-1]
                gone = start - begin
                pairs = range(length - gone) if gone < length else [None]

                def overlap(one, last=last, gone=gone, pairs=pairs):
                    both = [(one[k], last[k + gone]) if k is not None else (one[0], last[-1]) for k in pairs]
                    return np.mean([box_iou(first[None], second[None], 1.0)[0, 0] for first, second in both])

                fit = [place for place, (_, one) in enumerate(pool) if overlap(one) >= rules.link]
                if fit:
                    score, one = pool.pop(max(fit, key=lambda place: (pool[place][0], -place)))
                    tube.append((start, score, one))
                elif gone >= length:
                    current.remove(tube)
                    ended.append(tube)
            current += [[(start, score, one)] for score, one in pool]
        for tube in ended + current:
            first, last = tube[0][0], tube[-1][0] + length
            if last - first >= rules.min_length:
                table = np.zeros((last - first, 6))
                for place, frame in enumerate(range(first, last)):
                    covering = [
                        (one[frame - start], score) for start, score, one in tube if start <= frame < start + length
                    ]
                    table[place] = frame, *np.mean([[*box, score] for box, score in covering], axis=0)
                result.append((label, table, np.mean([score for _, score, _ in tube])))
    return result


def crowd(seed, frames=40, people=5, classes=2, length=7):
    """{first frame: tubelets} of boxes that wander, are missed and found twice."""
    random = np.random.default_rng(seed)
    steps = random.normal(0, 2, (people, frames, 2)).cumsum(axis=1)
    middle = random.uniform(0, 90, (people, 1, 2)) + steps
    half, kinds = random.uniform(10, 20, (people, 1, 2)), random.integers(0, classes, people)
    way = np.concatenate([middle - half, middle + half], axis=2)
    windows = {}
    for start in range(1, frames - length + 2):
        who = np.flatnonzero(random.random(people) < 0.6)
        who = np.concatenate([who, who[random.random(len(who)) < 0.3], random.integers(0, people, 1)])
        tubelets = way[who, start - 1 : start - 1 + length] + random.normal(0, 1.5, (len(who), length, 4))
        windows[start] = rows_of(tubelets, random.uniform(0, 1, len(who)), kinds[who], length)
    return windows


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("way", ["original", "mean", "hard"])
def test_equals_the_slow_twin(seed, way):
    rules = Rules(suppression=way, most=4, min_length=9)
    windows = crowd(seed)
    expected = slow_link(windows, 40, rules)
    assert len(expected) > 2
    assert_alike(link(windows, 40, rules, -np.inf), expected)


@pytest.mark.parametrize("length", [1, 2, 4])
def test_windows_of_any_length(length):
    rules = Rules(frames=length, min_length=length + 2)
    windows = crowd(3, length=length)
    expected = slow_link(windows, 40, rules)
    assert len(expected) > 1
    assert_alike(link(windows, 40, rules, -np.inf), expected)


def test_of_nothing():
    nothing = rows_of([], [])
    for frames in (0, 1, 6, 7, 20):
        memory, told = Memory.empty(7), []
        for _ in range(frames):
            rows, memory = step(nothing, memory, Rules())
            told += rows
        told += finish(memory, Rules())
        assert [len(rows["boxes"]) for rows in told] == [0] * frames
        assert all(rows["boxes"].shape == (0, 4) and rows["track_ids"].shape == (0,) for rows in told)
    assert link({}, 0, Rules()) == link({}, 30, Rules()) == []


BOX = [10.0, 10.0, 40.0, 40.0]


def still(*scores, box=BOX, classes=None):
    return rows_of([[box] * 7] * len(scores), scores, classes)


def spans(tubes):
    return sorted((int(tube.frames[0]), int(tube.frames[-1])) for tube in tubes)


def test_a_video_shorter_than_a_window_has_no_tubes():
    memory, told = Memory.empty(7), []
    for _ in range(6):
        rows, memory = step(still(0.9), memory, SHORT)
        told += rows
    told += finish(memory, SHORT)
    assert len(told) == 6 and not any(len(rows["boxes"]) for rows in told)
    assert spans(link({1: still(0.9)}, 7, SHORT)) == [(1, 7)]


def test_windows_beyond_the_ends_of_the_video_are_left_out():
    frames, memory, told = 9, Memory.empty(7), []
    for key in range(1, frames + 1):
        # Whole windows have key frames 4 to 6; what the others say is never seen.
        rows, memory = step(still(0.9 if 4 <= key <= 6 else 0.1), memory, SHORT)
        told += rows
    told += finish(memory, SHORT)
    assert len(told) == frames
    assert all(rows["scores"].tolist() == [pytest.approx(0.9)] for rows in told)


@pytest.mark.parametrize(("gap", "expected"), [(1, 1), (6, 1), (7, 1), (8, 2)])
def test_a_step_of_a_whole_window_links_and_no_longer_one(gap, expected):
    assert len(link({1: still(0.9), 1 + gap: still(0.8)}, 40, SHORT)) == expected


def test_the_best_score_is_taken_and_not_the_largest_overlap():
    moved = [12.0, 10.0, 42.0, 40.0]
    second = rows_of([[BOX] * 7, [moved] * 7], [0.5, 0.6])
    (tube,) = [
        tube for tube in link({1: still(0.9), 2: second}, 8, Rules(min_length=1, overlap=1.0)) if tube.score > 0.7
    ]
    assert tube.score == pytest.approx(0.75) and tube.boxes[-1].tolist() == moved


def test_two_tubes_never_share_a_tubelet_and_the_better_one_takes_it():
    left, right = [0.0, 0, 30, 30], [12.0, 0, 42, 30]
    between = [6.0, 0, 36, 30]
    windows = {1: rows_of([[left] * 7, [right] * 7], [0.8, 0.9]), 2: rows_of([[between] * 7], [0.5])}
    found = link(windows, 8, SHORT)
    assert sorted((round(tube.score, 3), len(tube.frames)) for tube in found) == [(0.7, 8), (0.8, 7)]


@pytest.mark.parametrize(("last", "count"), [(8, 0), (9, 1)])
def test_tubes_of_14_frames_are_dropped_and_of_15_kept(last, count):
    assert len(link({1: still(0.9), last - 3: still(0.9), last: still(0.9)}, 40, Rules())) == count


@pytest.mark.parametrize(("score", "count"), [(0.0049, 0), (0.0051, 1)])
def test_faint_tubes_are_dropped(score, count):
    assert len(link({start: still(score) for start in range(1, 15)}, 20, Rules())) == count


def test_classes_are_apart():
    windows = {start: still(0.9, 0.8, classes=[3, 1]) for start in range(1, 15)}
    assert [(tube.label, tube.score) for tube in link(windows, 20, Rules())] == [
        (3, pytest.approx(0.9)),
        (1, pytest.approx(0.8)),
    ]


def test_only_the_best_of_a_class_count():
    apart = [[[100.0 * place, 0, 100.0 * place + 30, 30]] * 7 for place in range(5)]
    windows = {start: rows_of(apart * 2, np.arange(10) / 10, [0] * 5 + [1] * 5) for start in range(1, 15)}
    found = link(windows, 20, Rules(most=2))
    assert sorted((tube.label, round(tube.score, 3)) for tube in found) == [(0, 0.3), (0, 0.4), (1, 0.8), (1, 0.9)]


def test_frames_are_told_once_in_order_and_not_later_than_they_must():
    rules, memory = Rules(), Memory.empty(7)
    told, late = [], []
    for key in range(1, 101):
        rows, memory = step(crowd(key % 3)[1], memory, rules)
        told += rows
        late.append(key - len(told))
    assert max(late) <= rules.frames - 1 + rules.min_length - 1
    assert len(told + finish(memory, rules)) == 100
    assert finish(memory, rules)[0].keys() == {"boxes", "scores", "classes", "track_ids", SCORE}


def test_identities_stay_and_scores_end_as_those_of_the_tube():
    windows = {start: still(start / 100) for start in range(1, 15)}
    memory, told = Memory.empty(7), []
    for key in range(1, 21):
        rows, memory = step(windows.get(key - 3, still(1.0)), memory, Rules())
        told += rows
    told += finish(memory, Rules())
    assert [rows["track_ids"].tolist() for rows in told] == [[1]] * 20
    assert told[-1][SCORE][0] == pytest.approx(np.mean(np.arange(1, 15)) / 100)
    assert told[0]["scores"][0] == pytest.approx(0.01) and told[-1]["scores"][0] == pytest.approx(0.14)


def test_truth_as_tubelets_is_scored_as_perfect():
    """Three individuals, one of whom does one thing for 20 frames and then another; two videos."""
    metric = TubeMetric(("a", "b"))
    acts = [(0, 0, 1, 40), (1, 1, 6, 25), (2, 0, 3, 20), (2, 1, 21, 40)]  # individual, class, first and last frame
    frames = np.arange(41)[:, None]
    ways = [np.array([60 * who, 0, 60 * who + 30, 30]) + frames * [1, 0.5, 1, 0.5] for who in range(3)]
    for video in ("v", "w"):
        memory, told = Memory.empty(7), []
        for key in range(1, 41):
            whole = [(who, label) for who, label, first, last in acts if first <= key - 3 and key + 3 <= last]
            found = rows_of(
                [ways[who][key - 3 : key + 4] for who, _ in whole],
                np.full(len(whole), 0.9),
                [kind for _, kind in whole],
            )
            metric.alone(ImageKey(key, video, key), found)
            rows, memory = step(found, memory, Rules())
            told += rows
        for key, rows in enumerate(told + finish(memory, Rules()), start=1):
            there = [(who, label) for who, label, first, last in acts if first <= key <= last]
            truth = {"track_ids": np.array([who for who, _ in there]), "classes": np.array([kind for _, kind in there])}
            truth |= {"boxes": np.array([ways[who][key] for who, _ in there])}
            truth |= {name: np.zeros(len(there), bool) for name in ("ignored", "crowd")}
            metric.update(ImageKey(key, video, key), rows, truth)
    scores = metric.result()
    assert scores.main == {"frame-mAP": pytest.approx(1), "video-mAP": pytest.approx(1)}
    assert scores.tube_means["0.95"] == 1 and scores.frame_means["missed"] == 0


def parts(memory):
    named = {f"tubes.{name}": value for name, value in vars(memory.tubes).items()}
    return {**named, **{field.name: getattr(memory, field.name) for field in dataclasses.fields(memory)}}


def test_nothing_that_came_in_is_changed():
    windows, memory = crowd(0), Memory.empty(7)
    for key in range(1, 41):
        found = windows.get(key - 3, windows[1])
        before = {name: np.copy(value) for name, value in parts(memory).items() if isinstance(value, np.ndarray)}
        given = {name: np.copy(value) for name, value in found.items()}
        further = step(found, memory, Rules())[1]
        again = step(found, memory, Rules())[1]
        for name, value in before.items():
            np.testing.assert_array_equal(parts(memory)[name], value)
            np.testing.assert_array_equal(parts(further)[name], parts(again)[name])
        for name, value in given.items():
            np.testing.assert_array_equal(found[name], value)
        memory = further


def test_what_is_held_does_not_grow():
    random = np.random.default_rng(0)
    rules, memory, sizes = Rules(), Memory.empty(7), []
    for _ in range(300):
        corner = random.uniform(0, 90, (12, 1, 2)) + np.zeros((12, 7, 2))
        found = rows_of(np.concatenate([corner, corner + 30], axis=2), random.random(12), random.integers(0, 3, 12))
        _, memory = step(found, memory, rules)
        sizes.append(sum(value.nbytes for value in parts(memory).values() if isinstance(value, np.ndarray)))
    assert max(sizes[150:]) < 1.5 * max(sizes[50:150])


def test_wrong_calls_are_told():
    with pytest.raises(UsageError, match=r"expected \(1, 7, 4\)"):
        step(rows_of([[BOX] * 3], [0.5], frames=3), Memory.empty(7), Rules())
    with pytest.raises(UsageError, match="frames is 0"):
        Rules(frames=0)


@pytest.mark.long
def test_ten_thousand_frames_of_a_hundred_tubelets_take_less_than_a_minute():
    random = np.random.default_rng(0)
    middle, kinds = random.uniform(20, 300, (30, 1, 2)), random.integers(0, 24, 30)
    windows = []
    for start in range(200):
        who = random.integers(0, 30, 100)
        way = 40 * np.sin((start + np.arange(7))[None, :, None] / 50 + who[:, None, None])
        place = middle[who] + way + random.normal(0, 2, (100, 7, 2))
        windows.append(rows_of(np.concatenate([place - 20, place + 20], axis=2), random.random(100), kinds[who]))
    memory, held, told, began = Memory.empty(7), [], 0, time.process_time()
    for number in range(10_000):
        rows, memory = step(windows[number % 200], memory, Rules())
        told += len(rows)
        held.append(sum(value.nbytes for value in parts(memory).values() if isinstance(value, np.ndarray)))
    assert told + len(finish(memory, Rules())) == 10_000
    assert time.process_time() - began < 60
    assert max(held[9000:]) < 1.2 * max(held[:1000])
