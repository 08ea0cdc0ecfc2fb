import json

import numpy as np
import pytest

from centernet_tf.errors import DataError, UsageError
from centernet_tf.properties.boxes3d.cameras import Cameras, read_camera

LENS = [[700, 0, 600], [0, 710, 180], [0, 0, 1]]
MATRIX = [[700, 0, 600, 45], [0, 710, 180, -0.5], [0, 0, 1, 0.004]]
ROWS = "700 0 600 45 0 710 180 -0.5 0 0 1 0.004"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.txt", f"P0: {' 1' * 12}\nP2: {ROWS}\n", MATRIX),
        ("a.yaml", f"camera: {MATRIX}\n", MATRIX),
        ("a.yml", f"{LENS}\n", [[*row, 0] for row in LENS]),
        ("a.json", json.dumps({"camera": LENS}), [[*row, 0] for row in LENS]),
        ("a.JSON", json.dumps(MATRIX), MATRIX),
    ],
)
def test_every_form_is_read(tmp_path, name, text, expected):
    path = tmp_path / name
    path.write_text(text)
    camera = read_camera(path)
    np.testing.assert_array_equal(camera, np.float32(expected))
    assert camera.shape == (3, 4) and camera.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.txt", "P3: 1 2 3\n", "no line 'P2: '"),
        ("a.yaml", "camera: [[", "cannot be read"),
        ("a.json", "{", "cannot be read"),
        ("a.yaml", "lens: 5", "no 'camera', only lens"),
        ("a.yaml", "camera: 700", r"a.yaml: A camera is 3x4 \(or 3x3\) finite numbers, such as P2 of KITTI; got 700"),
        ("a.yaml", "camera: [[1, 2], [3]]", "is 3x4"),
        ("a.yaml", str([*MATRIX[:2], [0, 0, 1]]), "is 3x4"),
        ("a.yaml", str([[-700, 0, 600], *LENS[1:]]), "a.yaml: A camera of a rectified image has the rows"),
        ("a.yaml", str([*LENS[:2], [0, 1, 1]]), "has the rows"),
        ("a.yaml", "camera: [[.nan, 0, 0], [0, 1, 0], [0, 0, 1]]", "finite numbers"),
    ],
)
def test_what_is_no_camera_is_told(tmp_path, name, text, words):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        read_camera(path)


def test_files_that_cannot_be_cameras(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read_camera(tmp_path / "none.yaml")
    (tmp_path / "a.png").touch()
    with pytest.raises(UsageError, match=r"expected one of \.txt"):
        read_camera(tmp_path / "a.png")


def test_a_folder_has_a_camera_for_each_image(tmp_path):
    (tmp_path / "b.txt").write_text(f"P2: {ROWS}\n")
    (tmp_path / "c.yaml").write_text(f"{LENS}\n")
    cameras = Cameras(tmp_path)
    assert cameras.of("pictures/b.png")[0, 3] == 45 and cameras.of("c.jpg")[0, 3] == 0
    with pytest.raises(DataError, match=r"x/d.png: no camera d.txt, .yaml"):
        cameras.of("x/d.png")
    one = Cameras(tmp_path / "b.txt")
    np.testing.assert_array_equal(one.of("anything.jpg"), np.float32(MATRIX))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.txt", f"P2: {ROWS}\nP2: {ROWS}\n", "2 lines 'P2: '; expected one"),
        ("a.yaml", f"camera: {LENS}\ncamera: {MATRIX}\n", "'camera' is given twice"),
        ("a.json", f'{{"camera": {LENS}, "camera": {MATRIX}}}', "'camera' is given twice"),
        ("a.yaml", f"camera: {LENS}".replace("600", "1e39"), "finite numbers|no entry is larger"),
        ("a.json", json.dumps(LENS).replace("600", "1e39"), "no entry is larger"),
        ("a.json", json.dumps(LENS).replace("600", "9" * 400), "is 3x4"),
        ("a.json", json.dumps(LENS).replace("700", "1e-30").replace("710", "1e-30"), "focal lengths are from 1 to"),
        ("a.json", "[" * 5000, "cannot be read"),
        ("a.yaml", "[" * 500, "cannot be read"),
        ("a.yaml", "camera: 2001-99-99", "cannot be read"),
    ],
)
def test_hostile_cameras_are_told(tmp_path, name, text, words):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        read_camera(path)
    assert len(str(caught.value)) < 700
