"""The precision-recall figure."""

import sys

import numpy as np
import pytest

from centernet_tf.errors import DataError
from centernet_tf.metrics.coco import CocoBoxes
from centernet_tf.metrics.plot import plot, save_plot

NAMES = ("a", "b", "c", "d")


def scores(names, images):
    metric = CocoBoxes(names)
    for image in images:
        metric.add(*image)
    return metric.result()


def test_nothing_annotated():
    empty = {"boxes": [], "scores": [], "classes": []}
    axes = plot(scores(["cell"], [(1, empty, empty)])).axes[0]
    assert not axes.get_lines() and axes.texts[0].get_text() == "no annotated objects"


@pytest.mark.parametrize("count, named, grey", [(3, 3, 0), (10, 10, 0), (11, 10, 1), (40, 10, 30)])
def test_plot(random_scene, count, named, grey):
    truth = {"boxes": np.tile([[0, 0, 50, 50.0]], (count, 1)), "classes": np.arange(count)}
    complete = [(-1, {"boxes": [], "scores": [], "classes": []}, truth)]
    coco = scores([f"class {index}" for index in range(count)], random_scene(20, count) + complete)
    figure = plot(coco)
    lines = figure.axes[0].get_lines()
    assert sum(not line.get_label().startswith("_") for line in lines) == named + 1
    assert sum(line.get_color() == "0.82" for line in lines) == grey
    assert lines[-1].get_label().endswith(f"{100 * coco.summary['AP50']:.1f}  mean of {count}")
    np.testing.assert_allclose(lines[-1].get_ydata(), coco.precision[0].mean(axis=1))


def test_plot_touches_no_global_state(random_scene, tmp_path):
    loaded = "matplotlib.pyplot" in sys.modules
    save_plot(tmp_path / "folder" / "curve.png", scores(NAMES, random_scene(3)), iou=0.75)
    assert ("matplotlib.pyplot" in sys.modules) == loaded
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["curve.png"]
    assert (tmp_path / "folder" / "curve.png").read_bytes()[:4] == b"\x89PNG"


def test_plot_of_an_iou_that_was_not_evaluated(random_scene):
    with pytest.raises(DataError, match=r"No precision at IoU 0.3. Evaluated: 0.50, 0.55"):
        plot(scores(NAMES, random_scene(3)), iou=0.3)
