"""What tasks find beside boxes leaves with them: every format takes what they need, and answers what Keras does."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.detector.detector import Detector
from centernet_tf.detector.graph import DetectorGraph
from centernet_tf.exports.answers import NAMES, answer_names, answers_of
from centernet_tf.exports.tfod import tfod_answers

if keras.backend.backend() != "tensorflow":
    pytest.skip("models are exported on TensorFlow", allow_module_level=True)

import tensorflow as tf

from centernet_tf.exports.onnx import OnnxGraph
from centernet_tf.exports.parity import LIMITS, compare
from centernet_tf.exports.phone import PhoneGraph
from centernet_tf.exports.runners import KerasRunner, open_runner

SIZE = (64, 96)
OTHER = np.float32([[90, 0, 40, -30], [0, 100, 35, 4], [0, 0, 1, 0.2]])
GIVEN = {"camera": OTHER}  # another value than the usual one, of each extra
KINDS = ("pose", "box3d", "reid")
LONG = ("reid", "box3d", "box3d_bare", "box3d_amodal")
VARIANTS = ["pose", *(pytest.param(kind, marks=pytest.mark.long) for kind in LONG)]


def extras_of(card, batch):
    """{name: [B, ...]}: the usual value and another one in turn."""
    return {
        extra.name: np.stack([(np.float32(extra.usual), GIVEN[extra.name])[row % 2] for row in range(batch)])
        for extra in card.task_set().extras
    }


def assert_same(found, expected, card, limit=2e-4):
    assert set(found) == set(expected) == set(answer_names(card.task_set().finds)) > set(NAMES)
    for name, values in expected.items():
        assert found[name].dtype == np.float32 and np.isfinite(found[name]).all(), name
        np.testing.assert_allclose(found[name], ops.convert_to_numpy(values), rtol=limit, atol=2 * limit, err_msg=name)


@pytest.mark.parametrize("kind", [KINDS[0], *(pytest.param(kind, marks=pytest.mark.long) for kind in KINDS[1:])])
def test_savedmodel_of_several_images(kind, model, exported):
    network, card = model(kind)
    loaded = tf.saved_model.load(str(exported(kind, "savedmodel") / "1"))
    extras = extras_of(card, 2)
    images = np.random.default_rng(1).integers(0, 256, (1, 70, 80, 3), np.uint8).repeat(2, axis=0)
    sizes = np.full((2, 2), (70, 80), np.int32)
    graph = DetectorGraph(network, card.task_set(), card.input)
    expected = tfod_answers(graph({"images": images, "sizes": sizes, **extras}), sizes, class_offset=1)
    files = tf.constant([tf.io.encode_png(image).numpy() for image in images])
    for signature, argument, value in (
        ("serving_default", "input_tensor", tf.constant(images)),
        ("float_image", "input_tensor", tf.constant(images.astype(np.float32))),
        ("image_bytes", "image_bytes", files),
    ):
        given = {name: tf.constant(values) for name, values in extras.items()}
        answers = loaded.signatures[signature](**{argument: value}, **given)
        assert_same({name: values.numpy() for name, values in answers.items()}, expected, card)
    if extras:  # They alone tell the two images apart.
        assert any(np.abs(values[0] - values[1]).max() > 1 for values in map(ops.convert_to_numpy, expected.values()))


@pytest.mark.parametrize("kind", [*KINDS[:2], pytest.param("reid", marks=pytest.mark.long)])
@pytest.mark.parametrize("kernels", ["XNNPACK", "built-in"])
def test_tflite(kind, kernels, model, exported):
    from ai_edge_litert import interpreter as litert

    network, card = model(kind)
    tasks = card.task_set()
    names = answer_names(tasks.finds)
    plain = {"experimental_op_resolver_type": litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}
    path = exported(kind, "tflite")
    interpreter = litert.Interpreter(str(path), num_threads=1, **(plain if kernels == "built-in" else {}))
    interpreter.allocate_tensors()
    image = np.random.default_rng(1).uniform(0, 255, (1, *SIZE, 3)).astype(np.float32)
    for row in range(2):
        extras = {name: values[row : row + 1] for name, values in extras_of(card, 2).items()}
        places = interpreter.get_input_details()
        assert len(places) == 1 + len(extras)
        for place, value in zip(places, (image, *extras.values())):
            interpreter.set_tensor(place["index"], value)
        interpreter.invoke()
        outputs = interpreter.get_output_details()
        found = {name: interpreter.get_tensor(output["index"]) for name, output in zip(names, outputs)}
        assert_same(found, PhoneGraph(network, card.input, tasks, names)(image, extras), card)


@pytest.mark.parametrize("kind", [pytest.param("pose", marks=pytest.mark.long), "box3d"])
def test_tflite_of_boxes_alone(kind, model, exported):
    from ai_edge_litert.interpreter import Interpreter

    network, card = model(kind)
    path = exported(kind, "tflite", decode="boxes")
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    (place,) = interpreter.get_input_details()
    image = np.random.default_rng(1).uniform(0, 255, (1, *SIZE, 3)).astype(np.float32)
    interpreter.set_tensor(place["index"], image)
    interpreter.invoke()
    found = [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]
    expected = PhoneGraph(network, card.input, card.task_set(), NAMES)(image, {})
    assert len(found) == len(NAMES)
    for name, values in zip(NAMES, found):
        np.testing.assert_allclose(values, ops.convert_to_numpy(expected[name]), atol=2e-4, err_msg=name)
    runner = open_runner(path)
    assert runner.extras == () and not runner(image[0].astype(np.uint8)).fields


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_onnx_of_several_images(kind, model, exported):
    network, card = model(kind)
    path = exported(kind, "onnx")
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    images = np.random.default_rng(1).uniform(0, 255, (2, *SIZE, 3)).astype(np.float32)
    extras = extras_of(card, 2)
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"input": images, **extras})))
    assert_same(found, OnnxGraph(network, card.input, card.task_set())(images, extras), card)


@pytest.mark.parametrize("kind", VARIANTS)
def test_every_format_finds_the_same_in_images_of_any_size(kind, model, exported):
    assert_parity(model(kind), [exported(kind, format) for format in ("savedmodel", "tflite", "onnx")], "float32")


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_half_the_size_finds_nearly_the_same(kind, model, exported):
    assert_parity(model(kind), [exported(kind, "tflite", quantize="float16")], "float16")


def assert_parity(model, paths, precision):
    network, card = model
    detector, tasks = Detector(network, card), card.task_set()
    # The second is taller than what the inputs of files for phones show of it.
    images = [np.random.default_rng(2).integers(0, 256, (height, 130, 3), np.uint8) for height in (60, 120)]
    usual = {extra.name: np.float32(extra.usual) for extra in tasks.extras}
    values = [{}, {name: GIVEN[name] for name in usual}] if usual else [{}]
    for path in paths:
        runner = open_runner(path)
        assert (runner.names, runner.properties) == (card.classes, tasks.properties)
        reference = KerasRunner(path, detector, runner.window)
        for image, extras in itertools.product(images, values):
            pair = reference(image, **extras), runner(image, **extras)
            for found in pair:
                assert found.properties == tasks.properties
                assert set(found.extras) == set(usual)
                for name, value in {**usual, **extras}.items():
                    np.testing.assert_array_equal(found.extras[name], value)
            parity = compare("it", [pair], limit=10)
            assert set(parity.fields) == {answer.field for answer in answers_of(tasks.finds)} and parity.objects
            assert not parity.crossed(LIMITS[precision]), (path, parity)


def test_an_extra_that_moves_belongs_to_the_fitted_input(model):
    network, card = model("box3d")
    graph = Detector(network, card).graph
    (camera,) = card.task_set().extras
    image = np.random.default_rng(2).integers(0, 256, (90, 130, 3), np.uint8)
    fitted, fit = graph.fit_images(image[None], np.array([[90, 130]], np.int32))
    scale, _, left, top = ops.convert_to_numpy(fit)[0]
    moved = camera.fit(OTHER[None], np.array([[scale, 0, left], [0, scale, top]]))
    same = ops.convert_to_tensor(np.float32([[1, 1, 0, 0]]))
    inside = graph.find(graph.answer(fitted), same, {"camera": ops.convert_to_tensor(moved)})
    outside = graph.find(graph.answer(fitted), fit, {"camera": ops.convert_to_tensor(OTHER[None])})
    for name in ("locations", "rotations"):
        np.testing.assert_allclose(
            ops.convert_to_numpy(inside[name]), ops.convert_to_numpy(outside[name]), rtol=1e-3, atol=1e-3
        )
