import numpy as np
import pytest

from centernet_tf.errors import UsageError
from centernet_tf.export.onnx import export_onnx
from centernet_tf.export.runners import open_runner
from centernet_tf.export.savedmodel import export_savedmodel
from centernet_tf.export.tflite import export_tflite

FORMATS = {"SavedModel": "saved", "TFLite": "a.tflite", "ONNX": "a.onnx"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory, spot_model):
    """Folder with the spot network in every format."""
    folder = tmp_path_factory.mktemp("exported")
    export_savedmodel(spot_model, folder / "saved")
    export_tflite(spot_model, folder / "a.tflite", max_objects=20)
    export_onnx(spot_model, folder / "a.onnx")
    return folder


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("size", [(128, 128), (200, 150), (60, 90)])
def test_finds_what_the_model_finds(kind, size, exported, spot_model, draw_spots):
    width, height = size
    image = draw_spots(width, height, (width // 4, height // 2, 0), (3 * width // 4, height // 3, 1))
    runner = open_runner(exported / FORMATS[kind])
    expected, found = open_runner(spot_model)(image), runner(image)
    assert runner.kind == kind
    assert (runner.names, runner.limit, found.image_size) == (("red", "green"), 20, size)
    sure = expected.scores > 0.3
    assert sure.sum() == 2
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    np.testing.assert_allclose(found.boxes[sure], expected.boxes[sure], atol=0.01)
    np.testing.assert_array_equal(found.classes[sure], expected.classes[sure])


def test_streams(exported, draw_spots):
    runner = open_runner(exported / "a.onnx")
    images = [draw_spots(64, 64), draw_spots(96, 64, (30, 40, 0))]
    assert [len(found) for found in runner.stream(iter(images), threshold=0.3)] == [0, 1]
    assert list(runner.stream([])) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.keras", "no such model"),
        ("empty", "no SavedModel in it"),
        ("notes.txt", "not a model's ending. Known: .keras, .tflite, .onnx"),
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
