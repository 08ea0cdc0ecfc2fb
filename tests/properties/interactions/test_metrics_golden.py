"""Scores of interactions are those of the official scripts: PPDM's of HICO-DET, V-COCO and HOI-A, and V-COCO's own."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from centernet_tf.properties.interactions.roles import FoundPersons, TruePersons, score_roles
from centernet_tf.properties.interactions.told import Told
from centernet_tf.properties.interactions.triplets import score_triplets, score_verbs

EDGE = [0, 0, 1, 1]  # from the last pixel to the edge behind it
FOLDER = Path(__file__).parents[2] / "golden" / "points"


def meta(name):
    return json.loads(np.load(FOLDER / f"{name}.npz")["meta"].tobytes())


def told(objects, pairs, shift=0):
    """Of a list of boxes with classes and a list of pairs, as PPDM's files have them."""
    rows = {
        "boxes": np.array([one["bbox"] for one in objects], float).reshape(-1, 4) + shift,
        "classes": np.array([one["category_id"] for one in objects], int),
        "pairs": np.array([(one["subject_id"], one["object_id"]) for one in pairs], int).reshape(-1, 2),
        "verbs": np.array([int(one["category_id"]) for one in pairs], int),
    }
    return Told.of({**rows, "pair_scores": [one["score"] for one in pairs]} if pairs and "score" in pairs[0] else rows)


def images(content, shift):
    found = {one["file_name"]: one for one in content["predictions"]}
    for truth in content["ground_truth"]:
        given = found.get(truth["file_name"], {"predictions": [], "hoi_prediction": []})
        yield (
            told(given["predictions"], given["hoi_prediction"], shift),
            told(truth["annotations"], truth["hoi_annotation"]),
        )


@pytest.mark.parametrize("name", ["hico", "hico_few_classes"])
@pytest.mark.parametrize("protocol", ["default", "known_object"])
def test_hico_det(name, protocol):
    content = meta("ppdm-evaluators")[name]
    # PPDM's script moves what was found by one pixel, since HICO-DET counts pixels from 1.
    scores = score_triplets(list(images(content, shift=1)), known_object=protocol == "known_object")
    expected = content["own_definition"][protocol]
    by_name = {f"{partner}/{verb}": one for (_, verb, partner), one in scores.items()}
    assert set(by_name) == set(expected["per_class"])
    for kind, values in expected["per_class"].items():
        one = by_name[kind]
        assert [one.ap, one.area] == pytest.approx([values["ap11"], values["ap_all_points"]], abs=1e-9), kind
    assert np.mean([one.ap for one in scores.values()]) == pytest.approx(expected["mean_ap11"], abs=1e-9)
    assert np.mean([one.area for one in scores.values()]) == pytest.approx(expected["mean_ap_all_points"], abs=1e-9)


def test_hico_det_as_ppdms_script_says():
    content = meta("ppdm-evaluators")["hico"]
    scores = score_triplets(list(images(content, shift=1)))
    for (_, verb, partner), one in scores.items():
        values = content["per_class"][f"{partner}/{verb}"]
        came = (one.ap, one.recall, one.truth, one.found, one.hits)
        names = ("ap", "max_recall", "positives", "predictions", "true_positives")
        assert came == pytest.approx([values[key] for key in names], abs=1e-9)
    trained = {key: content["train_counts_by_class"][key] for key in content["per_class"]}
    printed = {text: float(number) for text, number in re.findall(r"mAP (\w+): ([\d.]+)", content["printed"][0])}
    for text, (low, high) in {"rare": (1, 10), "nonrare": (10, 10**6)}.items():
        own = [one.ap for (_, v, o), one in scores.items() if low <= trained[f"{o}/{v}"] < high]
        assert np.mean(own) == pytest.approx(printed[text], abs=1e-9)


@pytest.mark.parametrize(("name", "count"), [("hoia", 11), ("vcoco", 29)])
def test_hoi_a_and_ppdms_script_for_v_coco(name, count):
    content = meta("ppdm-evaluators")[name]
    scores = score_verbs(list(images(content, shift=0)), count, any_class=name == "vcoco")
    own = {}
    for verb, values in content["per_class"].items():
        one = scores[int(verb)]
        assert one.truth == values["positives"]
        own[int(verb)] = one.ap if one.truth else 0.0  # what the scripts call the AP of verbs that nobody annotated
        if one.truth:
            came = (one.ap, one.recall, one.found, one.hits)
            names = ("ap", "max_recall", "predictions", "true_positives")
            assert came == pytest.approx([values[key] for key in names], abs=1e-9), verb
    if name == "vcoco":
        del own[23]  # to point
    assert np.mean(list(own.values())) == pytest.approx(content["mAP"], abs=1e-9)


def clipped(box, size):
    """The official script keeps last pixels and counts x2 - x1 + 1; here x2 is the edge."""
    corners = np.array([*box[:2], box[0] + box[2] - 1, box[1] + box[3] - 1])
    return np.clip(corners, 0, np.array([*size, *size]) - 1) + np.array(EDGE)


def vcoco_images(content):
    """Persons of each image, of verbs (action, role), where actions without roles have None."""
    verbs = [(name, role) for name, roles in content["actions"] for role in (roles or [None])]
    actions = [name for name, _ in content["actions"]]
    labels = {one["action_name"]: one for one in content["vcoco"]}
    roles = {
        name: np.reshape(one["role_object_id"], (len(one["role_name"]), -1)).T[:, 1:] for name, one in labels.items()
    }
    for number in content["image_ids"]:
        size = next([one["width"], one["height"]] for one in content["coco"]["images"] if one["id"] == number)
        own = [one for one in content["coco"]["annotations"] if one["image_id"] == number]
        corners = {one["id"]: clipped(one["bbox"], size) for one in own}
        persons = [one["id"] for one in own if one["category_id"] == 1]
        rows = {
            person: labels["hold"]["ann_id"].index(person) for person in persons if person in labels["hold"]["ann_id"]
        }
        does = np.array(
            [[bool(person in rows and labels[name]["label"][rows[person]]) for name, _ in verbs] for person in persons]
        )
        objects = {}
        for place, person in enumerate(persons):
            for verb, (name, role) in enumerate(verbs):
                if role and person in rows:
                    target = roles[name][rows[person], labels[name]["role_name"][1:].index(role)]
                    if target:
                        objects[place, verb] = corners[target][None]
        truth = TruePersons(
            np.array([corners[person] for person in persons]).reshape(-1, 4),
            np.zeros(len(persons), int),
            np.array([person in rows for person in persons], bool),
            does.reshape(-1, len(verbs)),
            objects,
        )
        mine = [one for one in content["detections"] if one["image_id"] == number]
        numbers = lambda values: np.array([np.nan if x is None else x for x in values], float)  # noqa: E731
        given = [
            [numbers(one[f"{name}_{role}"]) if role else np.full(5, np.nan) for name, role in verbs] for one in mine
        ]
        given = np.array(given).reshape(-1, len(verbs), 5)
        empty = (given[..., :4] == 0).all(axis=-1)
        boxes = np.where(empty[..., None], 0, given[..., :4] + EDGE)
        yield (
            FoundPersons(
                np.array([one["person_box"] for one in mine], float).reshape(-1, 4) + EDGE,
                np.zeros(len(mine), int),
                np.array([numbers([one[f"{name}_agent"] for name in actions]) for one in mine]).reshape(
                    -1, len(actions)
                ),
                given[..., 4],
                boxes,
            ),
            truth,
        )


def test_v_coco():
    content = meta("vcoco-role_ap")
    verbs = [(name, role) for name, roles in content["actions"] for role in (roles or [None])]
    names = [name for name, _ in content["actions"]]
    scores = score_roles(list(vcoco_images(content)), [names.index(name) for name, _ in verbs])
    expected = content["result"]
    agent = [expected["agent"]["per_action"][name] for name in names]
    np.testing.assert_allclose(scores.agent, agent, atol=1e-6)
    assert scores.agent.mean() == pytest.approx(expected["agent"]["mean"], abs=1e-6)
    with_role = [place for place, (_, role) in enumerate(verbs) if role]
    for scenario in (1, 2):
        told = expected[f"scenario_{scenario}"]
        own = scores.roles[scenario][with_role]
        wanted = [told["per_role"]["-".join(verbs[place])] for place in with_role]
        np.testing.assert_allclose(own, wanted, atol=1e-6)
        assert own.mean() == pytest.approx(told["mean"], abs=1e-6)
