"""Masks through every export: a task of this file finds them, and they come out as Keras found them."""

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf import losses
from centernet_tf.detector.detector import Detector
from centernet_tf.errors import UsageError
from centernet_tf.exports.answers import NAMES, answer_names, as_exported
from centernet_tf.exports.parity import compare
from centernet_tf.exports.tfod import tfod_answers, without_nan
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.points.task import Find, Head, Task, TaskSettings
from centernet_tf.properties.masks import Masks
from centernet_tf.properties.masks.pixels import whole
from centernet_tf.tasks import TASKS

SIZE, SIDE, K = (64, 96), 12, 6


class Blots(TaskSettings):
    """Each object has a grid of its own: a head of 144 numbers at its centre."""

    margin: float = 0.0

    def build(self, centers):
        def decode(outputs, peaks):
            values = ops.sigmoid(losses.gather_cells(outputs["blot"], peaks["index"]))
            grid = ops.reshape(values, (-1, ops.shape(values)[1], SIDE, SIDE))
            return {**centers.decode(outputs, peaks), "masks": grid}

        return Task(
            name="blots",
            property=Masks(side=SIDE, margin=self.margin),
            heads=(*centers.heads(), Head("blot", SIDE * SIDE)),
            terms=centers.terms(),
            encode=centers.encode,
            decode=decode,
            finds=(Find("masks"),),
        )


@pytest.fixture(scope="module", autouse=True)
def task():
    TASKS["blots"] = Blots
    yield
    del TASKS["blots"]


@pytest.fixture(scope="module")
def model():
    """A function from the margin to a network with smooth random masks, and its card."""
    made = {}

    def find(margin=0.0):
        if margin not in made:
            form = InputCard(height=SIZE[0], width=SIZE[1], stride=32)
            tasks = {"blots": {"margin": margin}}
            card = ModelCard(tasks=tasks, backbone="tiny", classes=("x", "y"), max_objects=K, input=form)
            made[margin] = network_of(card), card
        return made[margin]

    return find


def network_of(card):
    keras.utils.set_random_seed(1)
    image = keras.Input((None, None, 3), name="image")
    layer = keras.layers.Conv2D(16, 5, strides=4, padding="same", activation="relu")(image)
    maps = {head.name: [keras.layers.Conv2D(head.channels, 1, name=head.name)(layer)] for head in card.task_set().heads}
    network = keras.Model(image, maps)
    kernel, bias = network.get_layer("size").get_weights()
    network.get_layer("size").set_weights([0.5 * kernel, bias + np.array([7, 5])])
    kernel, bias = network.get_layer("blot").get_weights()
    y, x = (np.mgrid[:SIDE, :SIDE] + 0.5) / SIDE - 0.5
    waves = np.stack([np.cos(3 * (x * np.cos(turn) + y * np.sin(turn))) for turn in range(16)])
    network.get_layer("blot").set_weights([kernel + waves.reshape(1, 1, 16, -1) / 4, bias - np.hypot(x, y).ravel()])
    return network


def images(count=3):
    random = np.random.default_rng(3)
    for number in range(count):
        size = (SIZE, (113, 70))[number % 2]
        coarse = random.integers(0, 256, (17, 17, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        yield coarse[: size[0], : size[1]]


def masks_of(found):
    counts = found.rows_at_pixels["segmentations"]
    return np.array([whole(one, found.image_size) for one in counts])


def same_masks(first, second):
    """The worst IoU of two results' masks."""
    ones, others = masks_of(first), masks_of(second)
    unions = (ones | others).sum(axis=(1, 2))
    return ((ones & others).sum(axis=(1, 2)) / np.maximum(unions, 1) + (unions == 0)).min()


def found_in_image():
    random = np.random.default_rng(0)
    found = {
        "boxes": np.float32([[[-8, 4, 30, 40], [50, 10, 110, 70]]]),
        "scores": np.float32([[0.9, 0.8]]),
        "classes": np.int32([[1, 0]]),
        "masks": random.random((1, 2, SIDE, SIDE)).astype(np.float32),
    }
    return found, np.int32([SIZE])


def answers_in_image(**options):
    found, sizes = found_in_image()
    return {name: ops.convert_to_numpy(one) for name, one in tfod_answers(found, sizes, 1, **options).items()}


def test_boxes_below_masks_are_whole():
    answers = answers_in_image(properties=(Masks(side=SIDE),))
    np.testing.assert_allclose(answers["detection_boxes"][0, 0], np.float32([4, -8, 40, 30]) / [64, 96, 64, 96])
    np.testing.assert_array_equal(answers["detection_masks"], found_in_image()[0]["masks"])
    assert without_nan(answers)["num_detections"] == 2
    del (plain := found_in_image()[0])["masks"]
    assert tfod_answers(plain, found_in_image()[1], 1)["detection_boxes"][0, 0, 1] == 0


def test_only_the_middle_of_wider_masks_is_told():
    answers = answers_in_image(properties=(Masks(side=SIDE, margin=0.25),))
    np.testing.assert_array_equal(answers["detection_masks"], found_in_image()[0]["masks"][..., 2:10, 2:10])
    assert Masks(side=SIDE, margin=0.25).exported() == Masks(side=8)
    assert Masks(side=SIDE).exported() == Masks(side=SIDE)
    with pytest.raises(UsageError, match=r"masks of 28 x 28 that show 0.25 .* is 18\.6667 of them wide"):
        Masks(side=28, margin=0.25).exported()
    assert as_exported({"boxes": 1}, [Masks()]) == {"boxes": 1}


@pytest.mark.parametrize("margin", [0.0, 0.25])
def test_masks_on_the_image(margin):
    one = Masks(side=SIDE, margin=margin)
    laid_out = answers_in_image(properties=(one,), reframed=SIZE)["detection_masks_reframed"]
    assert laid_out.dtype == np.uint8 and laid_out.shape == (1, 2, *SIZE)
    found = {name: values[0] for name, values in found_in_image()[0].items()}
    counts = one.at_pixels(found, SIZE[::-1])["segmentations"]
    expected = np.array([whole(text, SIZE[::-1]) for text in counts])
    assert (laid_out[0] != expected).sum() <= 2  # where float32 decides otherwise than float64
    assert expected.any(axis=(1, 2)).all()


def test_names():
    assert answer_names([Find("masks")], reframed=True) == (*NAMES, "detection_masks", "detection_masks_reframed")
    with pytest.raises(UsageError, match="this model finds nothing that fills boxes"):
        answer_names([Find("keypoints")], reframed=True)


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    """A function (format, margin) -> runner of a file that is written once, with masks on the image beside."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("models are exported on TensorFlow")
    made = {}

    def find(format, margin=0.0):
        from centernet_tf.exports.runners import open_runner

        if (format, margin) not in made:
            out = tmp_path_factory.mktemp("masks") / {"savedmodel": "m", "tflite": "m.tflite", "onnx": "m.onnx"}[format]
            options = {"max_objects": K} if format == "tflite" else {}
            export_as(format)(model(margin), out, reframed=True, **options)
            made[format, margin] = open_runner(out)
        return made[format, margin]

    return find


def export_as(format):
    if format == "savedmodel":
        from centernet_tf.exports.savedmodel import export_savedmodel

        return export_savedmodel
    if format == "tflite":
        pytest.importorskip("ai_edge_litert.interpreter", reason="pip install ai-edge-litert")
        from centernet_tf.exports.tflite import export_tflite

        return export_tflite
    pytest.importorskip("onnxruntime", reason="running ONNX files needs the extra [onnx]")
    from centernet_tf.exports.onnx import export_onnx

    return export_onnx


LONG = [
    *(pytest.param("savedmodel", 0.25, marks=pytest.mark.long),),
    *(pytest.param(name, margin, marks=pytest.mark.long) for name in ("tflite", "onnx") for margin in (0.0, 0.25)),
]


@pytest.mark.parametrize(("format", "margin"), [("savedmodel", 0.0), *LONG])
def test_masks_are_those_of_keras(format, margin, exported, model):
    from centernet_tf.exports.runners import KerasRunner

    runner = exported(format, margin)
    detector = Detector(*model(margin))
    reference = KerasRunner(runner.path, detector.with_input(runner.size) if runner.size else detector, runner.window)
    assert runner.properties == (Masks(side=8 if margin else SIDE),)
    pairs = []
    for image in images(6):
        expected, found = reference(image), runner(image)
        assert len(found) == len(expected) == K
        pairs.append((expected, found))
        assert same_masks(expected, found) == 1
    assert compare(format, pairs, K).fields["masks"] < 1e-4
    if not margin and not runner.size:
        image = next(images())
        assert same_masks(detector(image, threshold=0), runner(image)) == 1


@pytest.mark.parametrize(
    "format", ["savedmodel", *(pytest.param(name, marks=pytest.mark.long) for name in ("tflite", "onnx"))]
)
def test_masks_are_also_laid_out(format, exported, model):
    runner, image = exported(format), next(images())
    answers = runner.run(np.float32(image[None]) if format != "savedmodel" else image[None], {})
    expected = masks_of(Detector(*model())(image, threshold=0))
    laid_out = answers["detection_masks_reframed"]
    assert laid_out.dtype == np.uint8 and laid_out.shape[2:] == SIZE
    assert (laid_out[0][: len(expected)] != expected).mean() < 1e-4
    assert answers["detection_masks"].shape[1:] == (laid_out.shape[1], SIDE, SIDE)


def test_a_batch_of_any_size(exported):
    runner = exported("savedmodel")
    batch = np.stack([next(images())] * 3)
    assert runner.answer(input_tensor=ops.convert_to_tensor(batch))["detection_masks"].shape == (3, K, SIDE, SIDE)


def test_files_without_single_images_or_decode_have_none(model, tmp_path):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("models are exported on TensorFlow")
    from centernet_tf.exports.tflite import export_tflite

    with pytest.raises(UsageError, match="reframed: only files of single images with the whole decode"):
        export_tflite(model(), tmp_path / "m.tflite", decode="boxes", reframed=True)


def test_a_client_pastes(exported, model):
    from centernet_tf.serving.checked import checked
    from centernet_tf.serving.client import as_detections

    runner = exported("savedmodel")
    image = list(images())[1]
    answers = runner.loaded.signatures["image_bytes"](image_bytes=ops.convert_to_tensor([png(image)]))
    rows = checked({name: value.numpy() for name, value in answers.items()}, 1)
    size = image.shape[1::-1]
    found = as_detections({name: value[0] for name, value in rows.items()}, size, ("x", "y"), 0.0, runner.properties)
    expected = Detector(*model())(image, threshold=0)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-3)
    assert (expected.boxes < 0).any() or (expected.boxes > np.tile(size, 2)).any(), "one reaches over the edge"
    assert same_masks(expected, found) == 1


def png(image):
    import cv2

    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()
