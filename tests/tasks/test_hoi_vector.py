"""Interaction points with a vector: decoding and grouping equal the golden values and a readable twin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from centernet_tf.detector import flip
from centernet_tf.detector.detector import Detector
from centernet_tf.errors import UsageError
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.points.centers import Centers
from centernet_tf.results import Detections
from centernet_tf.tasks.hoi import Hoi, decode, vector
from centernet_tf.tasks.hoi.given import pair_up

ALONE = (3, 17, 22, 27)


def numpy_of(values):
    return {name: ops.convert_to_numpy(value) for name, value in values.items()}


def lis(score):
    return 6 / (1 + np.exp(6 - 7 * score))


def apart(first, second):
    """Whether two boxes share no pixel, each being one longer than its numbers say."""
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])
    shared = np.prod(np.maximum(high - low + 1, 0))
    areas = [np.prod(np.array(box[2:]) - box[:2] + 1) for box in (first, second)]
    return not (shared > 0 and sum(areas) - shared > 0)


def corners(box):
    return [(box[x], box[y]) for x in (0, 2) for y in (1, 3)]


def twin(points, subjects, objects, rules, limits):
    """{(subject, verb): (score, object)}, the best, with the original's scores."""
    found = {}
    for box, verb, score in points:
        if score <= limits.point:
            continue
        middle = np.array([box[0] + box[2], box[1] + box[3]]) / 2
        for row, (person, sure) in enumerate(subjects):
            if sure <= limits.subject:
                continue
            center = np.array([person[0] + person[2], person[1] + person[3]]) / 2
            if rules.alone[verb]:
                if np.linalg.norm(middle - center) < limits.alone_reach:
                    value = score * lis(sure)
                    if value > found.get((row, verb), (0,))[0]:
                        found[row, verb] = value, -1
                continue
            for number, (thing, kind, other) in enumerate(objects):
                if other <= limits.object or apart(box, thing) or apart(box, person):
                    continue
                there = np.array([thing[0] + thing[2], thing[1] + thing[3]]) / 2
                between = [*np.minimum(center, there), *np.maximum(center, there)]
                far = [np.hypot(a - c, b - d) for (a, b), (c, d) in zip(corners(between), corners(box))]
                if max(far) >= limits.reach:
                    continue
                allowed = 1.0 if rules.allowed is None else rules.allowed[verb, kind]
                value = score * lis(sure) * lis(other) * allowed
                if value > found.get((row, verb), (0,))[0]:
                    found[row, verb] = value, number
    return found


def grouped(points, subjects, objects, rules, limits):
    """As `twin`, by the graph."""
    boxes, verbs, scores = (list(part) for part in zip(*points)) if points else ([], [], [])
    listed = {
        "verb_boxes": np.reshape(boxes, (1, -1, 4)),
        "point_verbs": np.array([verbs], np.int32).reshape(1, -1),
        "point_scores": np.reshape(scores, (1, -1)),
    }
    people = {"boxes": np.reshape([box for box, _ in subjects], (1, -1, 4)), "scores": [[one for _, one in subjects]]}
    things = {
        "boxes": np.reshape([box for box, _, _ in objects], (1, -1, 4)),
        "classes": np.array([[kind for _, kind, _ in objects]], np.int32),
        "scores": [[one for _, _, one in objects]],
    }
    tensors = [
        {
            name: ops.convert_to_tensor(
                np.asarray(value), "int32" if "verbs" in name or name == "classes" else "float32"
            )
            for name, value in one.items()
        }
        for one in (listed, people, things)
    ]
    target, sure = (ops.convert_to_numpy(one)[0] for one in vector.group(*tensors, rules, limits))
    found = {}
    for (number, row), score in np.ndenumerate(sure):
        verb, most = verbs[number], vector.SURE if rules.alone[verbs[number]] else vector.SURE**2
        if score * most > found.get((row, verb), (0,))[0]:
            found[row, verb] = score * most, int(target[number, row])
    return found


def same(found, expected):
    assert found.keys() == expected.keys()
    for key, (score, target) in expected.items():
        np.testing.assert_allclose(found[key][0], score, rtol=1e-4)
        assert found[key][1] == target, key


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.sampled_from([1, 8]))
def test_the_graph_equals_its_twin(seed, count):
    random = np.random.default_rng(seed)
    corner = random.uniform(0, 300, (count + 8, 2))
    boxes = np.concatenate([corner, corner + random.uniform(10, 200, corner.shape)], axis=1).astype(np.float32)
    rules = decode.Rules(count, np.ones(3, bool), np.arange(5) < 1, (random.random((5, 3)) < 0.7).astype(np.float32))
    points = [(boxes[n], int(random.integers(5)), float(np.float32(random.random()))) for n in range(count)]
    subjects = [(box, float(np.float32(random.random()))) for box in boxes[count : count + 3]]
    # The corners of a point's box are the centres of two objects, nearly.
    middles = [(box[:2] + box[2:]) / 2 for box, _ in subjects]
    points = [
        (np.float32([*np.minimum(a, b), *np.maximum(a, b)]) + np.float32(random.normal(0, 15, 4)), verb, score)
        for (_, verb, score), a, b in zip(points, middles * 4, random.uniform(0, 300, (count, 2)))
    ]
    objects = [(box, int(random.integers(3)), float(np.float32(random.random()))) for box in boxes[-5:]]
    limits = vector.Limits(reach=120.0, alone_reach=60.0)
    same(grouped(points, subjects, objects, rules, limits), twin(points, subjects, objects, rules, limits))


@pytest.mark.parametrize("image", range(4))
def test_grouping_equals_golden(image, points_golden):
    arrays, meta = points_golden("ipnet-grouping")
    # Numbers of classes count from 1; the two tables are one here.
    allowed = (arrays["prior"] * arrays["rule_table"])[:, 1:].astype(np.float32)
    rules = decode.Rules(9, np.ones(80, bool), np.isin(np.arange(29), ALONE), allowed)
    points = [  # Those without objects have no box there.
        (row[[0, 1, 0, 1]] if verb in ALONE else row[2:6], verb, float(row[6]))
        for verb in range(29)
        for row in arrays.get(f"{image}/points/{verb}", [])
    ]
    listed = meta["images"][image]["detections"]
    people = [(np.float32(one["box"]), one["score"]) for one in listed if one["kind"] == "Human"]
    things = [
        (np.float32(one["box"]), one["class"] - 1, one["score"]) for one in listed if one["kind"] == "Object"
    ] or [(np.zeros(4, np.float32), 0, 0.0)]
    found = grouped(points, people, things, rules, vector.Limits())
    same(found, twin(points, people, things, rules, vector.Limits()))
    sure = [row for row, (_, score) in enumerate(people) if score > 0.3]
    expected = arrays[f"{image}/best/object_box_score"]
    assert len(sure) == len(expected)
    for number, row in enumerate(sure):
        for verb in range(29):
            score, target = found.get((row, verb), (0.0, -1))
            np.testing.assert_allclose(score, expected[number, verb, 4], rtol=1e-4, err_msg=str(verb))
            box = expected[number, verb, :4]
            assert np.isnan(box).all() if target < 0 else np.abs(box - things[target][0]).max() < 1e-3


def maps_of(arrays, kind):
    names = {"verb": "hm_act_f", "vector": "wh_act"}
    return {
        ours: ops.convert_to_tensor(arrays[f"map/{kind}/{theirs}"].transpose(0, 2, 3, 1))
        for ours, theirs in names.items()
    }


@pytest.mark.parametrize("kind", ["plain", "flip"])
def test_decoding_equals_golden(kind, points_golden):
    arrays, meta = points_golden("ipnet-decode")
    maps = maps_of(arrays, "plain")
    if kind == "flip":
        both = {name: ops.concatenate([value, maps_of(arrays, "flip")[name]]) for name, value in maps.items()}
        task = Hoi(verbs=tuple(map(str, range(29))), head="vector").build(Centers(2))
        maps = flip.join_sides(both, [head for head in task.heads if head.name in both])
    found = numpy_of(vector.decode(maps, meta["K"]))
    boxes, expected = found["verb_boxes"][0], arrays[f"rows/{kind}"]
    scale = meta["s"] / meta["out_hw"][1]
    pixels = (boxes.reshape(-1, 2, 2) - np.array(meta["out_hw"])[::-1] / 2) * scale + np.array(meta["c"])
    rows = np.column_stack(
        [found["point_verbs"][0] + 1, pixels.mean(axis=1), pixels.reshape(-1, 4), found["point_scores"][0]]
    )
    if kind == "plain":
        np.testing.assert_allclose(boxes, arrays["decode"][0, :, 2:6], atol=1e-4)
        np.testing.assert_allclose(found["point_scores"][0], arrays["decode"][0, :, 6], atol=1e-5)
        np.testing.assert_array_equal(found["point_verbs"][0], arrays["decode"][0, :, 7])
    order, wanted = (np.lexsort((-one[:, 7], one[:, 0])) for one in (rows, expected))
    np.testing.assert_allclose(rows[order], expected[wanted], atol=2e-2)


def test_of_what_one_does_the_best_counts():
    """A person between two balls throws the surer one; a person far away does nothing."""
    rules = decode.Rules(4, np.array([True, False]), np.array([False, True]))
    found = {
        "boxes": [[0, 0, 40, 40], [90, 0, 110, 20], [0, 90, 20, 110], [500, 500, 540, 540]],
        "scores": [0.9, 0.8, 0.7, 0.9],
        "classes": [0, 1, 1, 0],
        "verb_boxes": [[20, 10, 100, 20], [10, 20, 20, 100], [19, 19, 22, 22], [0, 0, 1, 1]],
        "point_verbs": [0, 0, 1, 0],
        "point_scores": [0.6, 0.5, 0.4, 0.01],
    }
    given = {
        name: ops.convert_to_tensor(np.array([value]), "int32" if name in ("classes", "point_verbs") else "float32")
        for name, value in found.items()
    }
    made = numpy_of(vector.place(given, rules, vector.Limits()))
    told = made["pair_scores"][0] > 0
    assert made["pairs"][0][told].tolist() == [[0, -1], [0, 1]]
    assert made["verbs"][0][told].tolist() == [1, 0]
    sure = [lis(score) / vector.SURE for score in (0.9, 0.8)]
    np.testing.assert_allclose(made["pair_scores"][0][told], [0.4 * sure[0], 0.6 * sure[0] * sure[1]], rtol=1e-4)


CLASSES, SIZE = ("person", "ball"), (128, 192)


def model_of(**settings):
    """A detector whose network says that a person throws a ball, wherever it is."""
    plain = InputCard(height=SIZE[0], width=SIZE[1], stride=4, mean=(0, 0, 0), std=(1, 1, 1), order="rgb")
    hoi = {"verbs": ["throw", "run"], "alone": ["run"], "head": "vector", **settings}
    card = ModelCard(tasks={"hoi": hoi}, backbone="tiny", classes=CLASSES, max_objects=6, input=plain)
    detector = Detector(build_network("tiny", card.task_set().heads), card)
    maps = {head.name: np.full((1, 32, 48, head.channels), -9.0, np.float32) for head in detector.tasks.heads}
    maps["verb"][0, 10, 20, 0], maps["vector"][0, 10, 20] = 5.0, (20.0, 8.0)
    maps["verb"][0, 14, 10, 1] = 4.0
    detector.graph.answer = lambda shown: {name: ops.convert_to_tensor(value) for name, value in maps.items()}
    return detector, maps


def objects_of(names=CLASSES):
    """A person at cell (10, 14) and a ball at (30, 6) of the grid, in an image of twice the input's size."""
    centers = np.array([[10.5, 14.5], [30.5, 6.5]]) * 8
    boxes = np.concatenate([centers - 40, centers + 40], axis=1)
    return Detections(boxes, [0.9, 0.8], [0, 1], names, (2 * SIZE[1], 2 * SIZE[0]))


@pytest.mark.slow
def test_objects_of_another_detector_are_paired():
    detector, _ = model_of()
    image = np.zeros((2 * SIZE[0], 2 * SIZE[1], 3), np.uint8)
    made = pair_up(detector, image, objects_of())
    assert made.pairs.rows.tolist() == [[0, -1], [0, 1]]
    assert made.pairs.verbs.tolist() == [1, 0]
    assert made.properties[0].verbs == ("throw", "run")
    assert len(pair_up(detector, image, objects_of()[:0]).pairs) == 0
    with pytest.raises(UsageError, match="unknown 'dog'"):
        pair_up(model_of(subject=["dog"], verbs=["throw", "run"])[0], image, objects_of())


@pytest.mark.parametrize("pixels", ["image", "input"])
def test_the_detector_pairs_its_own_objects(pixels):
    """The same through the whole graph, whose boxes and points move to the image alike."""
    detector, maps = model_of(pixels=pixels)
    maps["offset"][:] = 0.5
    maps["size"][:] = 10.0
    maps["heatmap"][0, 14, 10, 0], maps["heatmap"][0, 6, 30, 1] = 3.0, 2.0
    found = detector(np.zeros((2 * SIZE[0], 2 * SIZE[1], 3), np.uint8), threshold=0.05)
    np.testing.assert_allclose(found.boxes[:2], objects_of().boxes, atol=1e-3)
    assert sorted(map(tuple, found.pairs.rows.tolist())) == [(0, -1), (0, 1)]
    assert found.fields == {}, "what only pairs are made of is not told"
    with pytest.raises(UsageError, match="pairs of objects"):
        detector.with_options(nms=True)


@pytest.mark.parametrize(("pixels", "known"), [("image", 0), ("input", 1)])
def test_how_near_is_near_counts_pixels(pixels, known):
    """The corners are 6 pixels of the input off, and 12 of an image that is twice as large."""
    detector, maps = model_of(pixels=pixels, reach=10.0, alone_reach=1.0)
    maps["offset"][:], maps["size"][:] = 0.5, 10.0
    maps["vector"][0, 10, 20] += 3.0 / np.sqrt(2)
    maps["heatmap"][0, 14, 10, 0], maps["heatmap"][0, 6, 30, 1] = 3.0, 2.0
    found = detector(np.zeros((2 * SIZE[0], 2 * SIZE[1], 3), np.uint8), threshold=0.05)
    assert [row for row in found.pairs.rows.tolist() if row[1] >= 0] == [[0, 1]] * known
