"""Tubes and their overlaps: the official code's values, slow twins, and what must hold of any."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centernet_tf.geometry.boxes import box_iou
from centernet_tf.properties.tracks.tubes import Tube, TubeBook, distinct, tube_iou, whole_windows


def tube(start, length, box=(0, 0, 9, 9), score=0.5, label=0, step=(0, 0)):
    boxes = np.array(box, np.float32) + np.arange(length)[:, None] * np.tile(step, 2)
    return Tube(label, score, np.arange(start, start + length), boxes.astype(np.float32), np.full(length, score))


def golden_tubes(golden_points):
    arrays, meta = golden_points("moc-blocks")
    rows = [arrays[f"tube/{number}"] for number in range(len(meta["tube_scores"]))]
    frames = [one[:, 0].astype(int) for one in rows]
    return [
        Tube(0, score, when, one[:, 1:], np.ones(len(one)))
        for score, when, one in zip(meta["tube_scores"], frames, rows)
    ]


def slow_iou(one, other):
    boxes = [dict(zip(tube.frames.tolist(), tube.boxes)) for tube in (one, other)]
    both = boxes[0].keys() & boxes[1].keys()
    if not both:
        return 0.0
    spatial = np.mean([box_iou(boxes[0][frame][None], boxes[1][frame][None], 1.0) for frame in both])
    return spatial * len(both) / len(boxes[0].keys() | boxes[1].keys())


def test_of_no_tubes():
    assert tube_iou([], []).shape == (0, 0) and tube_iou([tube(1, 3)], []).shape == (1, 0)
    assert tube_iou([], [tube(1, 3)]).shape == (0, 1) and distinct([]) == []
    assert TubeBook().tubes() == [] and whole_windows([], 30).tolist() == []
    book = TubeBook()
    book.add(1, {"track_ids": np.array([-1]), "classes": np.array([0]), "boxes": np.ones((1, 4))})
    assert book.tubes() == []


def test_overlaps_are_those_of_the_original(golden_points):
    arrays, _ = golden_points("moc-blocks")
    tubes = golden_tubes(golden_points)
    np.testing.assert_allclose(tube_iou(tubes, tubes), arrays["iou3dt/out"], atol=1e-6)
    np.testing.assert_allclose(tube_iou(tubes, tubes, spatial_only=True), arrays["iou3dt/spatial_only"], atol=1e-6)


def test_distinct_tubes_are_those_of_the_original(golden_points):
    _, meta = golden_points("moc-blocks")
    assert distinct(golden_tubes(golden_points), 0.3) == meta["nms3dt_0.3_keeps"]


def test_windows_are_those_of_the_original(golden_points):
    _, meta = golden_points("moc-blocks")
    assert whole_windows(meta["window_tubes"], 35).tolist() == meta["window_starts_of_35_frames"]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (tube(1, 10), tube(1, 10), 1.0),
        (tube(1, 10), tube(6, 10), 5 / 15),
        (tube(1, 10), tube(11, 10), 0.0),
        (tube(1, 10), tube(1, 10, (20, 20, 29, 29)), 0.0),
        (tube(1, 10), tube(4, 2), 2 / 10),
        (tube(5, 1), tube(5, 1, (0, 0, 9, 4)), 0.5),
    ],
)
def test_overlap_in_space_and_time(one, other, expected):
    assert tube_iou([one], [other])[0, 0] == pytest.approx(expected)


@st.composite
def tubes(draw):
    start, length = draw(st.integers(0, 20)), draw(st.integers(1, 15))
    corner = [draw(st.integers(0, 20)) for _ in range(2)]
    step = [draw(st.integers(-2, 2)) for _ in range(2)]
    return tube(start, length, (*corner, corner[0] + 12, corner[1] + 12), step=step)


@settings(deadline=None, max_examples=30)
@given(st.lists(tubes(), max_size=4), st.lists(tubes(), max_size=4))
def test_overlaps_equal_the_slow_twin(first, second):
    value = tube_iou(first, second)
    expected = np.array([[slow_iou(one, other) for other in second] for one in first]).reshape(value.shape)
    np.testing.assert_allclose(value, expected, atol=1e-6)
    np.testing.assert_allclose(value, tube_iou(second, first).T, atol=1e-6)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 15)), max_size=4), st.integers(0, 30), st.integers(1, 9))
def test_windows_equal_the_slow_twin(spans, frames, length):
    spans = [(first, first + more) for first, more in spans]
    tubes = [set(range(first, last + 1)) for first, last in spans]
    expected = []
    for start in range(1, frames - length + 2):
        window = set(range(start, start + length))
        inside = [window <= one for one in tubes]
        if any(inside) and all(now or not window & one for now, one in zip(inside, tubes)):
            expected.append(start)
    assert whole_windows(spans, frames, length).tolist() == expected


def frame_of(*objects, **more):
    """Rows of (identity, class, left)."""
    left = np.array([one[2] for one in objects], np.float32)
    boxes = np.stack([left, left * 0, left + 9, left * 0 + 9], axis=1)
    ids, classes = (np.array([one[place] for one in objects], int) for place in (0, 1))
    return {"track_ids": ids, "classes": classes, "boxes": boxes, **more}


def test_a_tube_ends_where_the_class_the_identity_or_the_frames_do():
    book = TubeBook()
    # Identity 3 changes its class at frame 3, is away at 5 and back at 6; identity 8 and who is nobody are beside.
    for frame in (6, 1, 2, 3, 4, 7):
        book.add(frame, frame_of((3, int(frame > 2), frame), (8, 0, 50), (-1, 0, 70)))
    found = [(one.track_id, one.label, one.frames.tolist()) for one in book.tubes()]
    assert found == [(3, 0, [1, 2]), (3, 1, [3, 4]), (3, 1, [6, 7]), (8, 0, [1, 2, 3, 4]), (8, 0, [6, 7])]
    first = book.tubes()[0]
    assert first.boxes[:, 0].tolist() == [1, 2] and first.score == 1 and first.scores.tolist() == [1, 1]


def test_scores_are_what_is_known_last_or_the_mean():
    plain, told = TubeBook(), TubeBook()
    for frame, score, so_far in ((1, 0.2, 0.2), (2, 0.6, 0.4), (3, 0.1, 0.001)):
        plain.add(frame, frame_of((1, 0, 0), scores=np.array([score])))
        told.add(frame, frame_of((1, 0, 0), scores=np.array([score]), tube_scores=np.array([so_far])))
    assert plain.tubes()[0].score == pytest.approx(0.3)
    assert told.tubes()[0].score == pytest.approx(0.001) and told.tubes(0.005) == []


def test_as_dict_is_json():
    content = tube(4, 2, (0.123456, 0, 9, 9), 1 / 3, label=1).as_dict(("walk", "still"), 2)
    assert (
        content["label"] == "still"
        and content["start"] == 4
        and content["frames"] == [4, 5]
        and content["score"] == 0.33
    )
    assert content["boxes"] == [[0.12, 0, 9, 9]] * 2 and json.loads(json.dumps(content)) == content
