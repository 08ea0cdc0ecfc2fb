"""Boxes in space leave with the others: every format takes the cameras of its pictures and answers what Keras does."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.detector import Detector
from centernet_tf.detector_graph import DetectorGraph
from centernet_tf.errors import UsageError
from centernet_tf.export.answers import ALPHAS, DIMENSIONS, LOCATIONS, NAMES, ROTATIONS, answer_names, tfod_answers
from centernet_tf.geometry.camera import DEFAULT_CAMERA, move_camera
from centernet_tf.model_file import InputCard, ModelCard

SIZE = (64, 96)
CARD = ModelCard(
    tasks=("box3d",),
    backbone="mobilenetv2_fpn",
    classes=("car", "truck"),
    max_objects=10,
    camera=DEFAULT_CAMERA.tolist(),
    input=InputCard(height=SIZE[0], width=SIZE[1], stride=32),
)
SPACE = (LOCATIONS, DIMENSIONS, ROTATIONS, ALPHAS)
CAMERAS = np.stack([DEFAULT_CAMERA, [[90, 0, 40, -30], [0, 100, 35, 4], [0, 0, 1, 0.2]]]).astype(np.float32)
pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow writes these files")


def make(card):
    """A small network whose maps spread like a trained one's."""
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3), name="image")
    layer = keras.layers.Conv2D(24, 5, strides=4, padding="same", activation="relu")(image)
    outs = {head.name: keras.layers.Conv2D(head.channels, 1) for head in card.task_set().heads}
    made = keras.Model(image, {name: [out(layer)] for name, out in outs.items()})
    noise = np.random.default_rng(0).normal(size=(1, *SIZE, 3)).astype(np.float32)
    answers = {name: ops.convert_to_numpy(values[0]) for name, values in made(noise).items()}
    wanted = {"heatmap": (2, -2), "size": (2, 9), "depth": (0.5, -2.5), "dimensions": (0.5, 3), "rotation": (1, 0)}
    for name, (spread, mean) in wanted.items():
        if name in outs:
            kernel, bias = outs[name].get_weights()
            factor = spread / answers[name].std(axis=(0, 1, 2))
            outs[name].set_weights([kernel * factor, mean - factor * (answers[name].mean(axis=(0, 1, 2)) - bias)])
    return made


@pytest.fixture(scope="module")
def network():
    return make(CARD)


def assert_same(found, expected, limit=2e-4):
    assert set(found) == set(expected) == {*NAMES, *SPACE}
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], ops.convert_to_numpy(values), rtol=limit, atol=2 * limit, err_msg=name)


def test_savedmodel_with_two_cameras_in_one_batch(network, tmp_path):
    import tensorflow as tf

    from centernet_tf.export.runners import open_runner
    from centernet_tf.export.savedmodel import export_savedmodel

    folder = export_savedmodel((network, CARD), tmp_path / "out")
    loaded = tf.saved_model.load(str(folder))
    images = np.random.default_rng(1).integers(0, 256, (2, 70, 80, 3), np.uint8)
    images[1] = images[0]
    sizes = np.full((2, 2), (70, 80), np.int32)
    graph = DetectorGraph(network, CARD.task_set(), CARD.input)
    expected = tfod_answers(graph({"images": images, "sizes": sizes, "cameras": CAMERAS}), sizes, class_offset=1)
    files = tf.constant([tf.io.encode_png(image).numpy() for image in images])
    for signature, argument, value in (
        ("serving_default", "input_tensor", tf.constant(images)),
        ("float_image", "input_tensor", tf.constant(images.astype(np.float32))),
        ("image_bytes", "image_bytes", files),
    ):
        answers = loaded.signatures[signature](**{argument: value, "camera": tf.constant(CAMERAS)})
        assert_same({name: values.numpy() for name, values in answers.items()}, expected)
    places = ops.convert_to_numpy(expected[LOCATIONS])
    assert np.abs(places[0] - places[1]).max() > 1  # The camera alone tells the two apart.
    np.testing.assert_array_equal(open_runner(tmp_path / "out").camera, DEFAULT_CAMERA)
    assert "camera.json" in (tmp_path / "out" / "serving.txt").read_text()


def test_tflite_with_both_kernels(network, tmp_path):
    interpreters = pytest.importorskip("ai_edge_litert.interpreter", reason="pip install ai-edge-litert")
    from centernet_tf.export.tflite import PhoneGraph, export_tflite

    path = export_tflite((network, CARD), tmp_path / "model.tflite")
    names = answer_names(CARD.task_set())
    assert names == (*NAMES, *SPACE)
    image = np.random.default_rng(1).uniform(0, 255, (1, *SIZE, 3)).astype(np.float32)
    plain = interpreters.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    for kernels in ({}, {"experimental_op_resolver_type": plain}):
        interpreter = interpreters.Interpreter(model_path=str(path), num_threads=1, **kernels)
        interpreter.allocate_tensors()
        first, second = interpreter.get_input_details()
        for camera in CAMERAS:
            interpreter.set_tensor(first["index"], image)
            interpreter.set_tensor(second["index"], camera[None])
            interpreter.invoke()
            outputs = interpreter.get_output_details()
            found = {name: interpreter.get_tensor(output["index"]) for name, output in zip(names, outputs)}
            assert_same(found, PhoneGraph(network, CARD.input, CARD.task_set(), names)(image, camera[None]))


def test_tflite_of_boxes_alone_takes_no_camera(network, tmp_path):
    pytest.importorskip("ai_edge_litert.interpreter", reason="pip install ai-edge-litert")
    from ai_edge_litert.interpreter import Interpreter

    from centernet_tf.export.tflite import export_tflite

    path = export_tflite((network, CARD), tmp_path / "model.tflite", decode="boxes")
    interpreter = Interpreter(str(path))
    assert len(interpreter.get_input_details()) == 1 and len(interpreter.get_output_details()) == 4
    bare = CARD.model_copy(update={"box3d_size": False})
    with pytest.raises(UsageError, match="boxes in space only"):
        export_tflite((make(bare), bare), tmp_path / "bare.tflite", decode="boxes")
    with pytest.raises(UsageError, match="boxes in space only"):
        export_tflite((make(bare), bare), tmp_path / "bare.tflite", decode="none")


@pytest.mark.slow
def test_eight_bits_leave_the_camera_alone(network, tmp_path):
    pytest.importorskip("ai_edge_litert.interpreter", reason="pip install ai-edge-litert")
    from centernet_tf.export.runners import KerasRunner, open_runner
    from centernet_tf.export.tflite import export_tflite

    images = list(np.random.default_rng(3).integers(0, 256, (4, *SIZE, 3), np.uint8))
    path = export_tflite((network, CARD), tmp_path / "model.tflite", quantize="int8", images=images)
    runner, model = open_runner(path), KerasRunner(tmp_path, Detector(network, CARD))
    for camera in CAMERAS:
        found, expected = runner(images[0], camera), model(images[0], camera)
        near = np.abs(found.boxes[:, None] - expected.boxes[None, :]).sum(axis=-1)
        same = near.min(axis=1) < 3
        assert same.any()
        places = expected.fields["locations"][near.argmin(axis=1)][same]
        wrong = np.abs(found.fields["locations"][same] - places) / np.abs(places[:, 2:])
        assert np.median(wrong) < 0.05


def test_onnx_with_two_cameras_in_one_batch(network, tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="pip install onnxruntime")
    pytest.importorskip("tf2onnx", reason="pip install tf2onnx")
    from centernet_tf.export.onnx import OnnxGraph, export_onnx

    session = runtime.InferenceSession(str(export_onnx((network, CARD), tmp_path / "model.onnx")))
    images = np.random.default_rng(1).uniform(0, 255, (2, *SIZE, 3)).astype(np.float32)
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"input": images, "camera": CAMERAS})))
    assert_same(found, OnnxGraph(network, CARD.input, CARD.task_set())(images, CAMERAS))


@pytest.mark.parametrize("changes", [{"box3d_amodal_offset": True}, {"box3d_size": False}], ids="".join)
def test_every_format_finds_the_same_in_pictures_of_any_size(changes, tmp_path):
    pytest.importorskip("ai_edge_litert.interpreter", reason="pip install ai-edge-litert")
    from centernet_tf.export.parity import LIMITS, compare
    from centernet_tf.export.runners import KerasRunner, open_runner
    from centernet_tf.export.savedmodel import export_savedmodel
    from centernet_tf.export.tflite import export_tflite

    card = CARD.model_copy(update=changes)
    network = make(card)
    # The second is taller than what the inputs of files for phones show of it.
    pictures = [np.random.default_rng(2).integers(0, 256, (height, 130, 3), np.uint8) for height in (60, 120)]
    export_savedmodel((network, card), tmp_path / "out")
    exact, half = (
        export_tflite((network, card), tmp_path / f"{kind}.tflite", quantize=kind) for kind in ("none", "float16")
    )
    for path in (tmp_path / "out", exact, half):
        runner = open_runner(path)
        assert runner.placed
        model = KerasRunner(tmp_path, Detector(network, card), runner.window)
        for picture, camera in itertools.product(pictures, (CAMERAS[1], None)):
            pair = model(picture, camera), runner(picture, camera)
            np.testing.assert_array_equal(pair[1].camera, DEFAULT_CAMERA if camera is None else camera)
            parity = compare("it", [pair], limit=10)
            assert set(parity.fields) == {"locations", "dimensions", "rotations", "alphas"} and parity.objects
            assert not parity.crossed(LIMITS["float16" if path == half else "float32"]), parity


def test_a_moved_camera_belongs_to_the_fitted_input():
    detector = Detector(make(CARD), CARD)
    picture = np.random.default_rng(2).integers(0, 256, (90, 130, 3), np.uint8)
    sizes = np.array([[90, 130]], np.int32)
    fitted, fit = detector.graph.fit_images(picture[None], sizes)
    scale, _, left, top = ops.convert_to_numpy(fit)[0]
    moved = move_camera(CAMERAS[1], np.array([[scale, 0, left], [0, scale, top]]))
    graph = detector.graph
    same = ops.convert_to_tensor(np.float32([[1, 1, 0, 0]]))
    inside = graph.find(graph.answer(fitted), same, ops.convert_to_tensor(moved[None]))
    outside = graph.find(graph.answer(fitted), fit, ops.convert_to_tensor(CAMERAS[1:]))
    for name in ("locations", "rotations"):
        np.testing.assert_allclose(
            ops.convert_to_numpy(inside[name]), ops.convert_to_numpy(outside[name]), rtol=1e-3, atol=1e-3
        )
