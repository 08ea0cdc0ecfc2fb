"""What an inspection finds in masks."""

import numpy as np
import pytest

from centernet_tf.properties.masks import Masks, runs
from centernet_tf.properties.masks.survey import CHECKS
from centernet_tf.properties.notebook import Notebook

SIZE = (120, 110)
MASKS = Masks(side=8)


def encoded(left, top, right, bottom):
    mask = np.zeros(SIZE[::-1], bool)
    mask[top:bottom, left:right] = True
    return runs.write_counts(runs.of_pixels(mask, SIZE))


def rows(*objects):
    """Of objects (box, area, mask)."""
    boxes = np.array([one[0] for one in objects], np.float32).reshape(-1, 4)
    data = np.full(len(objects), b"", object)
    data[:] = [one[2] for one in objects]
    return {
        "boxes": boxes,
        "full_boxes": boxes,
        "area": np.array([one[1] for one in objects], np.float32),
        "ignored": np.zeros(len(objects), bool),
        "segmentations": data,
    }


def look(*images):
    notebook = Notebook(CHECKS)
    survey = MASKS.survey(notebook)
    for number, image in enumerate(images):
        survey.add(f"{number}.png", image, SIZE)
    survey.close()
    return survey, {one.code: one for one in notebook.findings()}


BOX = (10, 10, 30, 40)
GOOD = (BOX, 600, encoded(*BOX))


def test_nothing():
    for images in ((), (rows(),)):
        survey, findings = look(*images)
        assert findings == {} and survey.facts() == {} and survey.tables() == []
        assert survey.as_dict() == {
            "masks": 0,
            "without": 0,
            "sizes": {"small": 0, "medium": 0, "large": 0},
            "fill": None,
        }


def test_sound_masks():
    half = ((0, 0, 100, 100), 5000, encoded(0, 0, 50, 100))
    survey, findings = look(rows(GOOD), rows(half))
    assert findings == {}
    assert survey.facts() == {"masks": "2 of 2 objects, which fill 52% to 98% of their boxes, median 75%"}
    assert survey.as_dict()["sizes"] == {"small": 1, "medium": 1, "large": 0}
    assert survey.as_dict()["fill"] == {"low": 0.525, "median": 0.75, "high": 0.975}
    assert survey.tables()[0].row_count == 3


@pytest.mark.parametrize(
    ("one", "code", "text"),
    [
        ((BOX, 600, b"351"), "bad_masks", "0.png: object 2 has run lengths that do not fit: runs add up to 9"),
        ((BOX, 600, b"5 1"), "bad_masks", "cannot be read"),
        ((BOX, 600, runs.write_counts(np.array([120 * 110]))), "empty_mask", "0.png: object 2"),
        ((BOX, 600, encoded(10, 10, 40, 40)), "outside_mask", "0.png: object 2: 27% of its pixels"),
        ((BOX, 600, encoded(60, 60, 90, 80)), "outside_mask", "100% of its pixels"),
        ((BOX, 200, encoded(*BOX)), "other_area", "0.png: object 2: 600 pixels, annotated 200"),
        ((BOX, 500, encoded(10, 10, 20, 20)), "other_area", "100 pixels, annotated 500"),
        ((BOX, 600, b""), "no_mask", "0.png"),
    ],
)
def test_findings(one, code, text):
    _, findings = look(rows(GOOD, one))
    assert list(findings) == [code] and findings[code].count == 1
    assert text in findings[code].examples[0]


@pytest.mark.parametrize(
    "one",
    [
        (BOX, 600, encoded(9, 8, 31, 42)),  # rounding
        (BOX, 600, encoded(10, 10, 14, 40)),  # thin, and nobody annotated an area
        ((10, 10, 14, 14), 6, encoded(10, 10, 14, 14)),  # few pixels
        ((0, 0, np.nan, 5), 6, encoded(10, 10, 14, 14)),  # told as a box
    ],
)
def test_what_is_not_worth_telling(one):
    assert look(rows(GOOD, one))[1] == {}


def test_a_set_without_masks():
    nothing = rows((BOX, 600, b""), (BOX, 600, b""))
    _, findings = look(nothing, nothing)
    assert list(findings) == ["no_masks_at_all"] and findings["no_masks_at_all"].examples == ["4 objects"]
    _, findings = look(nothing, rows(GOOD))
    assert list(findings) == ["no_mask"] and findings["no_mask"].count == 2
    ignored = {**nothing, "ignored": np.ones(2, bool)}
    assert look(ignored)[1] == {}
