"""The JSON text about a model, and the values that exports are tried out with."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from centernet_tf.errors import DataError, UsageError
from centernet_tf.exports.about import about_text, check_single_image, read_about, usual_extras
from centernet_tf.points.task import IMAGE, Extra, Input


@pytest.mark.parametrize("kind", ["detect", "pose", "box3d"])
def test_what_is_written_is_what_is_read(kind, model):
    _, card = model(kind)
    tasks, about = card.task_set(), read_about(about_text(card), "a.tflite")
    assert (about.classes, about.properties) == (card.classes, tasks.properties)
    assert [(extra.name, extra.shape, extra.usual) for extra in about.extras] == [
        (extra.name, extra.shape, extra.usual) for extra in tasks.extras
    ]


def test_other_programs_read_it_without_us(model):
    content = json.loads(about_text(model("box3d")[1]))
    assert content["classes"] == ["car", "truck"] and set(content["properties"]) == {"boxes3d"}
    assert np.shape(content["extras"]["camera"]) == (3, 4)
    assert json.loads(about_text(model("pose")[1]))["properties"]["keypoints"]["classes"] == ["person"]


def test_fitted_thresholds_are_told_where_there_are_some(model):
    card = model("detect")[1]
    assert "thresholds" not in json.loads(about_text(card)) and read_about(about_text(card), "a").thresholds is None
    fitted = card.model_copy(update={"thresholds": (0.25,) * len(card.classes)})
    assert read_about(about_text(fitted), "a.tflite").thresholds == fitted.thresholds


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("{", UsageError, "a.onnx: model.json in it is damaged"),
        ("[]", UsageError, "a.onnx: model.json in it is damaged"),
        ('{"classes": [], "tasks": {}}', UsageError, "model.json in it is damaged (KeyError('properties'))"),
        ('{"classes": ["a"], "tasks": {"detekt": {}}, "properties": {}}', UsageError, "Unknown task 'detekt'. Did you"),
        (
            '{"classes": ["a"], "tasks": {"detect": {}}, "properties": {"hu": {}}}',
            DataError,
            "a.onnx: unknown property",
        ),
    ],
)
def test_what_cannot_be_read(text, error, said):
    with pytest.raises(error) as raised:
        read_about(text, "a.onnx")
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "inputs", [{**IMAGE, "previous": Input(frames=(-1,))}, {"image": Input(frames=(-1, 0))}, {"drawn": Input(draw=max)}]
)
def test_what_sees_more_than_an_image_is_refused(inputs):
    with pytest.raises(UsageError):
        check_single_image(SimpleNamespace(inputs=inputs, associate=None), "an ONNX file")
    check_single_image(SimpleNamespace(inputs=IMAGE, associate=None), "an ONNX file")


def test_usual_extras():
    lens = Extra("lens", (2,), usual=(1.0, 2.0))
    assert usual_extras([]) == {}
    assert usual_extras([lens])["lens"].tolist() == [[1, 2]]
    with pytest.raises(UsageError, match="no usual tilt, with which the export would be compared"):
        usual_extras([lens, Extra("tilt", ())])
