import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from centernet_tf.detector.detector import Detector
from centernet_tf.errors import DataError
from centernet_tf.exports import parity
from centernet_tf.exports.answers import all_answers
from centernet_tf.exports.parity import LIMITS, Limits, Parity, compare, measure, require, write_report
from centernet_tf.exports.runners import KerasRunner
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.points.centers import Centers
from centernet_tf.results import Detections, Pairs


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


def with_field(name, value, scores=(0.9, 0.5)):
    """Two objects, of which the second has a value in this field."""
    rows = found(*((*box[:4], score, box[5]) for box, score in zip((BOX, OTHER), scores)))
    return Detections(rows.boxes, rows.scores, rows.classes, rows.names, (100, 100), {name: [0.0, value]})


@pytest.mark.parametrize("answer", all_answers(), ids=lambda answer: answer.field)
def test_every_answer_is_compared_by_its_kind(answer):
    for moved, expected in ((0.25, 0.25), (2 * np.pi + 0.25, 0.25 if answer.kind == "angles" else 2 * np.pi + 0.25)):
        result = compare("it", [(with_field(answer.field, 1), with_field(answer.field, 1 + moved))], limit=10)
        assert result.fields == {answer.field: pytest.approx(expected)}
        (said,) = result.crossed(Limits(**{answer.kind: 0.2}))
        assert said.startswith(f"{answer.field} differ by ")
        assert not result.crossed(Limits(**{answer.kind: 10}))
    # Only where both have it, and only of the same objects.
    assert compare("it", [(with_field(answer.field, 1), found(BOX, OTHER))], limit=10).fields == {}
    assert compare(
        "it", [(with_field(answer.field, 1, (0.9, 0.01)), with_field(answer.field, 5))], limit=10
    ).fields == {answer.field: 0}


@pytest.mark.parametrize(
    ("second", "apart"),
    [
        (Pairs([[1, 0]], [3], [0.6]), 0.1),  # The objects come in another order there.
        (Pairs([[1, 0], [0, 1]], [3, 3], [0.7, 0.1]), 0.0),
        (Pairs([[0, 1]], [3], [0.1]), 0.0),  # another pair
        (Pairs([[1, 0]], [2], [0.1]), 0.0),  # another verb
        (Pairs([], [], []), None),
        (None, None),
    ],
)
def test_pairs_are_compared_where_both_have_them(second, apart):
    pair = (
        dataclasses.replace(found(BOX, OTHER), pairs=Pairs([[0, 1]], [3], [0.7])),
        dataclasses.replace(found(OTHER, BOX), pairs=second),
    )
    assert compare("it", [pair], limit=10).fields.get("pair_scores") == (apart and pytest.approx(apart))


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
            ["boxes differ by 1 ", "scores differ", "90.00% match", "AP changes"],
        ),
        (Parity("it", 1, 1, np.nan, 0, 1.0), ["boxes differ by nan"]),
        (Parity("it", 1, 1, 0, 0, 1.0, {"AP": 0.0, "OKS AP": -0.2}), ["OKS AP changes by -0.2"]),
        (
            Parity("it", 1, 1, 0, 0, 1.0, fields={"keypoints": 2.0, "keypoint_scores": 0.001}),
            ["keypoints differ by 2,"],
        ),
        (Parity("it", 1, 1, 0, 0, 1.0, {"AP": 0.2}), []),  # A better AP is no fault.
    ],
)
def test_limits(parity, said):
    crossed = parity.crossed(Limits(boxes=0.5, scores=0.01, points=0.5, matched=0.95, ap=0.01))
    assert len(crossed) == len(said)
    assert all(text in line for text, line in zip(said, crossed))


def test_require_names_what_is_wrong():
    require([Parity("good", 1, 1, 0, 0, 1.0)], "float32")
    with pytest.raises(DataError, match=r"results differ from the model's: bad: boxes differ by 5 pixels"):
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
        tasks={"detect": {}},
        backbone="tiny",
        classes=shapes_val.classes,
        max_objects=10,
        input=InputCard(height=64, width=64, stride=32),
    )
    network = build_network(card.backbone, Centers(len(card.classes)).heads())
    runner = KerasRunner("shapes", Detector(network, card))
    assert measure("itself", runner, runner, [], limit=10, records=shapes_val).ap == {"AP": 0}


def test_what_an_export_leaves_out_is_not_scored(shapes_val, monkeypatch):
    """A file of boxes alone, of a model that finds keypoints too."""
    found = {"model": {"AP": 0.5, "OKS AP": 0.4}, "file": {"AP": 0.25}}
    monkeypatch.setattr(parity, "evaluate", lambda runner, records: SimpleNamespace(main=found[runner]))
    assert measure("file", "model", "file", [], limit=10, records=shapes_val).ap == {"AP": -0.25}
