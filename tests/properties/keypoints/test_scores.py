"""What people and programs are told of the scores of keypoints."""

import json

import numpy as np
import pytest

from centernet_tf.properties.keypoints.scores import KeypointScores

NAN = float("nan")


def scores(truth):
    """Of three classes, the second of which has the best score."""
    summary = {"AP": 0.5, "AP50": 1.0, "AR": 0.25, "ARm": 0.125, "APl": NAN}
    ap = np.where(np.array(truth) > 0, [0.25, 0.75, 0.5], NAN)
    return KeypointScores(summary, ("cat", "dog", "cow"), ap, ap, np.array(truth), ("a", "b"), images=4, detections=9)


def cells(table):
    return list(zip(*(map(str, column.cells) for column in table.columns)))


def test_table():
    (table,) = scores([1, 2, 0]).tables()
    assert table.title == "2 keypoints, 3 labelled objects"
    assert cells(table) == [
        ("OKS AP", "similarities 0.50 to 0.95", "50.0"),
        ("OKS AP50", "similarity 0.50", "100.0"),
        ("OKS AR", "recall, similarities 0.50 to 0.95", "25.0"),
        ("OKS ARm", "recall, objects of 32x32 to 96x96", "12.5"),
        ("OKS APl", "objects above 96x96 pixels", "-"),
        ("OKS AP", "cat", "25.0"),
        ("OKS AP", "dog", "75.0"),
    ]


def test_a_single_class_has_no_row_of_its_own():
    assert len(cells(scores([0, 0, 5]).tables()[0])) == 5


def test_json():
    content = json.loads(json.dumps(scores([1, 2, 0]).as_dict(), allow_nan=False))["keypoints"]
    assert content["summary"]["OKS AP"] == 0.5 and content["summary"]["OKS APl"] is None
    assert content["classes"][1] == {"name": "dog", "objects": 2, "OKS AP": 0.75}
    assert content["classes"][2] == {"name": "cow", "objects": 0, "OKS AP": None}


def test_the_one_number():
    assert scores([1, 2, 0]).main == {"OKS AP": pytest.approx(0.5)}
