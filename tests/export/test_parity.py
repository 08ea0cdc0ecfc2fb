import json
from types import SimpleNamespace

import numpy as np
import pytest

from centernet_tf.centers import Centers
from centernet_tf.detector import Detector
from centernet_tf.errors import DataError
from centernet_tf.export import parity
from centernet_tf.export.parity import LIMITS, Limits, Parity, compare, measure, require, write_report
from centernet_tf.export.runners import KerasRunner
from centernet_tf.model_file import InputCard, ModelCard
from centernet_tf.network import build_network
from centernet_tf.results import Detections


def found(*rows):
    """Detections of rows (left, top, right, bottom, score, class)."""
    table = np.array(rows, float).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(int), ("a", "b"), (100, 100))


BOX = (10, 10, 50, 50, 0.9, 0)
OTHER = (60, 60, 90, 80, 0.5, 1)


@pytest.mark.parametrize(
    ("first", "second", "objects", "boxes", "scores", "matched"),
    [
        ((), (), 0, 0, 0, 1),
        ((), (BOX,), 0, 0, 0, 1),
        ((BOX,), (), 1, 0, 0, 0),
        ((BOX, OTHER), (BOX, OTHER), 2, 0, 0, 1),
        ((BOX, OTHER), (OTHER, BOX), 2, 0, 0, 1),
        ((BOX,), ((10, 10, 50, 50.1, 0.8, 0),), 1, 0.1, 0.1, 1),
        ((BOX,), ((10, 10, 50, 50, 0.9, 1),), 1, 0, 0, 0),  # Another class is another object.
        ((BOX,), ((20, 10, 60, 50, 0.9, 0),), 1, 0, 0, 0),
        ((BOX, OTHER), (BOX,), 2, 0, 0, 0.5),
        (((10, 10, 50, 50, 0.01, 0),), (), 0, 0, 0, 1),  # Too unsure to count.
        (((10, 10, 10, 50, 0.9, 0),), (), 0, 0, 0, 1),  # Wholly outside the image, so clipped to nothing.
        ((BOX, (10, 10, 50, 50, 0.7, 0)), ((10, 10, 50, 50, 0.7, 0), BOX), 2, 0, 0, 1),  # Alike but for the score.
    ],
)
def test_compare(first, second, objects, boxes, scores, matched):
    result = compare("it", [(found(*first), found(*second))], limit=10)
    assert (result.images, result.objects) == (1, objects)
    assert (result.boxes, result.scores, result.matched) == pytest.approx((boxes, scores, matched), abs=1e-5)


def test_several_images_and_the_limit():
    pairs = [(found(BOX, OTHER), found(BOX)), (found(BOX), found(BOX)), (found(), found())]
    assert compare("it", pairs, limit=1) == Parity("it", 3, 2, 0.0, 0.0, 1.0)
    assert compare("it", [], limit=1) == Parity("it", 0, 0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("parity", "said"),
    [
        (Parity("it", 1, 1, 0, 0, 1.0), []),
        (
            Parity("it", 1, 1, 1.0, 0.1, 0.9, {"AP": -0.2}),
            ["boxes differ by 1 ", "scores differ", "90.00% of", "AP changes"],
        ),
        (Parity("it", 1, 1, np.nan, 0, 1.0), ["boxes differ by nan"]),
        (Parity("it", 1, 1, 0, 0, 1.0, {"AP": 0.0, "OKS AP": -0.2}), ["OKS AP changes by -0.2"]),
        (Parity("it", 1, 1, 0, 0, 1.0, fields={"joints": 2.0, "joint_scores": 0.001}), ["joints differ by 2,"]),
        (Parity("it", 1, 1, 0, 0, 1.0, {"AP": 0.2}), []),  # A better AP is no fault.
    ],
)
def test_limits(parity, said):
    crossed = parity.crossed(Limits(boxes=0.5, scores=0.01, points=0.5, matched=0.95, ap=0.01))
    assert len(crossed) == len(said)
    assert all(text in line for text, line in zip(said, crossed))


def test_require_names_what_is_wrong():
    require([Parity("good", 1, 1, 0, 0, 1.0)], "float32")
    with pytest.raises(DataError, match=r"does not answer as the model: bad: boxes differ by 5 pixels"):
        require([Parity("good", 1, 1, 0, 0, 1.0), Parity("bad", 1, 1, 5.0, 0, 1.0)], "float32")
    assert set(LIMITS) == {"float32", "float16", "bfloat16", "int8"}


def test_measure_and_write(spot_model, draw_spots, tmp_path):
    runner = KerasRunner(spot_model)
    images = [draw_spots(96, 64, (30, 40, 0), (70, 20, 1)), draw_spots(64, 64)]
    result = measure("itself", runner, runner, images, limit=20)
    assert (result.images, result.objects, result.matched, result.ap) == (2, 2, 1.0, {})
    write_report(tmp_path / "report.json", [result])
    assert json.loads((tmp_path / "report.json").read_text())[0]["name"] == "itself"


def test_measure_scores_both_on_records(shapes_val):
    card = ModelCard(
        tasks=("detect",),
        backbone="mobilenetv2_fpn",
        classes=shapes_val.classes,
        max_objects=10,
        input=InputCard(height=64, width=64, stride=32),
    )
    network = build_network(card.backbone, Centers(len(card.classes)).heads())
    runner = KerasRunner("shapes", Detector(network, card))
    assert measure("itself", runner, runner, [], limit=10, records=shapes_val).ap == {"AP": 0}


def test_what_an_export_leaves_out_is_not_scored(shapes_val, monkeypatch):
    """A file of boxes alone, of a model that finds joints too."""
    found = {"model": {"AP": 0.5, "OKS AP": 0.4}, "file": {"AP": 0.25}}
    monkeypatch.setattr(parity, "evaluate", lambda runner, records: SimpleNamespace(main=found[runner]))
    assert measure("file", "model", "file", [], limit=10, records=shapes_val).ap == {"AP": -0.25}
