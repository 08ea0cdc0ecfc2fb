"""TFLite files answer what Keras answers, in an order that clients can rely on, with operators that phones have."""

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf import preprocess
from centernet_tf.errors import DataError, UsageError
from centernet_tf.exports import decoder
from centernet_tf.exports.answers import NAMES
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.points.centers import STRIDE, Centers

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the converter to TFLite is TensorFlow's"
)
interpreters = pytest.importorskip("ai_edge_litert.interpreter", reason="runs TFLite files; pip install ai-edge-litert")

KERNELS = {
    "XNNPACK": {},
    "built-in": {"experimental_op_resolver_type": interpreters.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES},
}
SIZE = (64, 96)
CLASS_NAMES = ("cat", "dog", "owl")
# What the delegates of phones take, not only their CPU's.
DELEGATED = {
    *("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "ADD", "MUL", "PAD", "MAX_POOL_2D"),
    *("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR", "HARD_SWISH", "MEAN", "AVERAGE_POOL_2D", "RELU", "RELU6"),
    *("CONCATENATION", "RESHAPE", "LOGISTIC", "QUANTIZE", "DEQUANTIZE"),
}


def export(*arguments, **options):
    from centernet_tf.exports.tflite import export_tflite

    return export_tflite(*arguments, **options)


@pytest.fixture(scope="module")
def wide(spread_maps):
    """A function from a backbone and a size to a network whose maps spread like a trained one's, and its card."""

    def make(backbone, size):
        keras.utils.set_random_seed(0)
        network = build_network(backbone, Centers(len(CLASS_NAMES)).heads())
        random = np.random.default_rng(0)
        for variable in network.weights:
            if "offset_kernel" in variable.path:  # so that samples move
                variable.assign(random.normal(0, 0.02, variable.shape))
        form = InputCard(height=size[0], width=size[1], stride=32)
        card = ModelCard(tasks={"detect": {}}, backbone=backbone, classes=CLASS_NAMES, max_objects=20, input=form)
        return spread_maps(network, size), card

    return make


def run(path, image, kernels="XNNPACK") -> list[np.ndarray]:
    """Outputs in the order of their positions."""
    interpreter = interpreters.Interpreter(model_path=str(path), num_threads=1, **KERNELS[kernels])
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    interpreter.set_tensor(given["index"], image[None].astype(np.float32))
    interpreter.invoke()
    return [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]


def in_keras(network, card, image, max_objects=10):
    """TFOD's outputs, in order, of an image that fills the input."""
    normalized = preprocess.normalize(image[None] / np.float32(255), card.input.normalization)
    tasks = card.model_copy(update={"max_objects": max_objects}).task_set()
    found = tasks.decode(network(normalized, training=False))
    found = {name: ops.convert_to_numpy(values) for name, values in found.items()}
    fractions = found["boxes"][..., [1, 0, 3, 2]] * STRIDE / np.tile(image.shape[:2], 2)
    return [np.clip(fractions, 0, 1), found["classes"], found["scores"], (found["scores"] > 0).sum(axis=1)]


def assert_same(found, expected, size):
    assert len(set(np.round(expected[2][0], 4))) == expected[2].size, "scores tie, so their order is open"
    np.testing.assert_allclose(found[0] * np.tile(size, 2), expected[0] * np.tile(size, 2), rtol=0, atol=0.01)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_allclose(found[2], expected[2], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(found[3], expected[3])


@pytest.mark.parametrize("kernels", KERNELS)
def test_float32_equals_keras(kernels, model, exported, blocks):
    image = blocks(seed=2)
    found = run(exported("deformable", "tflite"), image, kernels)
    assert_same(found, in_keras(*model("deformable"), image), SIZE)


@pytest.mark.long
@pytest.mark.parametrize(
    "backbone, size",
    [
        ("mobilenetv2_fpn", (64, 96)),
        pytest.param("resnet18", (96, 64), marks=pytest.mark.release),
        ("resnet18_dcn", (64, 64)),
        pytest.param("mobilenetv3_fpn", (64, 64), marks=pytest.mark.release),
        ("dla34_dcn", (64, 64)),
    ],
)
def test_every_backbone_equals_keras_with_both_kernels(backbone, size, wide, blocks, tmp_path):
    network, card = wide(backbone, size)
    path = export((network, card), tmp_path / "model.tflite")
    image = blocks(size)
    expected = in_keras(network, card, image)
    for kernels in KERNELS:
        assert_same(run(path, image, kernels), expected, size)


@pytest.mark.parametrize(
    "decode, quantize",
    [
        ("graph", "none"),
        pytest.param("graph", "float16", marks=pytest.mark.long),
        ("graph", "int8"),
        ("none", "none"),
        pytest.param("none", "float16", marks=pytest.mark.long),
        ("none", "int8"),
    ],
)
def test_interface(decode, quantize, exported, blocks):
    path = exported("detect", "tflite", quantize=quantize, decode=decode)
    interpreter = interpreters.Interpreter(model_path=str(path))
    (given,) = interpreter.get_input_details()
    assert given["shape"].tolist() == [1, 64, 96, 3] and given["dtype"] == np.float32
    runner = interpreter.get_signature_runner("serving_default")
    assert list(runner.get_input_details()) == ["input"]
    shapes = {"heatmap": (1, 16, 24, 3), "offset": (1, 16, 24, 2), "size": (1, 16, 24, 2)}
    if decode == "graph":
        shapes = dict(zip(NAMES, [(1, 10, 4), (1, 10), (1, 10), (1,)]))
    places = {name: detail["index"] for name, detail in runner.get_output_details().items()}
    found = interpreter.get_output_details()
    assert [detail["index"] for detail in found] == [places[name] for name in shapes]
    assert [tuple(detail["shape"]) for detail in found] == list(shapes.values())
    assert {detail["dtype"] for detail in found} == {np.float32}
    image = blocks()[None].astype(np.float32)
    outputs = runner(input=image)
    assert not [operator for operator in kinds(path) if operator.startswith(("FLEX", "CUSTOM"))]
    for by_position, name in zip(run(path, image[0]), shapes):
        np.testing.assert_array_equal(by_position, outputs[name])


def kinds(path) -> list[str]:
    """Names of a file's operators."""
    interpreter = interpreters.Interpreter(
        model_path=str(path),
        experimental_op_resolver_type=interpreters.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    return [operator["op_name"].upper() for operator in interpreter._get_ops_details()]


@pytest.mark.parametrize("kernels", KERNELS)
def test_maps_decode_in_numpy(kernels, model, exported, blocks):
    path = exported("detect", "tflite", quantize="none", decode="none")
    assert_same(decoder.decode(*run(path, blocks(), kernels)), in_keras(*model("detect"), blocks()), SIZE)


@pytest.mark.long
def test_float16_is_half_and_near(model, exported, blocks):
    paths = [exported("deformable", "tflite", **options) for options in ({}, {"quantize": "float16"})]
    exact, near = (run(path, blocks()) for path in paths)
    np.testing.assert_allclose(near[2], exact[2], atol=5e-3)
    whole, half = (path.stat().st_size for path in paths)
    assert whole - half > 1.6 * model("deformable")[0].count_params(), "bytes"


@pytest.mark.parametrize("kernels", KERNELS)
def test_int8_keeps_coordinates_and_scores_fine(kernels, model, exported, blocks):
    path = exported("detect", "tflite", quantize="int8", decode="none")
    image = blocks(seed=0)
    for found, exact in zip(run(path, image, kernels), network_maps(*model("detect"), image)):
        assert np.corrcoef(found.ravel(), exact.ravel())[0, 1] > 0.99
        assert np.abs(found - exact).mean() < 0.1 * exact.std()
        assert len(np.unique(found)) > 256


def network_maps(network, card, image):
    normalized = preprocess.normalize(image[None] / np.float32(255), card.input.normalization)
    maps = network(normalized, training=False)
    return [ops.convert_to_numpy(maps[name][-1]) for name in ("heatmap", "offset", "size")]


@pytest.mark.long
def test_int8_leaves_positions_and_decode_in_float(exported):
    from tensorflow.lite.tools import flatbuffer_utils

    path = exported("deformable", "tflite", quantize="int8")
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(path.read_bytes()))
    (graph,) = model.subgraphs
    types = {"CONV_2D": [], "FLOOR": [], "GATHER": [], "TOPK_V2": [], "LOGISTIC": []}
    for operator in graph.operators:
        kind = flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex)
        if kind in types:
            types[kind].append(flatbuffer_utils.type_to_name(graph.tensors[operator.outputs[0]].type))
    convolutions = types.pop("CONV_2D")
    # Colours, stem and shared; two predict positions and three are the last.
    assert convolutions.count("INT8") == 3 and convolutions.count("FLOAT32") == 5
    assert all(kinds and set(kinds) <= {"FLOAT32", "INT32"} for kinds in types.values()), types


@pytest.mark.long
@pytest.mark.parametrize("quantize", ["none", "int8"])
@pytest.mark.parametrize(
    "backbone",
    [pytest.param("resnet18", marks=pytest.mark.release), "mobilenetv2_fpn:0.35", "mobilenetv3_fpn"],
)
def test_without_decode_delegates_take_every_operator(backbone, quantize, wide, blocks, tmp_path):
    size = (64, 64)
    images = [blocks(size)] if quantize == "int8" else None
    path = export(wide(backbone, size), tmp_path / "model.tflite", None, quantize, "none", images)
    assert set(kinds(path)) - {"DELEGATE"} <= DELEGATED


def test_size_and_number_of_objects(exported, blocks):
    boxes, *_, count = run(exported("detect", "tflite", size=(32, 96), max_objects=300), blocks((32, 96)))
    assert boxes.shape == (1, 300, 4) and 0 < count[0] < 192


def test_a_file_that_answers_otherwise_is_not_written(spot_model, tmp_path, monkeypatch):
    from centernet_tf.exports import tflite

    monkeypatch.setitem(tflite.LIMITS, "none", -1.0)
    with pytest.raises(DataError, match=r"away from the model, more than -1\. Nothing was written"):
        export(spot_model, tmp_path / "model.tflite")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("model.bin", {}, "try .*model.tflite"),
        ("model.tflite", {"size": (60, 64)}, "60x64.*Try 64x64"),
        ("model.tflite", {"quantize": "int4"}, "'int4'; expected none or float16 or int8"),
        ("model.tflite", {"decode": "yes"}, "'yes'; expected graph or boxes or none"),
        ("model.tflite", {"quantize": "int8"}, "int8 needs images"),
        ("model.tflite", {"quantize": "int8", "images": []}, "none among those given"),
        ("model.tflite", {"images": []}, "uses no images"),
        ("model.tflite", {"max_objects": 0}, "max_objects is 0"),
    ],
)
def test_what_cannot_be_written_says_why(name, options, message, spot_model, tmp_path):
    with pytest.raises(UsageError, match=message):
        export(spot_model, tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("decode", ["boxes", "none"])
def test_boxes_that_come_of_what_else_is_found_need_the_whole_decode(decode, model, tmp_path):
    with pytest.raises(UsageError, match=f"decode '{decode}': this model has no boxes of its own"):
        export(model("box3d_bare"), tmp_path / "bare.tflite", decode=decode)


@pytest.mark.parametrize("rows", [np.s_[:], np.s_[:, 90], np.s_[90, 90]], ids=["all", "a column", "a pixel"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kernels", KERNELS)
def test_pixels_that_are_no_numbers_are_no_objects(kernels, value, rows, spot_file, draw_spots):
    image = draw_spots(128, 128, (30, 40, 0)).astype(np.float32)
    _, _, scores, _ = run(spot_file, image, kernels)
    assert scores[0, 0] > 0.5
    image[rows] = value
    boxes, _, scores, count = run(spot_file, image, kernels)
    assert np.isfinite(scores).all() and np.isfinite(boxes).all()
    assert count == (scores > 0).sum()
    assert (boxes[scores == 0] == 0).all()


@pytest.fixture(scope="module")
def spot_file(spot_model, tmp_path_factory):
    """The spot network as a file."""
    return export(spot_model, tmp_path_factory.mktemp("spots") / "a.tflite")
