"""Scores of interactions: the truth scores 1 in every metric, what is wrong costs what it should, and all is told."""

import numpy as np
import pytest

from centernet_tf.data.record import Record
from centernet_tf.evaluation import score
from centernet_tf.properties.interactions import Interactions
from centernet_tf.properties.interactions.told import Told, first_to_claim
from centernet_tf.properties.interactions.triplets import judge_triplets, judge_verbs
from centernet_tf.properties.metric import ImageKey
from centernet_tf.results import Detections, Pairs

NAMES = ("person", "horse", "cup")
TOLD = Interactions(
    verbs=("ride", "hold_obj", "hold_instr", "point", "walk"),
    actions=("ride", "hold", "hold", "point", "walk"),
    allowed={"walk": ()},
    trained={"ride": {"horse": 9}, "hold_obj": {"cup": 10}, "point": {"cup": 0}},
)
BOXES = np.float64([[0, 0, 20, 40], [50, 0, 70, 40], [10, 20, 60, 60], [80, 50, 90, 60], [0, 50, 9, 60]])
CLASSES = [0, 0, 1, 2, 2]


def rows(*triples, boxes=BOXES, scores=None, **flags):
    count = len(boxes)
    given = {
        "boxes": boxes,
        "classes": np.array(CLASSES[:count]),
        "pairs": np.array([one[:2] for one in triples], int).reshape(-1, 2),
        "verbs": np.array([one[2] for one in triples], int),
        "observed": np.array(flags.get("observed", [True] * count)),
        "crowd": np.array(flags.get("crowd", [False] * count)),
        "ignored": np.array(flags.get("ignored", [False] * count)),
    }
    return given if scores is None else {**given, "pair_scores": np.array(scores, float)}


PAIRS = ((0, 2, 0), (1, 2, 0), (0, 3, 1), (0, 4, 2), (1, -1, 1), (1, 3, 3), (1, -1, 4))


def told(*images, digits=None):
    (metric,) = TOLD.metrics(NAMES, digits=digits)
    for number, (found, truth) in enumerate(images):
        metric.update(ImageKey(number), found, truth)
    return metric.result()


def main_numbers(scores):
    plain = scores.as_dict()["interactions"]
    keys = ("full", "rare", "non_rare", "area", "AP_role_1", "AP_role_2", "AP_role_1_all", "AP_agent", "HOI-A")
    return {key: plain[key] for key in keys} | {f"known {key}": value for key, value in plain["known_object"].items()}


def test_nothing():
    assert told() is None
    assert told((rows(scores=[]), rows())) is None
    assert told((rows(), rows(*PAIRS))) is None  # a model that finds no pairs at all
    scores = told((rows(scores=[]), rows(*PAIRS)))
    assert set(main_numbers(scores).values()) == {0.0}
    without = told((rows(PAIRS[0], scores=[0.5]), rows()))
    assert set(main_numbers(without).values()) == {None} and np.isnan(without.main["interactions"])
    assert len(without.tables()) == 2


@pytest.mark.parametrize("seed", range(5))
def test_the_truth_scores_one_everywhere(seed):
    random, images = np.random.default_rng(seed), []
    for _ in range(4):
        corner = np.stack([np.arange(5) * 30, random.uniform(0, 20, 5)], axis=-1)
        boxes = np.concatenate([corner, corner + random.uniform(9, 28, (5, 2))], axis=1)
        triples = dict.fromkeys(
            (int(random.integers(2)), int(random.integers(-1, 5)), int(random.integers(5))) for _ in range(6)
        )
        chosen = [(s, o if v != 4 else -1, v) for s, o, v in triples if s != o]
        # V-COCO has one object for each person and verb.
        chosen = list({(s, v): (s, o, v) for s, o, v in chosen}.values())
        images.append((rows(*chosen, boxes=boxes, scores=random.random(len(chosen))), rows(*chosen, boxes=boxes)))
    numbers = main_numbers(told(*images))
    assert {round(one, 6) for one in numbers.values() if one is not None} == {1.0}
    assert numbers["full"] == numbers["AP_role_1"] == numbers["AP_agent"] == numbers["HOI-A"] == 1


def test_the_same_pair_counts_once():
    found = rows(PAIRS[0], PAIRS[0], scores=[0.9, 0.8])
    scores = told((found, rows(PAIRS[0], PAIRS[2])))
    assert main_numbers(scores)["full"] == pytest.approx(0.5)
    (ride,) = [one for kind, one in scores.kinds.items() if kind[1] == 0]
    assert (ride.truth, ride.found, ride.hits, ride.ap) == (1, 2, 1, 1.0)


@pytest.mark.parametrize(
    ("pair", "shift", "right"),
    [
        ((0, 2, 0), 0, True),
        ((0, 2, 0), [0, 0, 0, 0], True),
        ((0, 3, 0), 0, False),  # another object
        ((1, 2, 0), 0, False),  # another person
        ((0, 2, 1), 0, False),  # another verb
        ((0, -1, 0), 0, False),  # no object
        ((2, 0, 0), 0, False),  # the other way round
        ((0, 2, 0), [30, 0, 30, 0], False),  # too far away
    ],
)
def test_what_is_right(pair, shift, right):
    found, truth = rows(pair, boxes=BOXES + shift, scores=[0.5]), rows((0, 2, 0))
    assert main_numbers(told((found, truth)))["full"] == float(right)


def test_known_objects_leave_images_without_them_out():
    images = [(rows(PAIRS[0], scores=[0.5]), rows(PAIRS[0])), (rows(PAIRS[0], scores=[0.9]), rows(PAIRS[2]))]
    numbers = main_numbers(told(*images))
    assert numbers["full"] == pytest.approx(0.25) and numbers["known full"] == pytest.approx(0.5)
    assert (numbers["rare"], numbers["non_rare"]) == (0.5, 0.0)  # riding was rare, the cup was not held


def test_who_was_not_looked_at_costs_no_role_but_a_triplet():
    unseen = [True, False, True, True, True]
    found = rows((0, 2, 0), (1, 3, 0), scores=[0.5, 0.9])
    numbers = main_numbers(told((found, rows((0, 2, 0), observed=unseen))))
    assert numbers["AP_role_1"] == numbers["AP_agent"] == 1
    assert main_numbers(told((found, rows((0, 2, 0)))))["AP_role_1"] == 0.5
    assert numbers["full"] == 1  # of (person, ride, horse); that with the cup is no annotated kind


def test_scenarios_differ_where_no_object_is_annotated():
    found, truth = rows((0, 3, 1), scores=[0.5]), rows((0, -1, 1))
    numbers = main_numbers(told((found, truth)))
    assert (numbers["AP_role_1"], numbers["AP_role_2"], numbers["AP_agent"]) == (0, 1, 1)


def test_an_action_is_done_where_one_of_its_verbs_is():
    scores = told((rows((0, 4, 2), scores=[0.5]), rows((0, 3, 1))))
    assert scores.roles.agent.tolist()[1] == 1 and main_numbers(scores)["AP_role_1"] == 0


def test_to_point_is_left_out_of_the_quoted_mean():
    scores = told((rows((0, 2, 0), scores=[0.5]), rows((0, 2, 0), (1, 3, 3))))
    numbers = main_numbers(scores)
    assert (numbers["AP_role_1"], numbers["AP_role_1_all"]) == (1, 0.5)


def test_verbs_without_objects_have_no_role():
    scores = told((rows((0, 2, 0), scores=[0.5]), rows((0, 2, 0), (1, -1, 4))))
    numbers = main_numbers(scores)
    assert (numbers["AP_role_1"], numbers["AP_agent"], numbers["full"]) == (1, 0.5, 0.5)


@pytest.mark.parametrize("flag", ["crowd", "ignored"])
def test_pairs_with_groups_are_not_asked_for(flag):
    truth = rows((0, 2, 0), (0, 3, 1), **{flag: [False, False, True, False, False]})
    scores = told((rows((0, 3, 1), scores=[0.5]), truth))
    assert main_numbers(scores)["full"] == 1 and len(scores.kinds) == 1


def test_digits_round_what_was_found():
    boxes = BOXES + 0.004
    scores = told((rows((0, 2, 0), boxes=boxes, scores=[0.123456]), rows((0, 2, 0))), digits=2)
    assert main_numbers(scores)["full"] == 1


def slowly_judged(found, truth, best_only):
    """Found pairs one after the other, as the scripts do it; with the IoU of two boxes written out."""

    def iou(one, other, pixel):
        sides = [min(one[2 + k], other[2 + k]) - max(one[k], other[k]) + pixel for k in (0, 1)]
        if min(sides) <= 0:
            return 0.0
        area = lambda box: (box[2] - box[0] + pixel) * (box[3] - box[1] + pixel)  # noqa: E731
        return sides[0] * sides[1] / (area(one) + area(other) - sides[0] * sides[1])

    def overlap(first, second, pixel):
        if min(first, second) < 0:
            return 1.0 if first == second else 0.0
        same = found.classes[first] == truth.classes[second]
        return iou(found.boxes[first], truth.boxes[second], pixel) if same else 0.0

    used, hits = set(), []
    for pair, verb in zip(found.pairs, found.verbs):
        both = [
            min(overlap(a, b, 1 if best_only else 0) for a, b in zip(pair, other)) if verb == wanted else 0.0
            for other, wanted in zip(truth.pairs, truth.verbs)
        ]
        fits = [place for place, value in enumerate(both) if value >= 0.5]
        if best_only:
            fits = [max(fits, key=lambda place: (both[place], -place))] if fits else []
        new = [place for place in fits if place not in used]
        used.update(new)
        hits.append(bool(new))
    return hits


@pytest.mark.parametrize("seed", range(20))
def test_judges_are_their_slow_twins(seed):
    random = np.random.default_rng(seed)

    def some(count):
        corner = random.integers(0, 6, (6, 2))
        boxes = np.concatenate([corner, corner + random.integers(6, 10, (6, 2))], axis=1)
        pairs = np.stack([random.integers(0, 6, count), random.integers(-1, 6, count)], axis=-1)
        given = {"boxes": boxes, "classes": random.integers(0, 2, 6), "pairs": pairs}
        return Told.of({**given, "verbs": random.integers(0, 2, count), "pair_scores": random.random(count)})

    found, truth = some(12), some(int(random.integers(0, 8)))
    assert judge_triplets(found, truth).tolist() == slowly_judged(found, truth, True)
    assert judge_verbs(found, truth).tolist() == slowly_judged(found, truth, False)


@pytest.mark.parametrize(
    ("claims", "hits"),
    [([], []), ([-1], [False]), ([0, 0, 1], [True, False, True]), ([1, -1, 1, 0], [True, False, False, True])],
)
def test_first_to_claim(claims, hits):
    assert first_to_claim(np.array(claims, int), 2).tolist() == hits


def test_tables_and_json_name_everything():
    scores = told((rows(*PAIRS, scores=np.linspace(0.9, 0.3, 7)), rows(*PAIRS)))
    means, verbs = scores.tables()
    assert means.row_count == 6 and verbs.row_count == 5
    plain = scores.as_dict()["interactions"]
    assert [one["name"] for one in plain["verbs"]] == list(TOLD.verbs)
    assert plain["verbs"][4]["AP_role_1"] is None and plain["verbs"][0]["pairs"] == 2
    expected = {"subject": "person", "verb": "ride", "object": "horse", "pairs": 2, "trained": 9, "AP": 1.0}
    assert plain["classes"][0] == {**expected, "AP known object": 1.0}
    assert plain["classes"][-1]["object"] is None
    assert scores.main == {"interactions": 1.0}


def test_records_are_scored_with_what_was_found():
    boxes, classes = BOXES.astype(np.float32), np.array(CLASSES)
    flags = {name: np.zeros(5, bool) for name in ("crowd", "difficult")}
    pairs = {name: rows(*PAIRS)[name] for name in ("pairs", "verbs", "observed")}
    record = Record(b"", "png", 100, 80, 1, "1.png", boxes, classes, **flags, area=np.ones(5), rows=pairs)
    tied = Pairs([one[:2] for one in PAIRS], [one[2] for one in PAIRS], np.full(len(PAIRS), 0.5))
    found = Detections(boxes, np.full(5, 0.9), classes, NAMES, (100, 80), properties=(TOLD,), pairs=tied)
    scores = score([(record, found)], NAMES, [TOLD])
    (own,) = scores.scores
    assert own.main == {"interactions": 1.0}
    assert main_numbers(own)["AP_role_1"] == 1


def test_models_may_count_verbs_in_another_order_and_know_fewer():
    model = Interactions(verbs=("walk", "ride"))
    (metric,) = TOLD.scored_as(model).metrics(NAMES)
    metric.update(ImageKey(0), rows((0, 2, 1), (1, -1, 0), scores=[0.5, 0.4]), rows((0, 2, 0), (1, -1, 4), (0, 3, 1)))
    kinds = metric.result().as_dict()["interactions"]["classes"]
    assert {one["verb"]: one["AP"] for one in kinds} == {"ride": 1.0, "walk": 1.0, "hold_obj": 0.0}
    assert TOLD.scored_as(TOLD) is TOLD
