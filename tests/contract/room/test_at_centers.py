"""Masks: a head of many channels that is read at centres only, and a map of the whole image that goes with it."""

import warnings

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.losses import gather_cells, whole_map
from centernet_tf.model.file import load_model, save_model
from centernet_tf.points.task import Find, Head, Task, TaskSettings, Term
from centernet_tf.properties import PROPERTIES
from centernet_tf.properties.fields import SHARED, Field
from centernet_tf.properties.property import Answer, Property
from centernet_tf.results import Detections

CELLS = 9
FIELD = Field("coverings", "float32", (CELLS,), "fixed", 0.0, "how much of each ninth of the box is covered")


class Coverings(Property):
    name = "coverings"
    answers = (Answer("coverings", "toy_coverings", "values", "how much of each ninth of the box is covered, 0 to 1"),)

    @property
    def fields(self):
        return (FIELD,)


def coverings(shape, saliency, index):
    """[B, M, 9] in 0..1: what the cell says, moved by the mean of the whole image's map."""
    return ops.sigmoid(gather_cells(shape, index) + ops.mean(saliency, axis=(1, 2))[:, None])


def covering_loss(shape, saliency, target):
    found = coverings(shape, saliency, target["index"])
    return ops.sum(ops.abs(found - target["value"]) * target["mask"]) / (ops.sum(target["mask"]) + 1e-4)


def saliency_loss(saliency, target):
    return ops.mean(ops.square(ops.sigmoid(saliency) - target))


class Cover(TaskSettings):
    at_centers: bool = True

    def build(self, centers):
        def encode(rows, located):
            mask = ops.cast(located["boxed"], "float32")[..., None]
            heatmap = centers.encode(rows, located)
            cover = {"index": located["index"], "mask": mask, "value": rows["coverings"]}
            whole = ops.max(heatmap["heatmap"]["heatmap"], axis=-1, keepdims=True)
            return {**heatmap, "cover": cover, "saliency": whole}

        def decode(outputs, peaks):
            found = coverings(outputs["shape"], outputs["saliency"], peaks["index"])
            return {**centers.decode(outputs, peaks), "coverings": found}

        return Task(
            name="toy",
            heads=(*centers.heads(), Head("shape", CELLS, at_centers=self.at_centers), Head("saliency", 1)),
            terms=(
                *centers.terms(),
                Term("cover", ("shape", "saliency"), covering_loss),
                Term("saliency", ("saliency",), saliency_loss),
            ),
            encode=encode,
            decode=decode,
            fields=(*SHARED, FIELD),
            finds=(Find("coverings"),),
            property=Coverings(),
        )


class CoverWhole(Cover):
    at_centers: bool = False


@pytest.fixture
def truth(rows):
    made = rows((*SHARED, FIELD), (64, 96), num_classes=2)
    return {**made, "coverings": 1 / (1 + np.exp(-3 * made["coverings"]))}


@pytest.fixture
def known(make_card, make_network):
    """Network and card; its last layers are far from zero, where they start."""
    card, random = make_card(Cover), np.random.default_rng(1)
    network = make_network(card)
    for weight in network.weights:
        if "_out/" in weight.path and "heatmap" not in weight.path:
            weight.assign(random.normal(size=weight.shape))
    return network, card


def image(height=100, width=150, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.mark.long
def test_trains_the_same_as_a_map(make_card, make_network, make_inputs, fit, truth):
    trained = []
    for settings in (Cover, CoverWhole):
        card = make_card(settings)
        tasks, network = card.task_set(), make_network(card)
        start = {weight.path: ops.convert_to_numpy(weight) for weight in network.weights}
        trained.append((network, fit(network, tasks, make_inputs(tasks), truth, card)))
    (found, one), (expected, other) = trained
    assert set(found.output["shape"][0]) == {"features", "kernel", "bias"}
    assert expected.output["shape"][0].shape[-1] == CELLS
    for weight, wanted in zip(found.weights, expected.weights):
        assert weight.path == wanted.path
        value = ops.convert_to_numpy(weight)
        np.testing.assert_allclose(value, ops.convert_to_numpy(wanted), atol=2e-3, err_msg=weight.path)
        if weight.path.startswith("shape_stack1_out"):
            assert abs(value - start[weight.path]).max() > 0.02
    first, second = (trainer.test_on_batch(make_inputs(tasks), truth, return_dict=True) for trainer in (one, other))
    assert float(first["cover_loss"]) == pytest.approx(float(second["cover_loss"]), rel=0.02)


def test_decodes_the_same_as_a_map_and_after_saving(make_card, make_network, detect, known, tmp_path):
    network, card = known
    found = detect(card, network)([image(), image(70, 40)], threshold=0.0)
    save_model(tmp_path / "model.keras", network, card)
    again = detect(card, load_model(tmp_path / "model.keras")[0])([image(), image(70, 40)], threshold=0.0)
    other = make_card(CoverWhole)
    whole = make_network(other)
    whole.set_weights(network.get_weights())
    expected = detect(other, whole)([image(), image(70, 40)], threshold=0.0)
    for one, two, three in zip(found, again, expected):
        assert one.fields["coverings"].shape == (6, CELLS) and one.fields["coverings"].std() > 1e-3
        for name in ("boxes", "scores", "coverings"):
            np.testing.assert_array_equal(one.rows[name], two.rows[name])
            np.testing.assert_allclose(one.rows[name], three.rows[name], atol=1e-4)


@pytest.mark.slow
def test_the_flip_test_keeps_to_the_original(detect, known):
    network, card = known
    flipped = detect(card, network, flip=True)
    plain = detect(card, network)
    shown, _ = plain.graph.show(plain.pack([image()]))
    one, two = (detector.graph.answer(shown)["shape"] for detector in (plain, flipped))
    np.testing.assert_allclose(whole_map(two), whole_map(one), atol=1e-5)
    assert len(flipped(image(), threshold=0.0).fields["coverings"]) == 6


def test_tiles_find_the_same_as_one_pass(detect, known):
    network, card = known
    whole = detect(card, network).with_input(None)(image(), threshold=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # Of layers that look further than any margin.
        tiled = detect(card, network, tile=(64, 64))(image(), threshold=0.0)
    np.testing.assert_allclose(tiled.scores, whole.scores, atol=1e-5)
    np.testing.assert_allclose(tiled.boxes, whole.boxes, atol=1e-3)
    assert tiled.fields["coverings"].shape == (6, CELLS)


tensorflow_only = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow writes it")


@pytest.mark.long
@tensorflow_only
@pytest.mark.parametrize("kind", ["savedmodel", "tflite"])
def test_exports_answer_the_same(detect, known, tmp_path, monkeypatch, kind):
    from centernet_tf.exports.runners import open_runner
    from centernet_tf.exports.savedmodel import export_savedmodel
    from centernet_tf.exports.tflite import export_tflite

    monkeypatch.setitem(PROPERTIES, "coverings", Coverings)
    network, card = known
    out = tmp_path / ("served" if kind == "savedmodel" else "phone.tflite")
    if kind == "savedmodel":
        export_savedmodel((network, card), out)
    else:
        export_tflite((network, card), out, max_objects=6)
    pixels = image(*((card.input.height, card.input.width) if kind == "tflite" else (100, 150)))
    found, expected = open_runner(out)(pixels), detect(card, network)(pixels, threshold=0.0)
    assert isinstance(found, Detections)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    # Equal scores may come in any order.
    apart = np.abs(found.fields["coverings"][:, None] - expected.fields["coverings"][None]).max(axis=-1).min(axis=1)
    assert apart.max() < 1e-3


@tensorflow_only
@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter")
def test_a_file_without_decode_has_the_whole_map(known, tmp_path):
    import tensorflow as tf

    from centernet_tf.exports.tflite import export_tflite

    network, card = known
    export_tflite((network, card), tmp_path / "maps.tflite", decode="none")
    interpreter = tf.lite.Interpreter(str(tmp_path / "maps.tflite"))
    shapes = [tuple(one["shape"]) for one in interpreter.get_output_details()]
    assert shapes == [(1, 16, 24, channels) for channels in (2, 2, 2, CELLS, 1)]
