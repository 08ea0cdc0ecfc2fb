"""Verb points become pairs as the originals make them; the readable twin of the matching; no points first."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from centernet_tf.detector import flip
from centernet_tf.points import peaks as maxima
from centernet_tf.points.centers import Centers
from centernet_tf.tasks.hoi import Hoi, decode


def numpy_of(values):
    return {name: ops.convert_to_numpy(value) for name, value in values.items()}


def twin(points, objects, rules):
    """Pairs {(subject, object, verb): score} of one image, one point after another."""
    pairs = {}

    def near(place, cell):
        return 1 / ((abs(place[0] - cell[0]) + 1) * (abs(place[1] - cell[1]) + 1))

    for number, verb in enumerate(points["verbs"]):
        best_subject, best_object = (0, 0.0), (0, 0.0)
        for row, (cell, score, kind) in enumerate(zip(objects["cell"], objects["scores"], objects["classes"])):
            value = score * near(points["subject"][number], cell) if rules.subjects[kind] else 0.0
            if value > best_subject[1]:
                best_subject = row, value
            value = score * near(points["object"][number], cell)
            if rules.allowed is not None and not rules.allowed[verb, kind]:
                value = 0.0
            if value > best_object[1]:
                best_object = row, value
        if not best_subject[1] or not (best_object[1] or rules.alone[verb]):
            continue
        subject, target = best_subject[0], -1 if rules.alone[verb] else best_object[0]
        score = points["scores"][number] * objects["scores"][subject]
        score *= 1.0 if rules.alone[verb] else objects["scores"][target]
        key = subject, -1 if target == subject else target, int(verb)
        pairs[key] = max(pairs.get(key, 0.0), float(score))
    return {key: score for key, score in pairs.items() if score > 0}


def told(found, image=0):
    """The pairs of one image that have a score, which fall."""
    scores = found["pair_scores"][image]
    assert (np.diff(scores[scores > 0]) <= 0).all()
    rows = zip(found["pairs"][image].tolist(), found["verbs"][image].tolist(), scores.tolist())
    listed = [((subject, target, verb), score) for (subject, target), verb, score in rows if score > 0]
    assert len(dict(listed)) == len(listed), "each pair once"
    return dict(listed)


def same(found, expected):
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[key] for key in expected], list(expected.values()), rtol=1e-4)


def batch_of(values):
    return {name: ops.convert_to_tensor(value[None]) for name, value in values.items()}


@pytest.mark.parametrize("alone", [False, True])
def test_without_points_there_are_no_pairs(alone):
    rules = decode.Rules(5, np.array([True]), np.array([alone, alone]))
    maps = {
        "verb": ops.full((1, 4, 6, 2), -200.0),
        **{f"{name}_offset": ops.zeros((1, 4, 6, 2)) for name in ("subject", "object")},
    }
    peaks = {
        "scores": ops.zeros((1, 3)),
        "classes": ops.zeros((1, 3), "int32"),
        "cell": ops.zeros((1, 3, 2)),
    }
    found = numpy_of(decode.decode(maps, peaks, rules))
    assert found["pairs"].shape == (1, 5, 2)
    assert told(found) == {}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), limited=st.booleans(), empty=st.booleans())
def test_the_graph_equals_its_twin(seed, limited, empty):
    random = np.random.default_rng(seed)
    verbs, classes, count, most = 4, 3, 7, 9
    rules = decode.Rules(
        most,
        np.array([True, random.random() < 0.5, False]),
        random.random(verbs) < 0.3,
        (random.random((verbs, classes)) < 0.5).astype(np.float32) if limited else None,
    )
    objects = {
        "cell": random.integers(0, 6, (count, 2)).astype(np.float32),
        "scores": np.sort(random.random(count).astype(np.float32))[::-1] * (0 if empty else 1),
        "classes": random.integers(0, classes, count).astype(np.int32),
    }
    points = {
        **{name: random.uniform(-1, 7, (most, 2)).astype(np.float32) for name in ("subject", "object")},
        "cell": np.zeros((most, 2), np.float32),
        "scores": np.sort(random.random(most).astype(np.float32))[::-1].copy(),
        "verbs": random.integers(0, verbs, most).astype(np.int32),
    }
    listed, pointed = batch_of(objects), batch_of(points)
    who = ops.take(rules.subjects.astype(np.float32), listed["classes"])
    subjects = {**listed, "scores": listed["scores"] * who}
    found = decode.told(*decode.match(pointed, subjects, listed, rules), count)
    same(told(numpy_of(found)), twin(points, objects, rules))


def maps_of(arrays, start, *names):
    return {name: ops.convert_to_tensor(arrays[f"{start}{name}"].transpose(0, 2, 3, 1)) for name in names}


def both_lists(maps, centers, people):
    """Peaks of all classes and, as the original has them, of the people alone."""
    scores = ops.sigmoid(maps["hm"])
    return tuple(centers.peaks_of_scores(one, maps["reg"]) for one in (scores, scores[..., :people]))


def matched(maps, centers, allowed):
    """Objects, persons and the original's pairs of both [(person, object, verb, score)]."""
    objects, people = both_lists(maps, centers, 1)
    verbs, classes = allowed.shape
    rules = decode.Rules(centers.max_objects, np.arange(classes) == 0, np.zeros(verbs, bool), allowed)
    points = decode.points_of({"verb": maps["hm_rel"]}, rules.points)
    for name, head in (("subject", "sub_offset"), ("object", "obj_offset")):
        index = ops.convert_to_numpy(points["index"])
        values = ops.convert_to_numpy(maps[head]).reshape(1, -1, 2)
        points[name] = points["cell"] - np.take_along_axis(values, index[..., None], axis=1)
    # Persons and objects are two lists there, so that one may be its own object.
    shifted = {**objects, "scores": objects["scores"]}
    subject, target, verb, score = decode.match(points, people, shifted, rules)
    return objects, people, [ops.convert_to_numpy(one)[0] for one in (subject, target, verb, score)]


def best_of(rows):
    """{(person, object, verb): best score}."""
    pairs = {}
    for *key, score in zip(*(one.tolist() for one in rows)):
        if score > 0:
            pairs[tuple(map(int, key))] = max(pairs.get(tuple(map(int, key)), 0.0), score)
    return pairs


def without_own(pairs):
    """As ours are told: where both numbers are the same, there is no object."""
    return {(subject, -1 if subject == target else target, verb): one for (subject, target, verb), one in pairs.items()}


def test_decoding_equals_ppdm_s(points_golden):
    arrays, meta = points_golden("ppdm-decode")
    count, allowed = meta["cases"][0]["K"], arrays["0/corr"]
    names = ("hm", "wh", "hm_rel", "sub_offset", "obj_offset", "reg")
    maps = maps_of(arrays, "0/map/", *names)
    centers = Centers(allowed.shape[1], max_objects=count)
    objects, people, rows = matched(maps, centers, allowed)
    for found, name in ((objects, "objects"), (people, "humans")):
        boxes = numpy_of(centers.decode({"size": maps["wh"]}, found))
        np.testing.assert_allclose(boxes["boxes"][0], arrays[f"0/{name}"][0, :, :4], atol=1e-4)
        np.testing.assert_allclose(boxes["scores"][0], arrays[f"0/{name}"][0, :, 4], atol=1e-5)
        np.testing.assert_array_equal(boxes["classes"][0], arrays[f"0/{name}"][0, :, 5])
    kinds = arrays["0/objects"][0, :, 5].astype(int)
    expected = {
        (int(subject), int(target), int(verb)): score
        for subject, target, verb, score in arrays["0/triplets"]
        if allowed[int(verb), kinds[int(target)]]  # The others are dropped behind it.
    }
    assert len(expected) > 8
    same(best_of(rows), without_own(expected))


@pytest.mark.slow
def test_detection_equals_ppdm_s(points_golden):
    arrays, meta = points_golden("ppdm-detector")
    names = ("hm", "wh", "hm_rel", "sub_offset", "obj_offset", "reg")
    maps = maps_of(arrays, "map/", *names)
    centers = Centers(11)
    objects, people, rows = matched(maps, centers, arrays["corr"])
    height, width = meta["image_hw"]
    both = []
    for one in (people, objects):
        boxes = ops.convert_to_numpy(centers.decode({"size": maps["wh"]}, one)["boxes"])[0].reshape(-1, 2, 2)
        boxes = (boxes - np.array(meta["out_hw"])[::-1] / 2) * meta["s"] / meta["out_hw"][1] + np.array(meta["c"])
        boxes = boxes.reshape(-1, 4)
        # The original moves the corner into the image, and keeps the sides within it and above 10 pixels.
        corner = np.clip(boxes[:, :2], 0, (width, height))
        sides = np.clip(boxes[:, 2:] - boxes[:, :2], 10, (width, height))
        both.append(np.concatenate([corner, corner + sides], axis=1))
    expected = {}
    for subject, target, verb, score in arrays["hoi"]:
        ends = [
            int(np.abs(boxes - arrays["boxes"][int(row)]).max(axis=1).argmin())
            for boxes, row in zip(both, (subject, target))
        ]
        for boxes, end, row in zip(both, ends, (subject, target)):
            np.testing.assert_allclose(boxes[end], arrays["boxes"][int(row)], atol=1e-2)
        expected[(*ends, int(verb) - 1)] = score
    assert len(expected) > 80
    same(best_of(rows), without_own(expected))


def test_the_task_finds_what_its_own_objects_allow(points_golden):
    """Pairs whose subject is among the objects that are told are those of the original's two lists."""
    arrays, _ = points_golden("ppdm-detector")
    classes = ("person", *(f"thing{number}" for number in range(10)))
    verbs = tuple(f"verb{number}" for number in range(10))
    table = {verb: tuple(np.array(classes)[row > 0]) for verb, row in zip(verbs, arrays["corr"])}
    centers = Centers(11, class_names=classes)
    task = Hoi(verbs=verbs, allowed=table).build(centers)
    names = {"heatmap": "hm", "size": "wh", "offset": "reg", "verb": "hm_rel"}
    names |= {"subject_offset": "sub_offset", "object_offset": "obj_offset"}
    maps = maps_of(arrays, "map/", *names.values())
    outputs = {ours: maps[theirs] for ours, theirs in names.items()}
    found = told(numpy_of(task.decode(outputs, centers.peaks(outputs))))
    objects, people, rows = matched(maps, centers, arrays["corr"])
    places = [ops.convert_to_numpy(one["index"])[0].tolist() for one in (people, objects)]
    kinds = ops.convert_to_numpy(objects["classes"])[0]
    own = {place: row for row, place in enumerate(places[1]) if kinds[row] == 0}
    expected = {}
    for subject, target, verb, score in zip(*(one.tolist() for one in rows)):
        row = own.get(places[0][subject])
        # Of two lists, equal numbers do not mean the same object.
        if row is not None and subject != target and score > 0:
            key = row, -1 if row == target else target, verb
            expected[key] = max(score, expected.get(key, 0.0))
    assert len(expected) > 4
    same({key: found[key] for key in expected}, expected)


@pytest.mark.parametrize("head", ["offsets", "vector"])
def test_the_flip_test_changes_nothing_of_mirrored_maps(head):
    task = Hoi(verbs=("a", "b"), head=head).build(Centers(3))
    random = np.random.default_rng(0)
    own = [one for one in task.heads if one.name in ("verb", "subject_offset", "object_offset", "vector")]
    assert all(one.mirror is not None for one in own)
    maps = {one.name: random.normal(size=(1, 6, 8, one.channels)).astype(np.float32) for one in own}
    # What lies to the left of a point lies to its right in a mirror image; a distance stays.
    mirrored = {name: value[:, :, ::-1] * ([-1, 1] if "offset" in name else 1) for name, value in maps.items()}
    both = {name: ops.convert_to_tensor(np.concatenate([maps[name], mirrored[name]]), "float32") for name in maps}
    joined = numpy_of(flip.join_sides(both, own))
    for name, value in maps.items():
        np.testing.assert_allclose(joined[name], value, atol=1e-4)


def test_rules_follow_the_settings():
    centers = Centers(3, class_names=("person", "dog", "ball"))
    hoi = Hoi(verbs=("walk", "throw"), alone=("walk",), allowed={"throw": ("ball",)}, subject=("person", "dog"))
    rules = hoi.rules(centers)
    assert rules.subjects.tolist() == [True, True, False]
    assert rules.alone.tolist() == [True, False]
    assert rules.allowed.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert Hoi(verbs=("walk", "throw"), allowed={"walk": ()}).rules(centers).alone.tolist() == [True, False]
    assert Hoi(verbs=("walk",)).rules(centers).subjects.tolist() == [True, False, False]
    everything = Hoi(verbs=("walk",)).rules(dataclasses.replace(centers, class_names=("a", "b", "c")))
    assert everything.subjects.all() and everything.allowed is None


def test_local_maxima_of_verbs_count():
    heat = np.full((1, 5, 5, 1), -9.0, np.float32)
    heat[0, 2, 2], heat[0, 2, 3] = 3, 2
    points = numpy_of(decode.points_of({"verb": ops.convert_to_tensor(heat)}, 3))
    np.testing.assert_allclose(points["scores"][0, 0], 1 / (1 + np.exp(-3)), rtol=1e-5)
    assert points["cell"][0, 0].tolist() == [2, 2]
    assert points["scores"][0, 1] < 0.01
    assert maxima.cells_of(ops.convert_to_tensor([[12]]), 5).shape == (1, 1, 2)
