import sys

import keras
import numpy as np
import pytest

from centernet_tf.errors import UsageError
from centernet_tf.exports.about import read_about
from centernet_tf.exports.answers import BOXES, COUNT, NAMES, SCORES
from centernet_tf.exports.onnx import OnnxGraph, export_onnx
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.points.centers import Centers

onnxruntime = pytest.importorskip("onnxruntime", reason="running ONNX files needs the extra [onnx]")
pytest.importorskip("tf2onnx", reason="writing ONNX files needs the extra [onnx]")


@pytest.mark.parametrize(
    "backbone", ["tiny", *(pytest.param(name, marks=pytest.mark.long) for name in ("resnet18_dcn", "mobilenetv2_fpn"))]
)
def test_equals_the_graph_for_any_batch_and_size(backbone, tmp_path):
    card = ModelCard(
        tasks={"detect": {}},
        backbone=backbone,
        classes=("a", "b"),
        max_objects=10,
        input=InputCard(height=64, width=64, stride=32),
    )
    keras.utils.set_random_seed(0)
    network = build_network(backbone, Centers(2).heads())
    random = np.random.default_rng(0)
    for weight in network.weights:
        if weight.path.endswith("/offset_bias"):
            weight.assign(random.normal(size=weight.shape))
    # A fresh network answers nearly the same everywhere; ranks of such cells would be a matter of rounding.
    maps = network(random.normal(size=(1, 64, 64, 3)), training=False)
    for name in ("heatmap", "offset", "size"):
        last = network.get_layer(f"{name}_stack1_out")
        last.kernel.assign(last.kernel / np.std(maps[name][0]))
    path = export_onnx((network, card), tmp_path / "deep" / "a.onnx")
    session = onnxruntime.InferenceSession(str(path))
    assert {output.name for output in session.get_outputs()} == set(NAMES)
    about = dict(session.get_modelmeta().custom_metadata_map)
    assert read_about(about.pop("model.json"), str(path)).classes == ("a", "b")
    assert about == {"classes": "a\nb", "height": "64", "width": "64"}
    graph = OnnxGraph(network, card.input, card.task_set())
    for shape in ((1, 64, 64, 3), (3, 32, 96, 3)):
        images = random.uniform(0, 255, shape).astype(np.float32)
        expected = graph(images, {})
        for name in NAMES:
            (found,) = session.run([name], {"input": images})
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, np.asarray(expected[name]), atol=1e-3)


@pytest.mark.parametrize("rows", [np.s_[:], np.s_[:, 90], np.s_[90, 90]], ids=["all", "a column", "a pixel"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_no_numbers_are_no_objects(value, rows, exported, draw_spots):
    session = onnxruntime.InferenceSession(str(exported("spots", "onnx")))
    image = draw_spots(128, 128, (30, 40, 0)).astype(np.float32)
    image[rows] = value
    answers = {name: session.run([name], {"input": image[None]})[0] for name in NAMES}
    boxes, scores = answers[BOXES], answers[SCORES]
    assert np.isfinite(scores).all() and np.isfinite(boxes).all()
    assert answers[COUNT] == (scores > 0).sum() and (boxes[scores == 0] == 0).all()


@pytest.mark.parametrize(("name", "said"), [("a.tflite", "ends in .onnx; try"), ("a", "try a.onnx")])
def test_wrong_names(name, said, spot_model):
    with pytest.raises(UsageError, match=said):
        export_onnx(spot_model, name)


def test_without_the_converter_the_extra_is_named(spot_model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(UsageError, match=r"pip install 'centernet_tf\[onnx\]'"):
        export_onnx(spot_model, tmp_path / "a.onnx")
