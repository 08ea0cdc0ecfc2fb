import zipfile
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from centernet_tf.detector.detector import Detector
from centernet_tf.errors import UsageError
from centernet_tf.exports.about import about_text, read_about
from centernet_tf.exports.runners import MOST_ABOUT, KerasRunner, _packed, open_runner

FORMATS = {"SavedModel": ("savedmodel", {}), "TFLite": ("tflite", {"max_objects": 20}), "ONNX": ("onnx", {})}


@pytest.fixture(scope="module")
def ours(spot_model):
    """The model itself, which each size is traced for once."""
    return open_runner(spot_model)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("size", [(128, 128), (200, 150), (60, 90)])
def test_finds_what_the_model_finds(kind, size, exported, ours, draw_spots):
    width, height = size
    image = draw_spots(width, height, (width // 4, height // 2, 0), (3 * width // 4, height // 3, 1))
    format, options = FORMATS[kind]
    runner = open_runner(exported("spots", format, **options))
    expected, found = ours(image), runner(image)
    assert runner.kind == kind
    assert (runner.names, runner.limit, found.image_size) == (("red", "green"), 20, size)
    sure = expected.scores > 0.3
    assert sure.sum() == 2
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    np.testing.assert_allclose(found.boxes[sure], expected.boxes[sure], atol=0.01)
    np.testing.assert_array_equal(found.classes[sure], expected.classes[sure])


def test_images_are_fitted_as_the_file_says(exported, spot_network, spot_card):
    runner = open_runner(exported("spots", "onnx"))
    assert runner.resample == "bilinear"
    form = spot_card.input.model_copy(update={"resample": "area", "fill": 127.5})
    about = read_about(about_text(spot_card.model_copy(update={"input": form})), "spots")
    runner.fill, runner.resample = about.fill, about.resample
    image = np.random.default_rng(4).integers(0, 256, (200, 300, 3), np.uint8)
    graph = Detector(spot_network, spot_card.model_copy(update={"input": form})).graph
    fitted, fit = graph.fit_images(image[None], np.int32([[200, 300]]))
    found, numbers = runner.fit(image)
    np.testing.assert_allclose(found / 255, ops.convert_to_numpy(fitted), atol=1e-6)
    np.testing.assert_allclose(numbers, ops.convert_to_numpy(fit)[0], rtol=1e-6)
    assert (found[0, 0, 0] == 128).all()  # as bytes


@pytest.mark.parametrize(
    "kind", ["TFLite", *(pytest.param(kind, marks=pytest.mark.long) for kind in FORMATS if kind != "TFLite")]
)
def test_portrait_images_of_models_that_scale_by_the_width(kind, exported, model):
    """Inputs of 64 x 96: an image 60 wide is scaled by 1.6, its 90 rows notwithstanding."""
    runner = open_runner(exported("box3d", FORMATS[kind][0]))
    image = np.random.default_rng(4).integers(0, 256, (90, 60, 3), np.uint8)
    if runner.size:
        np.testing.assert_allclose(runner.fit(image)[1], [1.6, 1.6, 0, 32 - 1.6 * 45])
    reference = KerasRunner(Path("box3d.keras"), Detector(*model("box3d")), runner.window)
    expected, found = reference(image), runner(image)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.05)
    np.testing.assert_allclose(found.fields["locations"], expected.fields["locations"], rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("kind", ["TFLite", pytest.param("ONNX", marks=pytest.mark.long)])
def test_sizes_that_move_as_points(kind, exported, model):
    """The file does not know the way into its input, so the runner adds its shift."""
    runner = open_runner(exported("box3d", FORMATS[kind][0]))
    assert not runner.shifted_sizes
    network, card = model("box3d")
    settings = {"box3d": {**card.tasks["box3d"], "shifted_sizes": True}}
    card = card.model_copy(update={"tasks": settings})
    assert read_about(about_text(card), "model").shifted_sizes
    runner.shifted_sizes = True
    image = np.random.default_rng(4).integers(0, 256, (60, 80, 3), np.uint8)
    expected = KerasRunner(Path("box3d.keras"), Detector(network, card), runner.window)(image)
    np.testing.assert_allclose(runner(image).boxes, expected.boxes, atol=0.05)


def test_streams(exported, draw_spots):
    runner = open_runner(exported("spots", "onnx"))
    images = [draw_spots(64, 64), draw_spots(96, 64, (30, 40, 0))]
    assert [len(found) for found in runner.stream(iter(images), threshold=0.3)] == [0, 1]
    assert list(runner.stream([])) == []
    came = list(runner.search(((number, image, {}) for number, image in enumerate(images)), threshold=0.3))
    assert [(key, len(found)) for key, _, found in came] == [(0, 0), (1, 1)]
    np.testing.assert_array_equal(came[1][1], images[1])
    with pytest.raises(UsageError, match="takes nothing beside images"):
        runner(images[0], lens=3)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.keras", "no such model"),
        ("empty", "no SavedModel in it"),
        ("notes.txt", "unknown suffix. Known: .keras, .tflite, .onnx"),
        ("broken.tflite", "not a TFLite file that runs here"),
    ],
)
def test_what_is_no_model(name, said, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "broken.tflite").write_bytes(b"hello")
    with pytest.raises(UsageError) as error:
        open_runner(tmp_path / name)
    assert said in str(error.value)
    assert str(tmp_path / name) in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is missing or damaged"),
        (b"\xff\xfe", "is missing or damaged"),
        (b" " * (MOST_ABOUT + 1), f"is larger than {MOST_ABOUT} bytes"),
    ],
)
def test_what_a_tflite_file_says_of_itself_is_bounded(content, said, tmp_path):
    path = tmp_path / "a.tflite"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", "a")
        if content is not None:
            archive.writestr("model.json", content)
    with pytest.raises(UsageError, match=rf"a\.tflite: model\.json in it {said}\b"):
        _packed(path, "model.json")
