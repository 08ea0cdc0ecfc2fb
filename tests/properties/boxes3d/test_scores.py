"""What people and programs are told of the scores of 3D boxes."""

import json

import numpy as np
import pytest

from centernet_tf.properties.boxes3d.scores import MEASURES, Boxes3dScores

DIFFICULTIES = ("moderate", "all")


def scores(truth):
    """Of a class and one without truth: precision falls from 1 to 0, at higher recalls for later measures."""
    levels = np.arange(41) / 40
    precision = np.stack([np.broadcast_to(levels <= 0.5 + 0.1 * row, (2, 2, 41)) for row in range(4)]).astype(float)
    precision[:, 1] = np.nan
    ious = np.array([[0.7, 0.5, 0.25], [0.5, 0.5, 0.5]])
    return Boxes3dScores(("Car", "Tram"), DIFFICULTIES, precision, np.array(truth), ious, images=3, detections=9)


def test_table():
    (table,) = scores([[3, 5], [0, 0]]).tables()
    assert table.title == "3D boxes, KITTI's way; objects that count: moderate 3, all 5"
    rows = list(zip(*(map(str, column.cells) for column in table.columns)))
    assert rows[0] == ("Car", "2D", "0.7", "40", "50.0", "50.0")
    assert rows[1] == ("", "", "", "11", "54.5", "54.5")
    assert [row[1:4] for row in rows[2:8:2]] == [("AOS", "0.7", "40"), ("BEV", "0.5", "40"), ("3D", "0.25", "40")]
    assert rows[8] == ("Tram", "2D", "0.5", "40", "-", "-") and len(rows) == 16


def test_json():
    content = json.loads(json.dumps(scores([[3, 5], [0, 0]]).as_dict(), allow_nan=False))["boxes3d"]
    car, tram = content["classes"]
    assert content["main"] == pytest.approx(0.8) and car["objects"] == {"moderate": 3, "all": 5}
    assert car["ious"] == dict(zip(MEASURES, (0.7, 0.7, 0.5, 0.25)))
    assert car["R40"]["2D"] == {"moderate": 0.5, "all": 0.5} and tram["R11"]["3D"]["all"] is None


@pytest.mark.parametrize(("moderate", "place"), [(3, 0), (0, 1)])
def test_the_one_number_is_of_moderate_objects_where_there_are_any(moderate, place):
    one = scores([[moderate, 5], [0, 0]])
    one.precision[3, 0, place] = 1
    assert one.main == {"3D AP": 1}
