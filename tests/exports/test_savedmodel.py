"""The SavedModel on disk: equal to the model, from pixels and from files, in a process that has TensorFlow alone."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.backbones import find_backbone
from centernet_tf.detector.detector import Detector
from centernet_tf.detector.graph import DetectorGraph
from centernet_tf.errors import DataError, UsageError
from centernet_tf.exports.about import read_about
from centernet_tf.exports.answers import BOXES, CLASSES, COUNT, SCORES, answers_of
from centernet_tf.exports.tfod import tfod_answers
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.file import load_model
from centernet_tf.model.network import build_network

if keras.backend.backend() != "tensorflow":
    pytest.skip("SavedModels are written on TensorFlow", allow_module_level=True)

import tensorflow as tf

from centernet_tf.exports import savedmodel
from centernet_tf.exports.savedmodel import export_savedmodel

SIZES = [(97, 61), (640, 480)]  # width, height


def files(*images, kind="png"):
    encode = {"png": tf.io.encode_png, "jpeg": tf.io.encode_jpeg}[kind]
    return tf.constant([encode(image).numpy() for image in images])


@pytest.fixture(scope="module")
def spots(exported):
    """The spot network's folder."""
    return exported("spots", "savedmodel")


@pytest.fixture(scope="module")
def signatures(spots):
    loaded = tf.saved_model.load(str(spots / "1"))
    yield loaded.signatures


@pytest.fixture(scope="module")
def images(draw_spots):
    return [draw_spots(64, 64, (20, 30, 0)), draw_spots(200, 100, (50, 60, 1), (150, 20, 0)), draw_spots(30, 90)]


def wide_network(name: str, size: int) -> tuple[keras.Model, ModelCard]:
    """A network whose random weights answer something else everywhere, so that peaks are no ties."""
    keras.utils.set_random_seed(3)
    stride = find_backbone(name).stride
    card = ModelCard(
        tasks={"detect": {}},
        backbone=name,
        classes=("a", "b", "c"),
        max_objects=10,
        input=InputCard(height=size, width=size, stride=stride),
    )
    network = build_network(name, card.task_set().heads, head_channels=16)
    random = np.random.default_rng(3)
    for weight in network.weights:
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(random.uniform(0.7, 1.3, weight.shape))
        elif weight.name in ("moving_mean", "beta"):
            weight.assign(random.normal(0, 0.1, weight.shape))
        elif weight.name == "kernel":
            # Fresh kernels of the way up are so small that only borders would show.
            fan = np.prod(weight.shape[:3]) if weight.shape[3] > 1 else np.prod(weight.shape[:2])
            weight.assign(random.normal(0, np.sqrt(2 / fan), weight.shape))
    images = random.normal(size=(1, size, size, 3)).astype(np.float32)
    for head, deviation in (("heatmap", 2.0), ("offset", 0.3), ("size", 3.0)):
        for stack, values in enumerate(network(images)[head], start=1):
            kernel = network.get_layer(f"{head}_stack{stack}_out").kernel
            kernel.assign(kernel * deviation / float(ops.std(values)))
    return network, card


def assert_equal(came, expected, sizes):
    """Boxes to 0.01 pixel, scores to 1e-4; of equal scores the order is free."""
    expected = {name: ops.convert_to_numpy(value) for name, value in expected.items()}
    came = {name: value.numpy() for name, value in came.items()}
    assert expected[SCORES].std() > 0.002
    np.testing.assert_allclose(came[SCORES], expected[SCORES], atol=1e-4)
    np.testing.assert_array_equal(came[COUNT], expected[COUNT])
    gaps = np.abs(np.diff(expected[SCORES], axis=-1)) > 2e-5
    ends = np.ones((len(gaps), 1), bool)
    distinct = np.concatenate([ends, gaps], -1) & np.concatenate([gaps, ends], -1)
    distinct[:, -1] = False  # The next best may be as good.
    assert distinct.mean() > 0.5
    np.testing.assert_array_equal(came[CLASSES][distinct], expected[CLASSES][distinct])
    scale = np.concatenate([sizes, sizes], -1)[:, None]
    np.testing.assert_allclose((came[BOXES] * scale)[distinct], (expected[BOXES] * scale)[distinct], atol=0.01)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        pytest.param("tiny", 64, marks=pytest.mark.long),
        pytest.param("resnet18", 64, marks=[pytest.mark.long, pytest.mark.release]),
        pytest.param("resnet18_dcn", 64, marks=pytest.mark.long),
        pytest.param("mobilenetv2_fpn:0.5", 64, marks=pytest.mark.long),
        pytest.param("dla34_dcn", 64, marks=pytest.mark.long),
        pytest.param("hourglass104", 128, marks=[pytest.mark.long, pytest.mark.release]),
    ],
)
def test_equal_to_the_model(name, size, tmp_path):
    network, card = wide_network(name, size)
    graph = DetectorGraph(network, card.task_set(), card.input)
    run = tf.saved_model.load(str(export_savedmodel((network, card), tmp_path / "out"))).signatures
    random = np.random.default_rng(0)
    for (width, height), batch in zip(SIZES, (5, 1)):
        images = random.integers(0, 256, (batch, height, width, 3), np.uint8)
        sizes = np.full((batch, 2), (height, width), np.int32)
        expected = tfod_answers(graph({"images": images, "sizes": sizes}), sizes, class_offset=1)
        assert_equal(run["serving_default"](input_tensor=tf.constant(images)), expected, sizes)
        assert_equal(run["image_bytes"](image_bytes=files(*images)), expected, sizes)


@pytest.mark.long
def test_images_are_scaled_in_the_graph_as_the_card_says(tmp_path):
    network, card = wide_network("tiny", 64)
    card = card.model_copy(update={"input": card.input.model_copy(update={"resample": "area", "fill": 127.5})})
    run = tf.saved_model.load(str(export_savedmodel((network, card), tmp_path / "out"))).signatures
    image = np.random.default_rng(0).integers(0, 256, (1, 90, 170, 3), np.uint8)
    sizes = np.int32([[90, 170]])
    expected, other = (
        tfod_answers(DetectorGraph(network, card.task_set(), form)({"images": image, "sizes": sizes}), sizes, 1)
        for form in (card.input, card.input.model_copy(update={"resample": "bilinear"}))
    )
    assert_equal(run["serving_default"](input_tensor=tf.constant(image)), expected, sizes)
    assert np.abs(expected[SCORES] - other[SCORES]).max() > 1e-3


def test_finds_what_the_detector_finds(signatures, spot_network, spot_card, images):
    answers = signatures["image_bytes"](image_bytes=files(*images))
    for row, found in enumerate(Detector(spot_network, spot_card)(images, threshold=0.3)):
        kept = answers[SCORES][row].numpy() > 0.3
        assert kept.sum() == len(found) == (1, 2, 0)[row]
        np.testing.assert_allclose(answers[SCORES][row].numpy()[kept], found.scores, atol=1e-4)
        np.testing.assert_array_equal(answers[CLASSES][row].numpy()[kept], found.classes + 1)
        width, height = found.image_size
        boxes = answers[BOXES][row].numpy()[kept][:, [1, 0, 3, 2]] * [width, height, width, height]
        np.testing.assert_allclose(boxes, found.boxes.clip(0, [width, height, width, height]), atol=0.01)


def test_all_signatures_agree(signatures, images):
    encoded = files(*images, kind="jpeg")
    expected = signatures["image_bytes"](image_bytes=encoded)
    features = [tf.train.Feature(bytes_list=tf.train.BytesList(value=[data])) for data in encoded.numpy()]
    examples = [tf.train.Example(features=tf.train.Features(feature={"image/encoded": row})) for row in features]
    same = signatures["tf_example"](example_bytes=tf.constant([row.SerializeToString() for row in examples]))
    for name, value in expected.items():
        np.testing.assert_array_equal(value, same[name])
    for row, data in enumerate(encoded):
        pixels = tf.io.decode_jpeg(data)[None]
        alone = signatures["serving_default"](input_tensor=pixels)
        floats = signatures["float_image"](input_tensor=tf.cast(pixels, tf.float32))
        for name in expected:
            np.testing.assert_allclose(expected[name][row], alone[name][0], atol=1e-6)
            np.testing.assert_allclose(floats[name], alone[name], atol=1e-6)


@pytest.mark.parametrize(
    ("place", "data", "message"),
    [
        (0, b"", "Unknown image file format|empty|Input is empty"),
        (1, b"no image", "Unknown image file format"),
        (2, "cut", "Invalid JPEG data|Unable to decode|corrupt"),
    ],
)
def test_a_wrong_file_fails_the_request(signatures, images, place, data, message):
    encoded = list(files(*images, kind="jpeg").numpy())
    encoded[place] = encoded[place][: len(encoded[place]) // 2] if data == "cut" else data
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        signatures["image_bytes"](image_bytes=tf.constant(encoded))
    # And the next request is answered as if nothing had been.
    assert len(signatures["image_bytes"](image_bytes=files(*images))[SCORES]) == 3


def test_grey_and_transparent_files(signatures, images):
    image = images[0]
    grey = tf.io.encode_png(image[..., :1]).numpy()
    clear = tf.io.encode_png(np.concatenate([image, np.full_like(image[..., :1], 255)], -1)).numpy()
    answers = signatures["image_bytes"](image_bytes=tf.constant([grey, clear]))
    np.testing.assert_allclose(answers[SCORES][1], signatures["image_bytes"](image_bytes=files(image))[SCORES][0])


def test_kept_resolution(spot_network, spot_card, draw_spots, tmp_path):
    card = spot_card.model_copy(update={"input": spot_card.input.resized(None)})
    run = tf.saved_model.load(str(export_savedmodel((spot_network, card), tmp_path / "kept"))).signatures
    images = np.stack([draw_spots(90, 50, (20, 30, 0)), draw_spots(90, 50, (70, 10, 1))])
    for found, answers in zip(
        Detector(spot_network, card)(images, threshold=0),
        tf.transpose(run["image_bytes"](image_bytes=files(*images))[SCORES]).numpy().T,
    ):
        np.testing.assert_allclose(answers[: len(found)], found.scores, atol=1e-4)
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be of one size"):
        run["image_bytes"](image_bytes=files(images[0], images[1][:40]))


ALONE = """
import sys

class Gone:
    def find_spec(self, name, path=None, target=None):
        # TensorFlow asks whether there is a keras.api, and copes where there is none.
        if name.split(".")[0] == "centernet_tf" or name.startswith("keras."):
            raise ImportError(f"{name} is not here")

sys.meta_path.insert(0, Gone())
import json
import tensorflow as tf
signatures = tf.saved_model.load(sys.argv[1]).signatures
files = [open(path, "rb").read() for path in sys.argv[2:]]
told = signatures["image_bytes"](image_bytes=tf.constant(files))
image = tf.io.decode_image(files[0])[None]
there = signatures["at_points"](input_tensor=image, points=tf.constant([[[20.0, 30.0], [60.0, 2.0]]]))
print(json.dumps([{name: value.numpy().tolist() for name, value in one.items()} for one in (told, there)]))
"""


def test_answers_where_only_tensorflow_is(spots, signatures, images, tmp_path):
    encoded = files(*images)
    paths = [tmp_path / f"{row}.png" for row in range(len(images))]
    for path, data in zip(paths, encoded.numpy()):
        path.write_bytes(data)
    command = [sys.executable, "-c", ALONE, str(spots / "1"), *map(str, paths)]
    shown = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    expected = signatures["image_bytes"](image_bytes=encoded)
    answers, there = json.loads(shown.stdout)
    for name, values in answers.items():
        np.testing.assert_allclose(values, expected[name], atol=1e-5)
    # The spot is the best of the first image; at the other point is nothing.
    assert {name.partition("_")[2] for name in there} >= {"boxes", "scores", "classes", "multiclass_scores"}
    for name in (BOXES, SCORES, CLASSES):
        np.testing.assert_allclose(there[name][0][0], expected[name][0][0], atol=1e-4)
    assert there[SCORES][0][1] < 0.01 < there[SCORES][0][0]
    np.testing.assert_allclose(np.max(there["detection_multiclass_scores"], axis=-1), there[SCORES], atol=1e-6)


def test_older_loaders_run_it(spots, signatures, images):
    # TensorFlow Serving and saved_model_cli restore by the saver in the graph, not by the objects.
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(spots / "1"))
        signature = meta.signature_def["serving_default"]
        feed = {signature.inputs["input_tensor"].name: images[0][None]}
        scores = session.run(signature.outputs[SCORES].name, feed)
    np.testing.assert_allclose(scores, signatures["serving_default"](input_tensor=images[0][None])[SCORES], atol=1e-5)


def test_weights_are_stored_once(spots):
    names = [name for name, shape in tf.train.list_variables(str(spots / "1" / "variables" / "variables")) if shape]
    assert len(names) == 6


def test_folder(spots):
    assert (spots / "1" / "assets" / "labels.txt").read_text() == "red\ngreen\n"
    assert 'name: "green"' in (spots / "1" / "assets" / "label_map.pbtxt").read_text()
    assert 'base_path: "/models/spots"' in (spots / "model.config").read_text()
    guide = (spots / "serving.txt").read_text()
    assert "docker run" in guide and "128x128" in guide and "{" not in guide.replace('{"', "")
    assert "model.json" not in guide  # It takes nothing beside images.
    about = read_about((spots / "1" / "assets" / "model.json").read_text(), "spots")
    assert (about.classes, about.properties, about.extras) == (("red", "green"), (), ())
    assert [path.name for path in spots.parent.iterdir()] == ["spots"]


def test_warmup_is_what_the_server_reads(spots, signatures):
    path = spots / "1" / "assets.extra" / "tf_serving_warmup_requests"
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    records = [logs.PredictionLog.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(path))]
    requests = [record.predict_log.request for record in records]
    assert [request.model_spec.signature_name for request in requests] == ["image_bytes", "serving_default"]
    for request in requests:
        assert request.model_spec.name == "spots"
        inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
        assert signatures[request.model_spec.signature_name](**inputs)[COUNT].shape == (1,)


def test_options(spot_card, tmp_path):
    image = keras.Input((None, None, 3))
    hidden = keras.layers.BatchNormalization()(keras.layers.Conv2D(16, 4, 4, use_bias=False)(image))
    outputs = {name: [keras.layers.Conv2D(2, 1)(hidden)] for name in ("heatmap", "offset", "size")}
    out = export_savedmodel(
        (keras.Model(image, outputs), spot_card), tmp_path / "out", version=7, precision="bfloat16", xla=True
    )
    assert out == tmp_path / "out" / "7"
    run = tf.saved_model.load(str(out)).signatures["serving_default"]
    answers = run(input_tensor=np.zeros((2, 64, 64, 3), "uint8"))
    assert all(value.dtype == tf.float32 for value in answers.values())
    assert np.isfinite(answers[BOXES]).all()


@pytest.mark.parametrize("kind", ["pose", pytest.param("box3d", marks=pytest.mark.long)])
def test_the_guide_names_answers_and_extras(kind, model, exported):
    _, card = model(kind)
    folder, tasks = exported(kind, "savedmodel"), card.task_set()
    guide = (folder / "serving.txt").read_text()
    for answer in answers_of(tasks.finds):
        assert f"  {answer.name}: {answer.meaning}\n" in guide
    assert ("assets/model.json" in guide) == bool(tasks.extras)
    for extra in tasks.extras:
        assert f"  {extra.name}: {extra.meaning}\n" in guide and f'"{extra.name}": [...]' in guide
    about = read_about((folder / "1" / "assets" / "model.json").read_text(), str(folder))
    assert (about.properties, [extra.name for extra in about.extras]) == (
        tasks.properties,
        [extra.name for extra in tasks.extras],
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "bfloat61"}, "Unknown precision 'bfloat61'. Did you mean 'bfloat16'"),
        ({"version": 0}, "numbered from 1"),
    ],
)
def test_wrong_options(spot_model, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        export_savedmodel(spot_model, tmp_path / "out", **options)
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_written_are_told(spot_model, tmp_path, small_disk):
    network = load_model(spot_model)  # Keras unpacks files on its way, which a full disk forbids too.
    with small_disk(20_000), pytest.raises(DataError, match=r"out: cannot be written .*File too large"):
        export_savedmodel(network, tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"out: cannot be written \(Not a directory\)"):
        export_savedmodel(network, tmp_path / "file" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_nothing_is_overwritten(spot_model, spots):
    with pytest.raises(UsageError, match="exists already"):
        export_savedmodel(spot_model, spots)


def test_a_file_that_answers_otherwise_is_not_kept(spot_model, tmp_path, monkeypatch):
    def other(network, policy):
        copy = keras.models.clone_model(network)
        copy.get_layer("heatmap").bias.assign([3.0, 3.0])
        return copy

    monkeypatch.setattr(savedmodel, "inference_network", other)
    with pytest.raises(DataError, match="away from the model"):
        export_savedmodel(spot_model, tmp_path / "out")
    assert not list(tmp_path.iterdir())
