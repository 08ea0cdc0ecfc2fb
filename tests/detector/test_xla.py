"""Networks that XLA compiles find the same."""

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.cli.search import for_many, load_detector
from centernet_tf.detector.compiled import by_xla
from centernet_tf.detector.detector import Detector, load
from centernet_tf.errors import UsageError
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network

on_tensorflow = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="JAX compiles everything itself")


@pytest.fixture(scope="module")
def detector():
    card = ModelCard(
        tasks={"detect": {}},
        backbone="tiny",
        classes=("first", "second"),
        max_objects=5,
        input=InputCard(height=64, width=64, stride=4),
    )
    keras.utils.set_random_seed(1)
    return Detector(build_network(card.backbone, card.task_set().heads), card)


@pytest.mark.parametrize("options", [{}, pytest.param({"flip": True}, marks=pytest.mark.long)])
def test_it_finds_the_same(detector, options):
    image = np.random.default_rng(0).integers(0, 255, (50, 70, 3), np.uint8)
    found, same = (detector.with_options(**options, xla=xla)(image, threshold=0.0) for xla in (False, True))
    assert len(found.scores) == 5
    np.testing.assert_allclose(same.scores, found.scores, rtol=1e-5)
    np.testing.assert_allclose(same.boxes, found.boxes, atol=1e-3)
    np.testing.assert_array_equal(same.classes, found.classes)


@on_tensorflow
def test_the_network_is_compiled(detector):
    image = ops.zeros((1, 64, 64, 3))
    compiled = by_xla(lambda images: detector.network(images, training=False))
    assert "HloModule" in compiled.experimental_get_compiler_ir(image)(stage="hlo")
    graphs = [detector.with_options(xla=xla).graph for xla in (False, True)]
    made = [hasattr(way, "experimental_get_compiler_ir") for graph in graphs for way in (graph._at_cells, graph._whole)]
    assert made == [False, False, True, True]


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="TensorFlow does not compile by itself")
def test_jax_compiles_by_itself():
    assert by_xla(len) is len


def test_the_option_reaches_the_detector(spot_model):
    assert load_detector(spot_model, xla=True).options.xla
    assert not load_detector(spot_model).options.xla and not load(spot_model).options.xla


@pytest.mark.parametrize(
    ("backbone", "images", "given", "compiled"),
    [
        ("dla34_dcn", 500, {}, True),
        ("dla34_dcn", 499, {}, False),
        ("dla34_dcn", 500, {"xla": False}, False),
        ("dla34_dcn", 500, {"keep_resolution": True}, False),
        ("dla34_dcn", 500, {"tile": "64"}, False),
        ("mobilenetv2_fpn:0.25", 500, {}, False),
        ("mobilenetv2_fpn:0.25", 0, {"xla": True}, True),
    ],
)
def test_it_is_compiled_where_that_pays(detector, monkeypatch, backbone, images, given, compiled):
    told = Detector(detector.network, detector.card.model_copy(update={"backbone": backbone}))
    monkeypatch.setattr("centernet_tf.detector.detector.load", lambda model: told)
    found = for_many(load_detector("any", **given), images, given.get("xla"))
    assert found.options.xla is compiled and bool(found.options.tile) == ("tile" in given)


def test_clips_are_refused():
    card = ModelCard(
        tasks={"action": {"frames": 3}},
        backbone="tiny",
        classes=("first",),
        max_objects=5,
        input=InputCard(height=64, width=64, stride=4),
    )
    tasks = card.task_set()
    network = build_network(card.backbone, tasks.heads, tasks.inputs)
    with pytest.raises(UsageError, match="xla compiles networks of single images; this one sees clips"):
        Detector(network, card).with_options(xla=True)
