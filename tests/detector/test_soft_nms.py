"""Soft-NMS against the numbers of the original and against loops over one row at a time."""

import functools

import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from centernet_tf.detector import soft_nms

MARGIN = 1e-5  # Scores closer than this may change places in float32.


class Graph(keras.Model):
    """Compiled once for each shape, as in a detector."""

    def __init__(self, function, count):
        super().__init__()
        self.function, self.count = function, count
        self.built = True

    def call(self, inputs):
        return self.function(inputs["boxes"], inputs["scores"], inputs["classes"], self.count)[:2]


compiled = functools.cache(Graph)


def call(function, boxes, scores, classes=None, count=None):
    """[(row, score)] of one image, without rows that score 0."""
    scores = np.asarray(scores, np.float32)
    classes = np.zeros(len(scores), np.int32) if classes is None else np.asarray(classes, np.int32)
    inputs = {"boxes": np.asarray(boxes, np.float32)[None], "scores": scores[None], "classes": classes[None]}
    left, index = compiled(function, count or len(scores)).predict_on_batch(inputs)
    return [(int(row), float(score)) for row, score in zip(index[0], left[0]) if score > 0]


def share(first, second):
    width = min(first[2], second[2]) - max(first[0], second[0]) + 1
    height = min(first[3], second[3]) - max(first[1], second[1]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    area, other = ((box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (first, second))
    return width * height / (area + other - width * height)


def close(first, second, touched=True):
    """Whether rounding decides which of two scores is larger; equal scores as given are told apart by their rows."""
    return touched and bool(abs(first - second) <= MARGIN * max(first, second))


def slow_clean(boxes, scores, classes, doubts=None):
    """Class by class, one box at a time, in a list that boxes leave."""
    doubts = [] if doubts is None else doubts
    chosen = []
    for kind in sorted(set(classes)):
        rest = [[row, float(scores[row]), False] for row in range(len(scores)) if classes[row] == kind]
        while rest:
            best = max(rest, key=lambda entry: entry[1])
            doubts += [True for one in rest if one is not best and close(best[1], one[1], best[2] or one[2])]
            rest.remove(best)
            chosen.append((best[0], best[1]))
            for entry in list(rest):
                part = share(boxes[entry[0]], boxes[best[0]])
                if part > 0:
                    entry[1] *= np.exp(-(part**2) / 0.5)
                    entry[2] = True
                    doubts += [True] * close(entry[1], 0.001)
                    if entry[1] < 0.001:
                        rest.remove(entry)
    return sorted(chosen, key=lambda entry: -entry[1])


def slow_in_place(boxes, scores, classes, doubts=None, ends=None):
    """The published array that is edited and never shortened.

    Adds (row, score, row of its keypoints) to `ends`: keypoints change places where boxes are copied.
    """
    doubts, ends = [] if doubts is None else doubts, [] if ends is None else ends
    everything = []
    for kind in sorted(set(classes)):
        rows = [[row, float(scores[row]), False] for row in range(len(scores)) if classes[row] == kind]
        joints = [row for row, _, _ in rows]
        live, first = len(rows), 0
        while first < live:
            best = max(range(first, live), key=lambda place: rows[place][1])
            others = [rows[place] for place in range(first, live) if place != best]
            doubts += [True for one in others if close(rows[best][1], one[1], rows[best][2] or one[2])]
            rows[first], rows[best] = rows[best], rows[first]
            joints[first], joints[best] = joints[best], joints[first]
            place = first + 1
            while place < live:
                part = share(boxes[rows[place][0]], boxes[rows[first][0]])
                if part > 0:
                    row, score, _ = rows[place]
                    rows[place] = [row, score * np.exp(-(part**2) / 0.5), True]
                    doubts += [True] * close(rows[place][1], 0.001)
                    if rows[place][1] < 0.001:
                        rows[place] = list(rows[live - 1])
                        joints[place], joints[live - 1] = joints[live - 1], joints[place]
                        live -= 1
                        continue
                place += 1
            first += 1
        everything += [(row, score) for row, score, _ in rows]
        ends += [(row, score, joint) for (row, score, _), joint in zip(rows, joints)]
    return sorted(everything, key=lambda entry: -entry[1])


BOTH = pytest.mark.parametrize(
    ("function", "twin"),
    [(soft_nms.soft_nms, slow_clean), (soft_nms.soft_nms_in_place, slow_in_place)],
    ids=["clean", "in place"],
)
NEAR = [[0, 0, 10, 10], [1, 1, 11, 11], [50, 50, 60, 60]]
TWICE = [[0, 0, 10, 10], [0, 0, 10, 10], [50, 50, 60, 60]]


@BOTH
def test_published_numbers(function, twin):
    expected = [(0, 0.9), (2, 0.7), (1, 0.296707)]
    for found in (call(function, NEAR, [0.9, 0.8, 0.7]), twin(NEAR, [0.9, 0.8, 0.7], [0, 0, 0])):
        assert [row for row, _ in found] == [0, 2, 1]
        np.testing.assert_allclose([score for _, score in found], [score for _, score in expected], rtol=1e-5)


def test_a_row_is_left_behind_in_place_only():
    scores = [0.9, 0.005, 0.7]
    assert [row for row, _ in call(soft_nms.soft_nms, TWICE, scores)] == [0, 2]
    stale = call(soft_nms.soft_nms_in_place, TWICE, scores)
    assert [row for row, _ in stale] == [0, 2, 2]
    np.testing.assert_allclose([score for _, score in stale], [0.9, 0.7, 0.7], rtol=1e-6)
    assert [row for row, _ in slow_in_place(TWICE, scores, [0, 0, 0])] == [0, 2, 2]


@BOTH
@pytest.mark.parametrize(
    ("boxes", "scores", "classes", "expected"),
    [
        ([[0, 0, 5, 5]], [0.0], [0], []),
        ([[0, 0, 5, 5]], [0.5], [3], [(0, 0.5)]),
        ([[0, 0, 5, 5]], [0.0005], [0], [(0, 0.0005)]),  # Nothing lowers it, so nothing drops it.
        ([[0, 0, 5, 5]] * 2, [0.5, 0.4], [0, 1], [(0, 0.5), (1, 0.4)]),  # Classes do not meet.
        ([[0, 0, 5, 5]] * 2, [0.4, 0.4], [0, 0], [(0, 0.4), (1, 0.4 * np.exp(-2))]),  # The first of equals.
        ([[0, 0, 5, 5], [6, 0, 9, 5]], [0.5, 0.4], [0, 0], [(0, 0.5), (1, 0.4)]),  # Neighbours do not overlap.
        ([[0, 0, 1, 0], [1, 0, 2, 0]], [0.5, 0.4], [0, 0], [(0, 0.5), (1, 0.4 * np.exp(-2 / 9))]),  # One pixel does.
        ([[3, 3, 1, 1]] * 2, [0.5, 0.4], [0, 0], [(0, 0.5), (1, 0.4)]),  # Sides of -2 meet nothing.
    ],
    ids=["empty", "single", "low", "classes", "ties", "apart", "a pixel", "inside out"],
)
def test_small_cases(function, twin, boxes, scores, classes, expected):
    found = call(function, boxes, scores, classes)
    assert [row for row, _ in found] == [row for row, _ in expected]
    np.testing.assert_allclose([score for _, score in found], [score for _, score in expected], rtol=1e-5)


@st.composite
def crowds(draw):
    """Boxes on a small grid, so that they meet, coincide and tie; half of the scores near the threshold."""
    count = draw(st.integers(1, 12))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    corners = random.integers(0, draw(st.sampled_from([2, 6, 20])), (count, 2))
    boxes = np.concatenate([corners, corners + random.integers(0, 8, (count, 2))], axis=1)
    levels = np.array([0.9, 0.7, 0.5, 0.31, 0.004, 0.0023, 0.0015, 0.0012])
    scores = np.where(random.random(count) < 0.5, random.choice(levels, count), random.random(count))
    return boxes.astype(np.float32), scores.astype(np.float32), random.integers(0, draw(st.sampled_from([1, 3])), count)


@BOTH
@settings(max_examples=200, deadline=None)
@given(crowd=crowds())
def test_crowds_as_one_row_at_a_time(function, twin, crowd):
    boxes, scores, classes = crowd
    doubts = []
    expected = [entry for entry in twin(boxes, scores, classes.tolist(), doubts) if entry[1] > 0]
    assume(not doubts)
    # One shape for all examples, so that they are compiled once: rows of a class of their own, far away.
    spare = 12 - len(scores)
    far = np.array([[1e4, 1e4, 1e4, 1e4]] * spare, np.float32).reshape(-1, 4)
    found = call(
        function,
        np.concatenate([boxes, far]),
        np.concatenate([scores, np.zeros(spare)]),
        np.concatenate([classes, np.full(spare, 99)]),
        count=12,
    )
    np.testing.assert_allclose([score for _, score in found], [score for _, score in expected], rtol=1e-4)
    assert sorted(row for row, _ in found) == sorted(row for row, _ in expected)
    np.testing.assert_allclose(sorted(found), sorted(expected), rtol=1e-4)


@BOTH
def test_only_the_best_are_returned_and_images_stay_apart(function, twin):
    boxes = np.array([NEAR, [[0, 0, 10, 10], [70, 0, 80, 10], [30, 30, 40, 40]]], np.float32)
    scores = np.array([[0.9, 0.8, 0.7], [0.1, 0.2, 0.3]], np.float32)
    inputs = {"boxes": boxes, "scores": scores, "classes": np.zeros((2, 3), np.int32)}
    left, index = compiled(function, 2).predict_on_batch(inputs)
    np.testing.assert_allclose(left, [[0.9, 0.7], [0.3, 0.2]], rtol=1e-6)
    assert index.tolist() == [[0, 2], [2, 1]]


@pytest.mark.parametrize("stale", [False, True])
def test_other_fields_follow_their_rows(stale):
    found = {
        "boxes": np.array([NEAR], np.float32),
        "scores": np.array([[0.7, 0.8, 0.9]], np.float32),
        "classes": np.array([[1, 1, 0]], np.int32),
        "keypoints": np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2),
    }
    kept = {name: np.asarray(value) for name, value in soft_nms.keep_best(found, 2, stale).items()}
    assert kept["classes"].tolist() == [[0, 1]]
    assert kept["boxes"][0, :, 0].tolist() == [50, 1]
    assert kept["keypoints"][0].tolist() == [[[8, 9], [10, 11]], [[4, 5], [6, 7]]]


@functools.cache
class Stale(keras.Model):
    """Compiled once."""

    def __init__(self):
        super().__init__()
        self.built = True

    def call(self, inputs):
        return soft_nms.keep_best(inputs, 14, stale_rows=True)


@pytest.mark.parametrize("seed", range(40))
def test_stale_rows_have_the_keypoints_of_those_that_fell(seed):
    """Many rows near the threshold, so that several fall in one step."""
    random = np.random.default_rng(seed)
    corners = random.integers(0, (2, 6, 20)[seed % 3], (14, 2))
    boxes = np.concatenate([corners, corners + random.integers(3, 9, (14, 2))], axis=1).astype(np.float32)
    scores = np.where(random.random(14) < 0.6, random.uniform(0.001, 0.004, 14), random.random(14)).astype(np.float32)
    classes, doubts, ends = random.integers(0, 1 + seed % 2, 14), [], []
    slow_in_place(boxes, scores, classes.tolist(), doubts, ends)
    found = {"boxes": boxes[None], "scores": scores[None], "classes": classes[None].astype(np.int32)}
    found |= {"keypoints": np.arange(14, dtype=np.float32)[None, :, None, None] + np.zeros((1, 1, 17, 2), np.float32)}
    kept = {name: value[0] for name, value in Stale().predict_on_batch(found).items()}
    if doubts:
        pytest.skip("rounding decides")
    joints = kept["keypoints"][:, 0, 0].astype(int).tolist()
    found = sorted((round(float(score), 5), joint) for score, joint in zip(kept["scores"], joints))
    expected = sorted((round(float(score), 5), joint) for _, score, joint in ends)
    assert [joint for _, joint in found] == [joint for _, joint in expected]
    np.testing.assert_allclose(np.array(found), np.array(expected), atol=2e-5)


def test_some_rows_are_stale_in_the_cases_above():
    """The dropped second row's keypoints stay with the copy of the third."""
    found = {"boxes": np.float32([TWICE]), "scores": np.float32([[0.9, 0.005, 0.7]]), "classes": np.zeros((1, 3), "i4")}
    found["keypoints"] = np.arange(3, dtype=np.float32)[None, :, None, None]
    kept = soft_nms.keep_best(found, 3, stale_rows=True)
    assert sorted(np.asarray(kept["keypoints"]).ravel().tolist()) == [0, 1, 2]
    assert np.asarray(soft_nms.keep_best(found, 3)["keypoints"]).ravel()[:2].tolist() == [0, 2]
