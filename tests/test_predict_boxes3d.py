"""3D boxes on their way out: images with bird's-eye views, JSON, KITTI's files, and the camera on its way in."""

import json

import keras
import numpy as np
import pytest

from centernet_tf.cli import main
from centernet_tf.geometry.camera import DEFAULT_CAMERA
from centernet_tf.media.draw import save_image
from centernet_tf.media.images import read_image
from centernet_tf.media.video import VideoReader, VideoWriter
from centernet_tf.model.file import save_model
from centernet_tf.properties.boxes3d.kitti_files import read_lines

pytestmark = pytest.mark.usefixtures("eagerly")
DEPTH, DIMENSIONS = 8.0, (1.5, 1.7, 4.0)
CAMERA = [[100, 0, 48, 0], [0, 100, 32, 0], [0, 0, 1, 0]]


@pytest.fixture(scope="module")
def model(tmp_path_factory, spot_network, spot_card):
    """Finds spots, each a box of the same size, 8 metres away and straight."""
    image = keras.Input((None, None, 3), name="image")
    maps = spot_network(image)
    values = {
        "depth": [-np.log(DEPTH)],
        "dimensions": DIMENSIONS,
        "rotation": [0, 1, 0, 1, 0, -1, 0, 1],  # the first bin, whose middle is at -90 degrees
    }
    mean = keras.layers.AveragePooling2D(4)(image)
    for name, value in values.items():
        layer = keras.layers.Conv2D(len(value), 1, name=name)
        maps[name] = [layer(mean)]
        layer.set_weights([np.zeros((1, 1, 3, len(value))), np.array(value)])
    path = tmp_path_factory.mktemp("model") / "boxes3d.keras"
    card = spot_card.model_copy(update={"tasks": {"box3d": {"camera": DEFAULT_CAMERA.tolist()}}})
    save_model(path, keras.Model(image, maps), card)
    return path


@pytest.fixture
def call(model, tmp_path, monkeypatch, capfd, draw_spots):
    """Function (*arguments behind the model) -> exit code, errors; runs in tmp_path, which holds in/a.png, in/b.png."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        save_image(tmp_path / "in" / f"{name}.png", draw_spots(96, 64, (50, 34, 0)))

    def run(*arguments, model=model):
        with pytest.raises(SystemExit) as end:
            main(["detect", str(model), *map(str, arguments)])
        return end.value.code or 0, capfd.readouterr()[1]

    return run


def rows(folder, image=0):
    content = json.loads((folder / "detections.json").read_text())
    return content["images"][image], content["images"][image]["detections"]


def test_everything_of_a_3d_box_is_written(call, tmp_path):
    (tmp_path / "camera.json").write_text(json.dumps({"camera": CAMERA}))
    code, errors = call("in/a.png", "--out", "out", "--camera", "camera.json", "--kitti", "txt")
    assert code == 0, errors
    line, (row,) = rows(tmp_path / "out")
    assert line["camera"] == CAMERA
    assert row["dimensions"] == list(DIMENSIONS) and row["alpha"] == pytest.approx(-np.pi / 2, abs=1e-4)
    x, y, z = row["location"]
    assert z == pytest.approx(DEPTH, rel=1e-4)
    assert [100 * x / z + 48, 100 * (y - 0.75) / z + 32] == pytest.approx([50, 34], abs=2)
    assert row["rotation_y"] == pytest.approx(row["alpha"] + np.arctan2(100 * x / z, 100), abs=1e-3)
    found = read_lines(tmp_path / "txt" / "a.txt")
    assert found.names == ("red",) and found.scores[0] == pytest.approx(row["score"], abs=1e-3)
    np.testing.assert_allclose(found.boxes3d[0], [row["alpha"], *DIMENSIONS, x, y, z, row["rotation_y"]], atol=1e-3)
    picture = read_image(tmp_path / "out" / "a.png")
    assert picture.shape == (64, 160, 3)
    assert (picture[:, :96] != read_image(tmp_path / "in" / "a.png")).any()


def test_cameras_of_a_folder_or_of_the_model(call, tmp_path):
    (tmp_path / "calib").mkdir()
    for name, focal in (("a", 100), ("b", 200)):
        matrix = [[focal, 0, 48], [0, focal, 32], [0, 0, 1]]
        (tmp_path / "calib" / f"{name}.yaml").write_text(f"camera: {matrix}\n")
    assert call("in", "--out", "out", "--camera", "calib")[0] == 0
    assert [rows(tmp_path / "out", image)[0]["camera"][0][0] for image in (0, 1)] == [100, 200]
    assert call("in", "--out", "own")[0] == 0
    np.testing.assert_allclose(rows(tmp_path / "own")[0]["camera"], DEFAULT_CAMERA, rtol=1e-6)
    (tmp_path / "calib" / "a.yaml").unlink()
    code, errors = call("in", "--out", "new", "--camera", "calib")
    assert code == 1 and "in/a.png: no camera a.txt" in errors
    assert call("in", "--out", "new", "--camera", "calib", "--skip-bad")[0] == 0
    content = json.loads((tmp_path / "new" / "detections.json").read_text())
    assert [skipped["file_name"] for skipped in content["skipped"]] == ["in/a.png"] and len(content["images"]) == 1


@pytest.mark.parametrize("text", ["P2: 100 0 48 0 0 100 32 0 0 0 1 0\n", "Car 0 0 -1 1 2 3 4 1 1 1 1 1 9 0\n"])
def test_labels_and_calibrations_are_not_overwritten(text, call, tmp_path):
    (tmp_path / "calib").mkdir()
    for name in "ab":
        (tmp_path / "calib" / f"{name}.txt").write_text(text)
    code, errors = call("in", "--out", "out", "--kitti", "calib")
    assert code == 2 and "a.txt: would overwrite a file that holds no results" in errors
    assert (tmp_path / "calib" / "a.txt").read_text() == text
    code, errors = call("in", "--out", "out", "--kitti", "calib/a.txt")
    assert code == 2 and "this is a file" in errors
    assert [call("in", "--out", "out", "--kitti", "txt")[0] for _ in range(2)] == [0, 0]  # Results, once more.


def test_videos_have_birds_eye_views_too(call, tmp_path, draw_spots):
    writer = VideoWriter(tmp_path / "clip.mp4", 10, (96, 64))
    for number in range(3):
        # The middle one shows nothing.
        writer.write(draw_spots(96, 64, *([] if number == 1 else [(50, 34, 0)])))
    writer.close()
    (tmp_path / "camera.yaml").write_text(f"{CAMERA}\n")
    assert call("clip.mp4", "--out", "out", "--camera", "camera.yaml")[0] == 0
    frames = [frame.image for frame in VideoReader(tmp_path / "out" / "clip.mp4")]
    assert [frame.shape for frame in frames] == [(64, 160, 3)] * 3
    code, errors = call("clip.mp4", "--out", "out", "--kitti", "txt")
    assert code == 2 and "--kitti writes a file for each image" in errors


def test_cameras_of_models_without_3d_boxes_are_refused(call, tmp_path, spot_model):
    (tmp_path / "camera.yaml").write_text(f"{CAMERA}\n")
    code, errors = call("in", "--out", "out", "--camera", "camera.yaml", model=spot_model)
    assert code == 2 and "--camera: a model of detect does not use a camera. Leave it out." in errors
    code, errors = call("in", "--out", "out", "--camera", "none.yaml")
    assert code == 2 and "none.yaml: no such file" in errors
    assert call("in", "--out", "flat", "--kitti", "txt", model=spot_model)[0] == 0
    found = read_lines(tmp_path / "txt" / "a.txt")
    assert found.names == ("red",) and np.isnan(found.boxes3d).all()
