import io
import json

import numpy as np
import pytest
from rich.console import Console

from centernet_tf.errors import DataError
from centernet_tf.metrics.coco import CocoBoxes
from centernet_tf.metrics.tables import class_table, number, percent, report, summary_table
from centernet_tf.metrics.voc import VocBoxes


def scores(names, images):
    metrics = CocoBoxes(names), VocBoxes(names)
    for metric in metrics:
        for image in images:
            metric.add(*image)
    return tuple(metric.result() for metric in metrics)


def text(table) -> str:
    console = Console(record=True, width=100, file=io.StringIO())
    console.print(table)
    return console.export_text()


def cells(line) -> list[str]:
    return [cell.strip() for cell in line.strip("│┃ \n").replace("┃", "│").split("│")]


@pytest.fixture
def small():
    boxes = np.array([[0, 0, 50, 50], [100, 100, 200, 180.0]])
    truth = {"boxes": boxes, "classes": [0, 2]}
    return scores(["cell", "none", "platelets"], [(1, {**truth, "scores": [0.9, 0.8], "classes": [0, 0]}, truth)])


@pytest.fixture
def nothing():
    empty = {"boxes": [], "scores": [], "classes": []}
    return scores(["cell"], [(1, empty, empty)])


@pytest.mark.parametrize(
    ("value", "told", "plain"),
    [(0.0, "0.0", 0.0), (np.float32(0.5), "50.0", 0.5), (1.0, "100.0", 1.0), (float("nan"), "-", None)],
)
def test_one_number(value, told, plain):
    assert percent(value) == told
    assert json.dumps(number(value)) == json.dumps(plain)


def test_empty(nothing):
    coco, voc = nothing
    assert cells(text(class_table(coco, voc)).splitlines()[4]) == ["cell", "0", "-", "-", "-"]
    assert report(coco, voc)["summary"]["AP"] is None


def test_class_table(small):
    lines = text(class_table(*small)).splitlines()
    assert lines[0].strip() == "1 images, 2 detections"
    rows = [cells(line) for line in lines]
    assert ["class", "objects", "AP", "AP50", "VOC AP"] in rows
    assert ["cell", "1", "100.0", "100.0", "100.0"] in rows
    assert ["none", "0", "-", "-", "-"] in rows
    assert ["platelets", "1", "0.0", "0.0", "0.0"] in rows
    assert ["mean", "2", "50.0", "50.0", "50.0"] in rows
    assert "VOC" not in text(class_table(small[0]))


def test_summary_table(small):
    rows = [cells(line) for line in text(summary_table(small[0])).splitlines()]
    assert ["AP", "IoU 0.50 to 0.95", "50.0"] in rows
    assert ["AP75", "IoU 0.75", "50.0"] in rows
    assert ["APs", "objects below 32x32 pixels", "-"] in rows
    assert ["AR10", "recall, best 10 per image", "50.0"] in rows
    assert ["ARm", "recall, objects of 32x32 to 96x96", "50.0"] in rows


def test_report_is_json(small):
    values = report(*small)
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert next(iter(values["summary"])) == "AP" and values["summary"]["APs"] is None
    assert values["summary"]["VOC AP"] == 0.5
    assert values["classes"][1] == {"name": "none", "objects": 0, "AP": None, "AP50": None, "VOC AP": None}
    assert "VOC AP" not in report(small[0])["summary"]


def test_different_classes(small, nothing):
    for function in (class_table, report):
        with pytest.raises(DataError, match="Evaluate the same ones"):
            function(small[0], nothing[1])
