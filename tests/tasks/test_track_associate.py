"""Identities from frame to frame: the original's, rule by rule, and the same inside a graph."""

import dataclasses
import time

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.tasks.track import associate, graph
from centernet_tf.tasks.track.associate import Memory, Rules, step

CLIPS = ("gates", "crossing", "rebirth")
KEPT = {"ids": "tracking_id", "age": "age", "active": "active", "scores": "score", "points": "ct", "boxes": "bbox"}


def frames_of(arrays, meta):
    names = {"boxes": "bbox", "scores": "score", "classes": "class", "points": "ct", "displacements": "tracking"}
    for number in range(meta["frames"]):
        seen = arrays["det_frame"] == number
        yield number, {ours: arrays[f"det_{theirs}"][seen] for ours, theirs in names.items()}


@pytest.mark.parametrize("clip", CLIPS)
def test_equals_the_original(clip, golden):
    arrays, meta = golden(f"association_ct__{clip}")
    memory, rules = Memory.empty(), Rules(meta["new_thresh"], meta["max_age"], meta["hungarian"])
    for number, found in frames_of(arrays, meta):
        ids, memory = step(found, memory, rules)
        told = arrays["out_frame"] == number
        for ours, theirs in KEPT.items():
            np.testing.assert_allclose(getattr(memory, ours), arrays[f"out_{theirs}"][told], atol=1e-3, err_msg=ours)
        seen = arrays["out_detection"][told] >= 0
        expected = np.zeros(len(ids), int)
        expected[arrays["out_detection"][told][seen]] = arrays["out_tracking_id"][told][seen]
        assert ids.tolist() == expected.tolist()


def padded(found, rows):
    """As the graph takes them: `rows` of each, the surest first."""
    count = len(found["scores"])
    whole = {
        name: np.concatenate([values, np.zeros((rows - count, *values.shape[1:]))]).astype(
            "int32" if name == "classes" else "float32"
        )
        for name, values in found.items()
    }
    return {name: ops.convert_to_tensor(one) for name, one in {**whole, "valid": np.arange(rows) < count}.items()}


def compiled(rules):
    """`graph.step` by these rules, compiled; step by step it would take seconds."""

    def once(found, state):
        return graph.step(found, state, rules)

    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(once)
    import tensorflow as tf

    return tf.function(once)


def assert_graph_is_alike(frames, rules, rows=24, remembered=60):
    memory, state, step_in_graph = Memory.empty(), graph.empty(remembered), compiled(rules)
    for found in frames:
        ids, memory = step(found, memory, rules)
        in_graph, state = step_in_graph(padded(found, rows), state)
        in_graph = ops.convert_to_numpy(in_graph)
        assert in_graph[: len(ids)].tolist() == ids.tolist() and not in_graph[len(ids) :].any()
        for name in graph.STATE:
            value = ops.convert_to_numpy(state[name])
            np.testing.assert_allclose(value[: len(memory.ids)], getattr(memory, name), err_msg=name)
        assert not ops.convert_to_numpy(state["ids"])[len(memory.ids) :].any()
        assert int(ops.convert_to_numpy(state["next_id"])[0]) == memory.next_id
    return memory


@pytest.mark.parametrize("clip", CLIPS)
def test_the_graph_does_the_same_on_golden_clips(clip, golden):
    arrays, meta = golden(f"association_ct__{clip}")
    frames = [found for _, found in frames_of(arrays, meta)]
    assert_graph_is_alike(frames, Rules(meta["new_thresh"], meta["max_age"]))


def random_frames(seed, count=12, most=20, classes=2):
    random = np.random.default_rng(seed)
    for _ in range(count):
        rows = random.integers(0, most)
        points, sides = random.uniform(0, 200, (rows, 2)), random.uniform(5, 60, (rows, 2))
        yield {
            "boxes": np.concatenate([points - sides / 2, points + sides / 2], axis=1).astype(np.float32),
            "scores": np.sort(random.random(rows).astype(np.float32))[::-1],
            "classes": random.integers(0, classes, rows),
            "points": points.astype(np.float32),
            "displacements": random.normal(0, 5, (rows, 2)).astype(np.float32),
        }


@pytest.mark.parametrize("max_age", [-1, 3])
def test_the_graph_does_the_same_on_random_frames(max_age):
    memory = assert_graph_is_alike(random_frames(max_age + 1), Rules(0.4, max_age))
    assert memory.next_id > 20


def slow_step(found, memory, rules):
    """The original's loops: [{id, age, active, ...}] in, the same out."""
    areas = [float((b[2] - b[0]) * (b[3] - b[1])) for b in found["boxes"]]
    free, out, unmatched = list(range(len(memory))), [], []
    for row, point in enumerate(found["points"] + found["displacements"]):
        best, least = None, np.inf
        for place in free:
            old = memory[place]
            distance = float(((point - old["point"]) ** 2).sum(dtype=np.float32))
            gated = distance > areas[row] or distance > old["area"] or old["kind"] != found["classes"][row]
            if not gated and distance < least:
                best, least = place, distance
        new = {"point": found["points"][row], "area": areas[row], "kind": found["classes"][row]}
        if best is None:
            unmatched.append((row, new))
        else:
            free.remove(best)
            out.append({**new, "id": memory[best]["id"], "age": 1, "active": memory[best]["active"] + 1})
    born = sum(found["scores"][row] > rules.birth for row, _ in unmatched)
    first = rules.first
    for row, new in unmatched:
        if found["scores"][row] > rules.birth:
            out.append({**new, "id": first, "age": 1, "active": 1})
            first += 1
    missed = [memory[place] for place in free if memory[place]["age"] < rules.max_age]
    return out + [{**old, "age": old["age"] + 1, "active": 0} for old in missed], born


@pytest.mark.parametrize("seed", range(4))
def test_equals_loops_on_random_frames(seed):
    @dataclasses.dataclass
    class Slow:
        birth: float = 0.4
        max_age: int = 3
        first: int = 1

    memory, slow, rules = Memory.empty(), [], Slow()
    for found in random_frames(seed):
        _, memory = step(found, memory, Rules(0.4, 3))
        slow, born = slow_step(found, slow, rules)
        rules.first += born
        assert memory.ids.tolist() == [one["id"] for one in slow]
        assert memory.age.tolist() == [one["age"] for one in slow]
        assert memory.active.tolist() == [one["active"] for one in slow]


def one(x, y=0.0, side=10.0, score=0.9, kind=0, way=(0, 0)):
    return {"boxes": [x - side / 2, y - side / 2, x + side / 2, y + side / 2], "scores": score, "classes": kind,
            "points": [x, y], "displacements": way}  # fmt: skip


def frame(*objects):
    names = {"boxes": (4,), "scores": (), "classes": (), "points": (2,), "displacements": (2,)}
    return {name: np.array([row[name] for row in objects], float).reshape(-1, *shape) for name, shape in names.items()}


def identities(frames, rules, **further):
    memory, told = Memory.empty(), []
    for found in frames:
        ids, memory = step(found, memory, rules, **further)
        told.append(ids.tolist())
    return told


@pytest.mark.parametrize(
    ("second", "same"),
    [
        (one(10), True),  # its squared distance is the area
        (one(10.1), False),
        (one(9, side=8), False),  # its own box counts too
        (one(40, way=(-38, 0)), True),  # back to where it was
        (one(2, kind=1), False),  # of another class
    ],
)
def test_who_is_far_or_other_is_someone_new(second, same):
    assert identities([frame(one(0)), frame(second)], Rules()) == [[1], [1 if same else 2]]


def test_the_first_of_the_list_chooses_first():
    # Both were nearest to the second; the first takes it, and the other one takes what is left.
    frames = [frame(one(0), one(12)), frame(one(9), one(11))]
    assert identities(frames, Rules()) == [[1, 2], [2, 3]]
    # All at once, the sum of squares decides: 81 + 1 where both match, against 9 alone.
    assert identities(frames, Rules(hungarian=True)) == [[1, 2], [1, 2]]


def test_the_best_sum_leaves_forbidden_pairs_out():
    frames = [frame(one(0), one(12, kind=1)), frame(one(11), one(60))]
    assert identities(frames, Rules(hungarian=True)) == [[1, 2], [3, 4]]
    assert identities([frame(), frame(one(0)), frame()], Rules(hungarian=True)) == [[], [1], []]


@pytest.mark.parametrize(("score", "expected"), [(0.5, [0]), (0.51, [1])])
def test_birth_takes_more_than_the_threshold(score, expected):
    assert identities([frame(one(0, score=score))], Rules(birth=0.5)) == [expected]


@pytest.mark.parametrize("max_age", [-1, 1, 2, 4])
def test_who_is_missed_too_long_is_forgotten(max_age):
    survives = max(0, max_age - 1)
    for misses in range(6):
        told = identities([frame(one(0)), *([frame()] * misses), frame(one(0))], Rules(max_age=max_age))
        assert told[-1] == [1 if misses <= survives else 2], misses


def test_who_is_missing_is_not_active():
    memory = step(frame(one(0)), Memory.empty(), Rules(max_age=5))[1]
    memory = step(frame(), memory, Rules(max_age=5))[1]
    assert memory.active.tolist() == [0] and memory.age.tolist() == [2] and memory.points.tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("public", "expected"),
    [
        ([], [0, 0]),
        ([[1, 0]], [1, 0]),
        ([[49, 0], [1, 0]], [1, 2]),
        ([[1, 0], [2, 0]], [1, 0]),  # the second finds its object taken, and the other too far
        ([[10, 0]], [0, 0]),  # as far as the square root of the area is too far
    ],
)
def test_births_only_near_public_boxes(public, expected):
    found = frame(one(0), one(50))
    assert identities([found], Rules(), public=np.array(public).reshape(-1, 2)) == [expected]


def test_a_weak_object_uses_a_public_box_up():
    found = frame(one(0, score=0.1), one(3, score=0.9))
    assert identities([found], Rules(), public=np.array([[0, 0.0]])) == [[0, 0]]


def test_public_boxes_do_not_matter_to_who_is_known():
    memory = step(frame(one(0)), Memory.empty(), Rules())[1]
    assert step(frame(one(1)), memory, Rules(), np.zeros((0, 2)))[0].tolist() == [1]


@pytest.mark.slow
def test_more_than_are_remembered_are_forgotten_from_the_end():
    state, rules = graph.empty(2), Rules()
    ids, state = graph.step(padded(frame(one(0), one(50), one(100)), 3), state, rules)
    assert ops.convert_to_numpy(ids).tolist() == [1, 2, 3]
    assert ops.convert_to_numpy(state["ids"]).tolist() == [1, 2]
    assert int(ops.convert_to_numpy(state["next_id"])[0]) == 4


def test_a_hundred_against_a_hundred_are_quick():
    found = next(f for f in random_frames(0, 40, 130) if len(f["scores"]) >= 100)
    memory = step(found, associate.Memory.empty(), Rules(0))[1]
    times = []
    for _ in range(30):
        start = time.perf_counter()
        step(found, memory, Rules(0))
        times.append(time.perf_counter() - start)
    assert min(times) < 0.005  # under 1 ms on an idle machine
