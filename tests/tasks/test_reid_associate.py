"""Identities by appearance, motion and overlap: the original's, rule by rule, and what must hold of any."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centernet_tf.errors import UsageError
from centernet_tf.tasks.reid.associate import Memory, Rules, step

FIELDS = [field.name for field in dataclasses.fields(Memory)]


@pytest.mark.parametrize("clip", ["crossing", "buffer_edge"])
def test_equals_the_original(clip, golden):
    arrays, meta = golden(f"association_fm__{clip}")
    memory, rules = Memory.empty(), Rules(meta["conf_thres"], buffer=meta["max_frames_lost"])
    for number in range(meta["frames"]):
        seen, told = arrays["det_frame"] == number, arrays["out_frame"] == number
        names = {"boxes": "ltrb", "scores": "score", "embeddings": "embedding"}
        found = {ours: arrays[f"det_{theirs}"][seen] for ours, theirs in names.items()}
        ids, boxes, memory = step({**found, "classes": np.zeros(seen.sum(), int)}, memory, rules)
        order = np.argsort(arrays["out_tracking_id"][told])
        expected = {name: arrays[f"out_{name}"][told][order] for name in ("tracking_id", "ltwh", "score")}
        assert np.sort(ids[ids > 0]).tolist() == expected["tracking_id"].tolist()
        boxes = boxes[ids > 0][np.argsort(ids[ids > 0])]
        boxes[:, 2:] -= boxes[:, :2]
        np.testing.assert_allclose(boxes, expected["ltwh"], atol=1e-3)
        rows = np.flatnonzero(memory.tracked & memory.confirmed)
        assert memory.ids[rows].tolist() == expected["tracking_id"].tolist()
        np.testing.assert_allclose(memory.mean[rows], arrays["out_mean"][told][order], atol=1e-9)
        np.testing.assert_allclose(memory.covariance[rows], arrays["out_covariance"][told][order], atol=1e-9)
        assert memory.scores[rows].tolist() == expected["score"].tolist()
        assert memory.ids[~memory.tracked].tolist() == sorted(meta["lost_after_frame"][number])


def one(x, y=0.0, width=20.0, height=40.0, score=0.9, kind=0, look=(1, 0, 0)):
    box = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    return {"boxes": box, "scores": score, "classes": kind, "embeddings": look}


def frame(*objects, length=3):
    shapes = {"boxes": (4,), "scores": (), "classes": (), "embeddings": (length,)}
    return {name: np.array([row[name] for row in objects], float).reshape(-1, *shape) for name, shape in shapes.items()}


def identities(frames, rules=None, memory=None):
    memory, told = memory or Memory.empty(), []
    for found in frames:
        ids, _, memory = step(found, memory, rules or Rules())
        told.append(ids.tolist())
    return told


A, B, C = (1, 0, 0), (0, 1, 0), (0, 0, 1)


def test_of_nobody():
    rules = Rules()
    ids, boxes, memory = step(frame(), Memory.empty(), rules)
    assert ids.shape == (0,) and ids.dtype == np.int64 and boxes.shape == (0, 4) and boxes.dtype == np.float32
    assert memory.frame == 1 and memory.ids.shape == (0,) and memory.covariance.shape == (0, 8, 8)
    # Who comes later has to be seen twice.
    assert identities([frame(one(0)), frame(one(1))], memory=memory) == [[0], [1]]


def test_first_frame_is_told_at_once_and_others_at_the_second_sight():
    assert identities([frame(one(0, look=A)), *[frame(one(0, look=A), one(90, look=B))] * 2]) == [[1], [1, 0], [1, 2]]
    # Someone who is seen once and then missed is forgotten, and the number with them.
    late = frame(one(90, look=B))
    assert identities([frame(one(0)), late, frame(), late, late])[1:] == [[0], [], [0], [3]]


def test_nothing_that_came_in_is_changed(crowd):
    frames = list(crowd(0, 6))
    memory = Memory.empty()
    for found in frames:
        before = {name: np.copy(getattr(memory, name)) for name in FIELDS}
        values = {name: array.copy() for name, array in found.items()}
        kept, memory = memory, step(found, memory, Rules())[2]
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(kept, name), before[name], err_msg=name)
        for name, array in values.items():
            np.testing.assert_array_equal(found[name], array)


def test_looks_tell_who_passes_whom():
    """Two walk through each other, both unseen in the middle; by overlap and motion alone they would turn back."""
    ways = [(3 * t, 60 - 3 * t) for t in range(21)]
    frames = [
        frame(one(left, look=A), one(right, look=B)) if not 7 < t < 13 else frame()
        for t, (left, right) in enumerate(ways)
    ]
    assert identities(frames)[-1] == [1, 2]


def test_who_looks_alike_but_is_far_is_someone_new():
    frames = [frame(one(0)), frame(one(0)), frame(one(300)), frame(one(300))]
    assert identities(frames)[2:] == [[0], [2]]
    assert identities(frames, Rules(use_motion=False))[2:] == [[1], [1]]


def test_overlap_takes_who_looks_different():
    assert identities([frame(one(0, look=A)), frame(one(2, look=B))]) == [[1], [1]]
    # Not so who was missing: only looks bring them back.
    assert identities([frame(one(0, look=A)), frame(), *[frame(one(2, look=B))] * 2])[2:] == [[0], [2]]
    # Nor where IoU is below a half.
    assert identities([frame(one(0, look=A)), frame(one(8, look=B))]) == [[1], [0]]


@pytest.mark.parametrize(("scale", "expected"), [(1, 1), (10, 0)])
def test_the_border_pixels_count(scale, expected):
    """Boxes 3 pixels wide and 1.2 apart: their IoU is 2.8 / 5.2, above a half, and that of large ones 1.8 / 4.2."""
    first, second = (one(scale * x, width=3 * scale, height=8 * scale, look=look) for x, look in ((0, A), (1.2, B)))
    assert identities([frame(first), frame(second)]) == [[1], [expected]]


@pytest.mark.parametrize("buffer", [0, 1, 2, 5])
def test_who_is_missed_too_long_is_forgotten(buffer):
    for misses in range(9):
        told = identities([frame(one(0)), *[frame()] * misses, *[frame(one(0))] * 2], Rules(buffer=buffer))
        assert told[-1] == [1 if misses <= max(buffer, 1) + 1 else 2], misses


def test_who_came_back_late_is_gone_when_missed_again():
    rules = Rules(buffer=2)
    late = [frame(one(0)), *[frame()] * 3, frame(one(0))]
    assert identities(late, rules)[-1] == [1]
    assert identities([*late, frame(), *[frame(one(0))] * 2], rules)[-2:] == [[0], [2]]
    in_time = [frame(one(0)), *[frame()] * 2, frame(one(0))]
    assert identities([*in_time, frame(), frame(one(0))], rules)[-1] == [1]


def test_who_was_missing_keeps_the_score():
    frames = [frame(one(0, score=0.9)), frame(), frame(one(0, score=0.5)), frame(one(0, score=0.6))]
    memory, scores = Memory.empty(), []
    for found in frames:
        memory = step(found, memory, Rules())[2]
        scores.append(round(float(memory.scores[0]), 3))
    assert scores == [0.9, 0.9, 0.9, 0.6]


def test_who_is_missing_keeps_the_height_but_walks_on():
    memory = Memory.empty()
    for t in range(12):
        memory = step(frame(one(4 * t, height=40 + t)), memory, Rules())[2]
    x, height, pace = memory.mean[0, 0], memory.mean[0, 3], memory.mean[0, 4:]
    assert pace[0] > 3 and pace[3] > 0.3
    for _ in range(3):
        memory = step(frame(), memory, Rules())[2]
    assert memory.mean[0, 0] > x + 9
    # The first of the three frames still had it seen before, so that it grew once.
    np.testing.assert_allclose(memory.mean[0, 3], height + pace[3])
    assert memory.mean[0, 7] == 0


def test_boxes_are_those_of_the_filter():
    ids, boxes, memory = step(frame(one(0)), Memory.empty(), Rules())
    np.testing.assert_allclose(boxes, [one(0)["boxes"]], atol=1e-5)
    ids, boxes, _ = step(frame(one(4), one(99, look=B)), memory, Rules())
    assert ids.tolist() == [1, 0]
    assert 2 < boxes[0, 0] + 10 < 4 and boxes[1].tolist() == one(99)["boxes"]


def test_embeddings_are_a_running_mean():
    look = np.array([0.6, 0.8, 0])
    memory = step(frame(one(0, look=A)), Memory.empty(), Rules())[2]
    memory = step(frame(one(0, look=look * 7)), memory, Rules(smoothing=0.75))[2]  # of whatever length
    expected = 0.75 * np.array(A) + 0.25 * look
    np.testing.assert_allclose(memory.embedding[0], expected / np.linalg.norm(expected), atol=1e-6)


@pytest.mark.parametrize("age", [1, 3])
def test_of_two_at_one_place_the_younger_is_forgotten(age):
    """Someone is lost for a frame, and someone who looks otherwise stands at the place."""
    first = [frame(one(0, look=A))] * age
    told = identities([*first, frame(), *[frame(one(0, look=B))] * 3, frame(one(0, look=A))])
    # The new one is younger and forgotten again and again; of the age of one frame, both are as old, and the one who is
    # seen goes.
    assert told[age + 1 :] == [[0], [0], [0], [1]]
    elsewhere = [*first, frame(), *[frame(one(0, look=B, kind=1))] * 3]
    assert identities(elsewhere)[-1] == [2]  # of another class


def test_the_older_stays_where_the_missing_is_younger():
    old, new = [one(0, look=A)], [one(90, look=B)]
    frames = [frame(*old)] * 3 + [frame(*old, *new)] * 2 + [frame(*old)]
    memory = Memory.empty()
    for found in frames:
        memory = step(found, memory, Rules())[2]
    assert memory.ids.tolist() == [1, 2] and memory.tracked.tolist() == [True, False]
    rules = Rules(duplicates=-1)  # all are at one place
    assert step(frame(*old), memory, rules)[2].ids.tolist() == [1]


@pytest.mark.parametrize(("score", "expected"), [(0.4, [0]), (0.41, [1])])
def test_scores_count_above_the_threshold(score, expected):
    assert identities([frame(one(0, score=score))]) == [expected]


def test_birth_takes_the_score_itself():
    frames = [frame(one(0, score=0.5), one(90, score=0.75, look=B))]
    assert identities(frames, Rules(birth=0.75)) == [[0, 1]]
    assert identities(frames) == [[1, 2]]


def test_low_scores_continue_and_begin_nothing():
    low = frame(one(1, score=0.3))
    assert identities([frame(one(0)), low]) == [[1], [0]]
    assert identities([frame(one(0)), low], Rules(low=0.2)) == [[1], [1]]
    assert identities([low, low], Rules(low=0.2)) == [[0], [0]]
    assert identities([frame(one(0)), frame(one(1, score=0.2))], Rules(low=0.2)) == [[1], [0]]
    # Who is exactly at the threshold neither continues nor begins.
    assert identities([frame(one(0)), frame(one(1, score=0.4))], Rules(low=0.2)) == [[1], [0]]
    # Who was missing is not found again so, and IoU has to be above 0.6.
    assert identities([frame(one(0)), frame(), low], Rules(low=0.2))[-1] == [0]
    assert identities([frame(one(0)), frame(one(6, score=0.3))], Rules(low=0.2))[-1] == [0]
    # How a weak object looks is not learnt.
    memory = step(frame(one(0, look=A)), Memory.empty(), Rules())[2]
    memory = step(frame(one(1, score=0.3, look=B)), memory, Rules(low=0.2))[2]
    np.testing.assert_allclose(memory.embedding, [A])
    with pytest.raises(UsageError, match=r"low is 0\.5 and threshold 0\.4"):
        Rules(low=0.5)


def test_small_and_wide_boxes_are_followed_but_not_told():
    frames = [frame(one(0, width=90), one(200, width=9, height=11, look=B), one(300, look=C))] * 2
    assert identities(frames) == [[1, 2, 3]] * 2
    assert identities(frames, Rules(min_area=100)) == [[1, 0, 3]] * 2
    assert identities(frames, Rules(max_aspect=1.6)) == [[0, 2, 3]] * 2
    memory = step(frames[0], Memory.empty(), Rules(max_aspect=1.6))[2]
    assert step(frames[1], memory, Rules())[0].tolist() == [1, 2, 3]


def test_classes_are_never_mixed_but_share_the_numbers():
    frames = [frame(one(0, kind=0), one(0, kind=1)), frame(one(1, kind=1), one(1, kind=0))]
    assert identities(frames) == [[1, 2], [2, 1]]
    assert identities([frame(one(0, kind=0)), *[frame(one(0, kind=1))] * 2]) == [[1], [0], [2]]
    assert identities([frame(one(0, kind=0)), frame(one(0, kind=1, score=0.3))], Rules(low=0.1))[-1] == [0]


def test_two_cameras_do_not_know_each_other(crowd):
    videos = [list(crowd(seed)) for seed in (1, 2)]
    apart = [identities(video) for video in videos]
    memories, together = [Memory.empty(), Memory.empty()], [[], []]
    for found in zip(*videos, strict=True):
        for camera in (0, 1):
            ids, _, memories[camera] = step(found[camera], memories[camera], Rules())
            together[camera].append(ids.tolist())
    assert together == apart and min(max(map(max, told)) for told in apart) > 3


def test_without_embeddings_overlap_brings_back():
    plain = {name: value for name, value in frame(one(0)).items() if name != "embeddings"}
    none = {name: value for name, value in frame().items() if name != "embeddings"}
    moved = {name: value for name, value in frame(one(6)).items() if name != "embeddings"}
    assert identities([plain, none, moved]) == [[1], [], [1]]
    other = [frame(one(0, look=A)), frame(), frame(one(6, look=B))]
    assert identities(other) == [[1], [], [0]]
    assert identities(other, Rules(use_embedding=False)) == [[1], [], [1]]
    assert identities(other, Rules(use_embedding=False, alone_limit=0.4)) == [[1], [], [0]]


def test_without_motion_boxes_stay_where_they_were_seen():
    memory = Memory.empty()
    for t in range(5):
        ids, boxes, memory = step(frame(one(4 * t)), memory, Rules(use_motion=False))
        np.testing.assert_allclose(boxes, [one(4 * t)["boxes"]], atol=1e-4)
        assert ids.tolist() == [1]
    assert not memory.mean[0, 4:].any()
    far = frame(one(800))
    assert step(far, memory, Rules(use_motion=False))[0].tolist() == [1]  # no gate


def test_embeddings_of_another_length_are_an_error():
    memory = step(frame(one(0)), Memory.empty(), Rules())[2]
    with pytest.raises(UsageError, match="2 numbers, and 3 in the frames before"):
        step(frame(one(0, look=(1, 0)), length=2), memory, Rules())
    with pytest.raises(UsageError, match="0 numbers, and 3"):
        step(frame(one(0)), memory, Rules(use_embedding=False))


@pytest.mark.parametrize(
    "box", [[0, 0, 0, 9], [0, 9, 9, 9], [9, 0, 0, 9], [0, 9, 9, 0], [np.nan, 0, 9, 9], [0, 0, 9, np.inf]]
)
def test_what_is_no_box_is_nobody(box):
    good = one(0)
    bad = {**good, "boxes": box}
    told = identities([frame(good, bad), frame(bad, good)])
    assert told == [[1, 0], [0, 1]]


@given(st.lists(st.lists(st.tuples(*[st.floats(width=32)] * 4, st.floats(0, 1, width=32)), max_size=4), max_size=5))
@settings(deadline=None, max_examples=60)
def test_any_numbers_are_borne(frames):
    memory, near = Memory.empty(), np.array([0, 0, 20, 40])
    for rows in frames:
        values = np.array([(*near, 0.9), *rows])
        found = {"boxes": values[:, :4], "scores": values[:, 4], "classes": np.zeros(len(values), int)}
        found["embeddings"] = np.array([A, *[box[:3] for box in values[1:]]], np.float32)
        ids, _, memory = step(found, memory, Rules())
        assert np.isfinite(memory.mean).all() and np.isfinite(memory.covariance).all()
        assert np.isfinite(memory.embedding).all() and len(set(ids[ids > 0])) == (ids > 0).sum()


def test_a_look_of_no_numbers_is_of_nobody():
    odd = one(0, look=(np.nan, 0, 0))
    # Overlap takes it, and what is known of the look stays.
    memory = step(frame(one(0)), Memory.empty(), Rules())[2]
    ids, _, memory = step(frame(odd), memory, Rules())
    assert ids.tolist() == [1] and memory.embedding.tolist() == [[1, 0, 0]]
    assert identities([frame(odd), frame(), frame(odd)]) == [[1], [], [0]]


@given(st.integers(0, 10**6), st.integers(0, 4), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=30)
def test_identities_are_unique_and_never_of_someone_else(crowd, seed, buffer, use_embedding, use_motion):
    rules = Rules(low=0.2, buffer=buffer, use_embedding=use_embedding, use_motion=use_motion)
    memory, kinds, gone, known = Memory.empty(), {}, set(), set()
    for found in crowd(seed, 25, classes=3):
        ids, boxes, memory = step(found, memory, rules)
        told = ids[ids > 0].tolist()
        assert len(told) == len(set(told)) and np.isfinite(boxes).all()
        assert len(memory.ids) == len(set(memory.ids.tolist())) and set(told) <= set(memory.ids.tolist())
        assert all(
            kinds.setdefault(name, kind) == kind for name, kind in zip(ids, found["classes"], strict=True) if name
        )
        assert not gone & set(memory.ids.tolist()) and memory.ids.max(initial=0) < memory.next_id
        gone |= known - set(memory.ids.tolist())
        known = set(memory.ids.tolist())


def assert_bounded(clip, buffer=5):
    """All who are remembered were seen within the buffer: a number that the frames' objects bound."""
    memory, most, sizes = Memory.empty(), 0, []
    for found in clip:
        memory = step(found, memory, Rules(buffer=buffer))[2]
        most = max(most, len(found["scores"]))
        sizes.append(sum(getattr(memory, name).nbytes for name in FIELDS[:-2]))
        assert len(memory.ids) <= most * (buffer + 3)
    row = sizes[-1] // max(len(memory.ids), 1)
    assert memory.next_id > len(sizes) / 10 and max(sizes) <= row * most * (buffer + 3)
    assert (np.linalg.eigvalsh(memory.covariance) > 0).all()
    return sizes


def test_memory_does_not_grow(crowd):
    sizes = assert_bounded(crowd(0, 400, people=5))
    assert max(sizes[200:]) < 2 * max(sizes[:200])


@pytest.mark.long
def test_memory_does_not_grow_in_20000_frames(crowd):
    sizes = assert_bounded(crowd(0, 20_000, people=5))
    assert max(sizes[-10_000:]) < 1.5 * max(sizes[:2_000])


def test_a_hundred_of_150_are_known_again():
    random = np.random.default_rng(0)
    looks, boxes = random.normal(size=(150, 128)), random.uniform(0, 1800, (150, 4))
    boxes[:, 2:] = boxes[:, :2] + random.uniform(40, 120, (150, 2))
    found = {"boxes": boxes, "scores": np.full(150, 0.9), "classes": np.zeros(150, int), "embeddings": looks}
    memory = step(found, Memory.empty(), Rules())[2]
    some = {name: values[:100] for name, values in found.items()}
    assert step(some, memory, Rules())[0].tolist() == list(range(1, 101))
