"""TFLite files answer what Keras answers, in an order that clients can rely on, with operators that phones have."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf import preprocess
from centernet_tf.centers import STRIDE, Centers
from centernet_tf.errors import DataError, UsageError
from centernet_tf.export import decoder
from centernet_tf.export.answers import NAMES
from centernet_tf.layers.deformable import DeformableConv2D
from centernet_tf.model_file import InputCard, ModelCard
from centernet_tf.network import build_network

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the converter to TFLite is TensorFlow's"
)
interpreters = pytest.importorskip("ai_edge_litert.interpreter", reason="runs TFLite files; pip install ai-edge-litert")

KERNELS = {
    "XNNPACK": {},
    "built-in": {"experimental_op_resolver_type": interpreters.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES},
}
CLASS_NAMES = ("cat", "dog", "owl")
# What the delegates of phones take, not only their CPU's.
DELEGATED = {
    *("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "ADD", "MUL", "PAD", "MAX_POOL_2D"),
    *("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR", "HARD_SWISH", "MEAN", "AVERAGE_POOL_2D", "RELU", "RELU6"),
    *("CONCATENATION", "RESHAPE", "LOGISTIC", "QUANTIZE", "DEQUANTIZE"),
}


def export(*arguments, **options):
    from centernet_tf.export.tflite import export_tflite

    return export_tflite(*arguments, **options)


def tiny(heads) -> keras.Model:
    """Both orders of a deformable convolution's arithmetic, in a network that converts quickly."""
    image = keras.Input((None, None, 3), name="image")
    # A kernel smaller than its stride would be read wrongly by TensorFlow's XNNPACK.
    layer = keras.layers.Conv2D(24, 5, strides=4, padding="same", activation="relu", name="stem")(image)
    layer = keras.layers.ReLU()(DeformableConv2D(16, name="narrowing")(layer))
    layer = keras.layers.ReLU()(DeformableConv2D(16, name="keeping")(layer))
    layer = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="shared")(layer)
    maps = {head.name: [keras.layers.Conv2D(head.channels, 1, name=f"{head.name}_out")(layer)] for head in heads}
    return keras.Model(image, maps)


@functools.cache
def trained_like(backbone: str, size: tuple[int, int]) -> tuple[keras.Model, ModelCard]:
    """A network with random weights whose maps spread like a trained one's, and whose samples move."""
    keras.utils.set_random_seed(0)
    heads = Centers(len(CLASS_NAMES)).heads()
    network = tiny(heads) if backbone == "tiny" else build_network(backbone, heads)
    random = np.random.default_rng(0)
    for variable in network.weights:
        if "offset_kernel" in variable.path:
            variable.assign(random.normal(0, 0.02, variable.shape))
    image = random.normal(0, 1, (1, *size, 3)).astype(np.float32)
    maps = network(image, training=False)
    for name, spread, mean in (("heatmap", 2, -2), ("offset", 0.2, 0.5), ("size", 2, 5)):
        layer = next(layer for layer in network.layers[::-1] if layer.name.startswith(f"{name}_"))
        last = ops.convert_to_numpy(maps[name][-1])
        kernel, bias = layer.get_weights()
        factor = spread / last.std(axis=(0, 1, 2))
        layer.set_weights([kernel * factor, mean - factor * (last.mean(axis=(0, 1, 2)) - bias)])
    card = InputCard(height=size[0], width=size[1], stride=128 if "hourglass" in backbone else 32)
    return network, ModelCard(tasks=("detect",), backbone=backbone, classes=CLASS_NAMES, max_objects=20, input=card)


def picture(size, seed=1):
    """[H, W, 3] uint8: coarse blocks, so that there is something to see at every scale."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (size[0] // 8, size[1] // 8, 3)).repeat(8, 0).repeat(8, 1)
    return np.clip(blocks + random.integers(-40, 40, (*size, 3)), 0, 255).astype(np.uint8)


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
    shares = found["boxes"][..., [1, 0, 3, 2]] * STRIDE / np.tile(image.shape[:2], 2)
    return [np.clip(shares, 0, 1), found["classes"], found["scores"], (found["scores"] > 0).sum(axis=1)]


def assert_same(found, expected, size):
    assert len(set(np.round(expected[2][0], 4))) == expected[2].size, "scores tie, so their order is open"
    np.testing.assert_allclose(found[0] * np.tile(size, 2), expected[0] * np.tile(size, 2), rtol=0, atol=0.01)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_allclose(found[2], expected[2], rtol=0, atol=1e-4)
    np.testing.assert_array_equal(found[3], expected[3])


@pytest.mark.parametrize(
    "backbone, size",
    [
        ("tiny", (64, 64)),
        ("tiny", (64, 96)),
        pytest.param("mobilenetv2_fpn", (64, 96), marks=pytest.mark.long),
        pytest.param("resnet18", (96, 64), marks=pytest.mark.long),
        pytest.param("resnet18_dcn", (64, 64), marks=pytest.mark.long),
        pytest.param("mobilenetv3_fpn", (64, 64), marks=pytest.mark.long),
        pytest.param("dla34_dcn", (64, 64), marks=pytest.mark.long),
        pytest.param("hourglass104", (128, 128), marks=pytest.mark.long),
    ],
)
def test_float32_equals_keras_with_both_kernels(backbone, size, tmp_path):
    network, card = trained_like(backbone, size)
    path = export((network, card), tmp_path / "model.tflite")
    image = picture(size)
    expected = in_keras(network, card, image)
    for kernels in KERNELS:
        assert_same(run(path, image, kernels), expected, size)


@pytest.mark.parametrize("quantize", ["none", "float16", "int8"])
@pytest.mark.parametrize("decode", ["graph", "none"])
def test_interface(decode, quantize, tmp_path):
    size = (64, 96)
    images = [picture(size, seed) for seed in range(3)] if quantize == "int8" else None
    path = export(trained_like("tiny", size), tmp_path / "a" / "model.tflite", None, quantize, decode, images)
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
    image = picture(size)[None].astype(np.float32)
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
def test_maps_decode_in_numpy(kernels, tmp_path):
    size = (64, 64)
    network, card = trained_like("tiny", size)
    path = export((network, card), tmp_path / "model.tflite", decode="none")
    image = picture(size)
    assert_same(decoder.decode(*run(path, image, kernels)), in_keras(network, card, image), size)


def test_float16_is_half_and_near(tmp_path):
    size = (64, 64)
    network, card = trained_like("tiny", size)
    paths = {name: export((network, card), tmp_path / f"{name}.tflite", None, name) for name in ("none", "float16")}
    image = picture(size)
    exact, near = (run(path, image) for path in paths.values())
    np.testing.assert_allclose(near[2], exact[2], atol=5e-3)
    saved = paths["none"].stat().st_size - paths["float16"].stat().st_size
    assert saved > 1.6 * network.count_params(), "bytes"


@pytest.mark.parametrize("kernels", KERNELS)
def test_int8_keeps_coordinates_and_scores_fine(kernels, tmp_path):
    size = (64, 64)
    network, card = trained_like("tiny", size)
    images = [picture(size, seed) for seed in range(8)]
    path = export((network, card), tmp_path / "model.tflite", None, "int8", "none", images=iter(images))
    for found, exact in zip(run(path, images[0], kernels), network_maps(network, card, images[0])):
        assert np.corrcoef(found.ravel(), exact.ravel())[0, 1] > 0.99
        assert np.abs(found - exact).mean() < 0.1 * exact.std()
        assert len(np.unique(found)) > 256


def network_maps(network, card, image):
    normalized = preprocess.normalize(image[None] / np.float32(255), card.input.normalization)
    maps = network(normalized, training=False)
    return [ops.convert_to_numpy(maps[name][-1]) for name in ("heatmap", "offset", "size")]


def test_int8_leaves_positions_and_decode_in_float(tmp_path):
    from tensorflow.lite.tools import flatbuffer_utils

    images = [picture((64, 64), seed) for seed in range(3)]
    path = export(trained_like("tiny", (64, 64)), tmp_path / "model.tflite", None, "int8", images=images)
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
@pytest.mark.parametrize("backbone", ["resnet18", "mobilenetv2_fpn:0.35", "mobilenetv3_fpn"])
def test_without_decode_delegates_take_every_operator(backbone, quantize, tmp_path):
    size = (64, 64)
    images = [picture(size)] if quantize == "int8" else None
    path = export(trained_like(backbone, size), tmp_path / "model.tflite", None, quantize, "none", images)
    assert set(kinds(path)) - {"DELEGATE"} <= DELEGATED


def test_size_and_number_of_objects(tmp_path):
    path = export(trained_like("tiny", (64, 64)), tmp_path / "model.tflite", size=(32, 96), max_objects=300)
    boxes, *_, count = run(path, picture((32, 96)))
    assert boxes.shape == (1, 300, 4) and 0 < count[0] < 192


def test_a_file_that_answers_otherwise_is_not_written(tmp_path, monkeypatch):
    from centernet_tf.export import tflite

    monkeypatch.setitem(tflite.LIMITS, "none", -1.0)
    with pytest.raises(DataError, match=r"away from the model, more than -1\. Nothing was written"):
        export(trained_like("tiny", (64, 64)), tmp_path / "model.tflite")
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
def test_what_cannot_be_written_says_why(name, options, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        export(trained_like("tiny", (64, 64)), tmp_path / name, **options)
    assert not list(tmp_path.iterdir())
