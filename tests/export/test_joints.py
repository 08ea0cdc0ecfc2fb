"""Joints leave with the boxes: every format answers what the model answers, and never NaN."""

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.export.answers import BOXES, JOINT_SCORES, JOINTS, NAMES, SCORES, answer_names, tfod_answers
from centernet_tf.model_file import InputCard, ModelCard
from centernet_tf.skeleton import Skeleton

FACE = Skeleton(joints=("nose", "left_eye", "right_eye"), flip_pairs=((1, 2),))
SIZE = (64, 96)
CARD = ModelCard(
    tasks=("detect", "pose"),
    backbone="mobilenetv2_fpn",
    classes=("person", "ball"),
    max_objects=10,
    skeleton=FACE,
    joint_classes=("person",),
    input=InputCard(height=SIZE[0], width=SIZE[1], stride=32),
)
only_tensorflow = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow writes these files")


@pytest.fixture(scope="module")
def network():
    """A small network whose maps spread like a trained one's."""
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3), name="image")
    layer = keras.layers.Conv2D(24, 5, strides=4, padding="same", activation="relu")(image)
    maps, outs = {}, {}
    for head in CARD.task_set().heads:
        outs[head.name] = keras.layers.Conv2D(head.channels, 1, name=f"{head.name}_out")
        maps[head.name] = [outs[head.name](layer)]
    made = keras.Model(image, maps)
    noise = np.random.default_rng(0).normal(size=(1, *SIZE, 3)).astype(np.float32)
    answers = {name: ops.convert_to_numpy(values[0]) for name, values in made(noise).items()}
    for name, spread, mean in (("heatmap", 2, -2), ("joint_heatmap", 2, -1), ("size", 2, 9), ("joints", 3, 0)):
        kernel, bias = outs[name].get_weights()
        factor = spread / answers[name].std(axis=(0, 1, 2))
        outs[name].set_weights([kernel * factor, mean - factor * (answers[name].mean(axis=(0, 1, 2)) - bias)])
    return made


def assert_same(found, expected, limit=1e-4):
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], ops.convert_to_numpy(values), atol=limit, err_msg=name)
    assert np.isfinite(found[JOINTS]).all()


def test_shares_of_the_image_y_first():
    found = {
        "boxes": np.zeros((2, 1, 4)),
        "scores": np.ones((2, 1)),
        "classes": np.zeros((2, 1), np.int32),
        "joints": np.array([[[[10, 20], [-5, 50]]], [[[10, 20], [30, 40]]]], np.float32),
        "joint_scores": np.array([[[0.5, 0.1]], [[0.9, 0.0]]], np.float32),
    }
    made = tfod_answers(found, np.array([[100, 200], [40, 20]]), class_offset=1)
    assert tuple(made) == (*NAMES, JOINTS, JOINT_SCORES) == answer_names(CARD.task_set())
    places = ops.convert_to_numpy(made[JOINTS])
    np.testing.assert_allclose(places, [[[[0.2, 0.05], [0.5, -0.025]]], [[[0.5, 0.5], [1, 1.5]]]], rtol=1e-6)
    np.testing.assert_array_equal(ops.convert_to_numpy(made[JOINT_SCORES]), found["joint_scores"])


@only_tensorflow
def test_savedmodel_of_any_batch(network, tmp_path):
    import tensorflow as tf

    from centernet_tf.detector import DetectorGraph
    from centernet_tf.export.savedmodel import export_savedmodel

    run = tf.saved_model.load(str(export_savedmodel((network, CARD), tmp_path / "out"))).signatures["serving_default"]
    graph = DetectorGraph(network, CARD.task_set(), CARD.input)
    for batch in (1, 5):
        images = np.random.default_rng(batch).integers(0, 256, (batch, 70, 80, 3), np.uint8)
        sizes = np.full((batch, 2), (70, 80), np.int32)
        expected = tfod_answers(graph({"images": images, "sizes": sizes}), sizes, class_offset=1)
        found = {name: value.numpy() for name, value in run(input_tensor=tf.constant(images)).items()}
        assert set(found) == set(expected)
        assert_same(found, expected)
        assert (found[JOINT_SCORES] == 0).any() and (found[JOINT_SCORES] > 0.1001).any()


@only_tensorflow
@pytest.mark.parametrize("decode", ["graph", "boxes"])
def test_tflite_with_both_kernels(network, decode, tmp_path):
    interpreters = pytest.importorskip("ai_edge_litert.interpreter", reason="pip install ai-edge-litert")
    from centernet_tf.export.tflite import PhoneGraph, export_tflite

    path = export_tflite((network, CARD), tmp_path / "model.tflite", decode=decode)
    names = answer_names(CARD.task_set()) if decode == "graph" else NAMES
    image = np.random.default_rng(1).uniform(0, 255, (1, *SIZE, 3)).astype(np.float32)
    expected = PhoneGraph(network, CARD.input, CARD.task_set(), names)(image)
    plain = interpreters.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    for kernels in ({}, {"experimental_op_resolver_type": plain}):
        interpreter = interpreters.Interpreter(model_path=str(path), num_threads=1, **kernels)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
        interpreter.invoke()
        outputs = interpreter.get_output_details()
        assert len(outputs) == len(names)
        found = {name: interpreter.get_tensor(output["index"]) for name, output in zip(names, outputs)}
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], ops.convert_to_numpy(values), atol=2e-4, err_msg=name)


@only_tensorflow
def test_a_file_of_few_objects_finds_their_joints_among_all(network, tmp_path):
    pytest.importorskip("ai_edge_litert.interpreter", reason="pip install ai-edge-litert")
    from centernet_tf.detector import Detector
    from centernet_tf.export.parity import LIMITS, compare
    from centernet_tf.export.runners import KerasRunner, LiteRunner
    from centernet_tf.export.tflite import export_tflite

    card = CARD.model_copy(update={"max_objects": 150})
    path = export_tflite((network, card), tmp_path / "model.tflite", max_objects=3)
    runner = LiteRunner(path)
    model = KerasRunner(path, Detector(network, card), runner.window)
    pictures = [np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), np.uint8) for seed in range(3)]
    parity = compare("it", [(model(picture), runner(picture)) for picture in pictures], limit=3)
    assert parity.objects and "joints" in parity.fields and not parity.crossed(LIMITS["float32"]), parity


@only_tensorflow
def test_onnx(network, tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="pip install onnxruntime")
    pytest.importorskip("tf2onnx", reason="pip install tf2onnx")
    from centernet_tf.export.onnx import export_onnx

    path = export_onnx((network, CARD), tmp_path / "model.onnx")
    session = runtime.InferenceSession(str(path))
    images = np.random.default_rng(1).uniform(0, 255, (2, *SIZE, 3)).astype(np.float32)
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"input": images})))
    assert set(found) == {*NAMES, JOINTS, JOINT_SCORES}
    assert found[JOINTS].shape == (2, 10, 3, 2) and np.isfinite(found[JOINTS]).all()
    assert (found[SCORES] > 0).any() and found[BOXES].max() <= 1


@only_tensorflow
def test_every_format_is_compared_by_its_joints(network, tmp_path):
    pytest.importorskip("ai_edge_litert.interpreter", reason="pip install ai-edge-litert")
    from centernet_tf.detector import Detector
    from centernet_tf.export.parity import compare
    from centernet_tf.export.runners import KerasRunner, open_runner
    from centernet_tf.export.savedmodel import export_savedmodel
    from centernet_tf.export.tflite import export_tflite

    image = np.random.default_rng(2).integers(0, 256, (90, 70, 3), np.uint8)
    model = KerasRunner(tmp_path, Detector(network, CARD))
    for path in (
        export_savedmodel((network, CARD), tmp_path / "out"),
        export_tflite((network, CARD), tmp_path / "model.tflite"),
    ):
        runner = open_runner(path.parent if path.name.isdigit() else path)
        parity = compare("it", [(model(image), runner(image))], limit=10)
        assert set(parity.fields) == {"joints", "joint_scores"} and parity.objects
        assert parity.fields["joints"] < 0.01 and parity.fields["joint_scores"] < 1e-4
        found = runner(image)
        moved = type(found)(
            found.boxes,
            found.scores,
            found.classes,
            found.names,
            found.image_size,
            {"joints": found.fields["joints"] + 3},
        )
        assert compare("it", [(model(image), moved)], limit=10).fields == {"joints": pytest.approx(3, abs=0.01)}


@only_tensorflow
def test_int8_rounds_no_scores_and_no_coordinates(network, tmp_path):
    """Scores of 256 steps tie, and beside coordinates they would have the steps of these."""
    pytest.importorskip("ai_edge_litert.interpreter", reason="pip install ai-edge-litert")
    from tensorflow.lite.tools import flatbuffer_utils

    from centernet_tf.detector import Detector
    from centernet_tf.export.runners import KerasRunner, open_runner
    from centernet_tf.export.tflite import export_tflite

    images = list(np.random.default_rng(3).integers(0, 256, (8, *SIZE, 3), np.uint8))
    path = export_tflite((network, CARD), tmp_path / "model.tflite", quantize="int8", images=images)
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(path.read_bytes()))
    kinds = [flatbuffer_utils.opcode_to_name(model, one.opcodeIndex) for one in model.subgraphs[0].operators]
    assert kinds.count("QUANTIZE") == 1, "of the image alone"
    model, runner = KerasRunner(tmp_path, Detector(network, CARD)), open_runner(path)
    for image in images:
        expected, found = model(image), runner(image)
        assert len(np.unique(found.scores)) == len(found.scores)
        np.testing.assert_allclose(found.scores, expected.scores, atol=0.05)
