import io
import json
import sys

import numpy as np
import pytest
from rich.console import Console

from centernet_tf.errors import DataError
from centernet_tf.metrics.coco import CocoBoxes
from centernet_tf.metrics.oks import CocoJoints
from centernet_tf.metrics.report import class_table, joint_table, plot, report, save_plot, summary_table
from centernet_tf.metrics.voc import VocBoxes
from centernet_tf.skeleton import Skeleton


def scores(names, images):
    metrics = CocoBoxes(names), VocBoxes(names)
    for metric in metrics:
        for image in images:
            metric.update(*image)
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


def test_empty(nothing, tmp_path):
    coco, voc = nothing
    assert cells(text(class_table(coco, voc)).splitlines()[4]) == ["cell", "0", "-", "-", "-"]
    assert report(coco, voc)["summary"]["AP"] is None
    save_plot(tmp_path / "curve.png", coco)


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
    assert ["AP", "overlaps 0.50 to 0.95", "50.0"] in rows
    assert ["AP75", "overlap 0.75", "50.0"] in rows
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


@pytest.mark.parametrize("count, named, grey", [(3, 3, 0), (10, 10, 0), (11, 10, 1), (40, 10, 30)])
def test_plot(random_scene, count, named, grey):
    truth = {"boxes": np.tile([[0, 0, 50, 50.0]], (count, 1)), "classes": np.arange(count)}
    complete = [(-1, {"boxes": [], "scores": [], "classes": []}, truth)]
    coco, _ = scores([f"class {index}" for index in range(count)], random_scene(20, count) + complete)
    figure = plot(coco)
    lines = figure.axes[0].get_lines()
    assert sum(not line.get_label().startswith("_") for line in lines) == named + 1
    assert sum(line.get_color() == "0.82" for line in lines) == grey
    assert lines[-1].get_label().endswith(f"{100 * coco.summary['AP50']:.1f}  mean of {count}")
    np.testing.assert_allclose(lines[-1].get_ydata(), coco.precision[0].mean(axis=1))


def test_plot_touches_no_global_state(small, tmp_path):
    loaded = "matplotlib.pyplot" in sys.modules
    save_plot(tmp_path / "folder" / "curve.png", small[0], overlap=0.75)
    assert ("matplotlib.pyplot" in sys.modules) == loaded
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["curve.png"]
    assert (tmp_path / "folder" / "curve.png").read_bytes()[:4] == b"\x89PNG"


def test_plot_of_an_overlap_that_was_not_evaluated(small):
    with pytest.raises(DataError, match=r"No precision at overlap 0.3. Evaluated: 0.50, 0.55"):
        plot(small[0], overlap=0.3)


def test_joints_are_told_of_in_table_and_json(small):
    metric = CocoJoints(("cell", "none", "platelets"), Skeleton(joints=("a", "b")))
    rows = {"boxes": [[0, 0, 50, 50]], "classes": [0]}
    points = np.array([[[5.0, 5], [40, 40]]])
    truth = {**rows, "joints": np.concatenate([points, np.full((1, 2, 1), 2)], axis=-1)}
    metric.update(1, {**rows, "scores": [0.9], "joints": points}, truth)
    joints = metric.result()
    lines = text(joint_table(joints)).splitlines()
    assert lines[0].strip() == "2 joints, 1 labelled objects"
    shown = [cells(line) for line in lines]
    assert ["OKS AP", "similarities 0.50 to 0.95", "100.0"] in shown
    assert ["OKS ARm", "recall, objects of 32x32 to 96x96", "100.0"] in shown
    assert ["OKS APl", "objects above 96x96 pixels", "-"] in shown
    content = json.loads(json.dumps(report(*small, joints)))
    assert content["summary"]["OKS AP"] == pytest.approx(1) and content["summary"]["OKS APl"] is None
    assert [row["objects with joints"] for row in content["classes"]] == [1, 0, 0]
    assert [row["OKS AP"] for row in content["classes"]] == [pytest.approx(1), None, None]
