"""What an inspection finds in interactions, how they are drawn, and their JSON."""

import numpy as np
import pytest

from centernet_tf.media.draw import class_colors
from centernet_tf.outputs import image_line
from centernet_tf.properties.interactions import Interactions
from centernet_tf.properties.interactions.survey import CHECKS
from centernet_tf.properties.notebook import Notebook
from centernet_tf.results import Detections, Pairs

RIDES = Interactions(verbs=("ride", "hold", "walk"), allowed={"ride": ("horse",)})
BOXES = np.float32([[10, 10, 40, 80], [60, 50, 100, 90], [70, 10, 90, 30]])
SIZE = (128, 100)
THIN = np.float32([*BOXES[:2], [70, 10, 70.5, 30]])
OUTSIDE = np.float32([*BOXES[:2], [270, 10, 290, 30]])


def rows(*triples, boxes=BOXES, **flags):
    return {
        "boxes": boxes,
        "names": np.array(["person", "horse", "cup"], object),
        "pairs": np.int32([one[:2] for one in triples]).reshape(-1, 2),
        "verbs": np.int32([one[2] for one in triples]),
        **{name: np.array(flags.get(name, [False] * 3)) for name in ("crowd", "ignored")},
    }


def look(*images):
    notebook = Notebook(CHECKS)
    survey = RIDES.survey(notebook)
    for number, image in enumerate(images):
        survey.add(f"{number}.png", image, SIZE)
    survey.close()
    return survey, {one.code: one for one in notebook.findings()}


def test_nothing():
    survey, findings = look()
    assert findings == {} and survey.facts() == {} and survey.tables() == []
    survey, findings = look(rows())
    assert set(findings) == {"no_interactions_at_all"} and survey.as_dict()["pairs"] == 0


def test_sound_pairs():
    survey, findings = look(*[rows((0, 1, 0), (0, 2, 1), (0, -1, 2))] * 10)
    assert findings == {}
    assert survey.facts() == {"interactions": "30 pairs in 10 of 10 images, at most 3 in one; 10 without an object"}
    told = survey.as_dict()
    assert told == {"pairs": 30, "alone": 10, "images": 10, "most": 3, "verbs": {"ride": 10, "hold": 10, "walk": 10}}
    assert survey.tables()[0].row_count == 3


@pytest.mark.parametrize(
    ("image", "code", "example"),
    [
        (rows((0, 1, 1), (0, 1, 1)), "duplicate_pair", "0.png: object 0 hold object 1"),
        (rows((1, 1, 1)), "self_pair", "0.png: object 1 hold object 1"),
        (rows((0, 2, 0)), "unallowed_pair", "0.png: object 0 ride object 2 (cup)"),
        (rows((0, -1, 2), crowd=[True, False, False]), "untrained_pair", "0.png: object 0 walk"),
        (rows((0, 1, 1), ignored=[False, True, False]), "untrained_pair", "0.png: object 0 hold object 1"),
        (rows((0, 2, 1), boxes=THIN), "vanished_pair", "0.png: object 0 hold"),
        (rows((0, 2, 1), boxes=OUTSIDE), "vanished_pair", "0.png: object 0 hold"),
    ],
)
def test_findings(image, code, example):
    _, findings = look(image)
    assert set(findings) - {"unused_verb", "rare_verb"} == {code}
    assert findings[code].count == 1 and findings[code].examples[0].startswith(example)


def test_verbs_that_are_rare_or_missing():
    _, findings = look(rows((0, 1, 0)))
    assert findings["unused_verb"].examples == ["hold", "walk"]
    assert findings["rare_verb"].examples == ["ride: 1"]


IMAGE = np.full((100, 128, 3), 90, np.uint8)


def test_nothing_is_drawn_of_no_pairs():
    np.testing.assert_array_equal(RIDES.draw(IMAGE, rows(), None), IMAGE)


def test_a_pair_is_a_line_in_the_colour_of_its_verb():
    image = rows((0, 2, 1))
    drawn = RIDES.draw(IMAGE, image, None)
    color = class_colors([1])[0]
    # A quarter of the way from the middle of the first box to that of the last.
    x, y = 0.75 * np.array([25, 45]) + 0.25 * np.array([80, 20])
    near = drawn[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].reshape(-1, 3).astype(int)
    assert np.abs(near - color).max(axis=1).min() < 20
    assert (IMAGE == 90).all()


def test_verbs_of_one_pair_share_a_line_and_unsure_ones_are_left_out():
    found = {**rows((0, 1, 0), (0, 1, 1), (0, -1, 2)), "pair_scores": np.float32([0.4, 0.8, 0.05])}
    drawn = RIDES.draw(IMAGE, found, None)
    without = {**rows((0, 1, 0), (0, 1, 1)), "pair_scores": np.float32([0.4, 0.8])}
    np.testing.assert_array_equal(drawn, RIDES.draw(IMAGE, without, None))
    assert (drawn == class_colors([1])[0]).all(axis=2).any()
    assert not (drawn == class_colors([2])[0]).all(axis=2).any()
    sure = {**found, "pair_scores": np.float32([0.4, 0.8, 0.15])}
    assert (RIDES.draw(IMAGE, sure, None) == class_colors([2])[0]).all(axis=2).any()


def test_boxes_far_beyond_the_image_are_drawn():
    RIDES.draw(IMAGE, rows((0, 1, 0), boxes=BOXES * np.float32(1e9)), None)


def test_json_names_rows_of_the_detections():
    pairs = Pairs([[0, 1], [2, -1]], [0, 2], [0.5, 0.25])
    found = Detections(BOXES, [0.9, 0.8, 0.7], [0, 1, 2], ("person", "horse", "cup"), SIZE, {}, (RIDES,), pairs=pairs)
    line = image_line(1, found, file_name="a.png")
    assert line["interactions"] == [
        {"subject": 0, "object": 1, "verb": "ride", "score": 0.5},
        {"subject": 2, "object": None, "verb": "walk", "score": 0.25},
    ]
    assert len(line["detections"]) == 3
    assert image_line(1, found[1:], file_name="a.png")["interactions"] == [
        {"subject": 1, "object": None, "verb": "walk", "score": 0.25}
    ]
    plain = Detections(BOXES, [0.9, 0.8, 0.7], [0, 1, 2], found.names, SIZE, {}, (RIDES,))
    assert "interactions" not in image_line(1, plain)
    assert (found.draw(IMAGE, 0.1) != plain.draw(IMAGE, 0.1)).any()
