"""KITTI's text files are read as they are and written as its evaluation reads them."""

import numpy as np
import pytest

from centernet_tf.errors import DataError, UsageError
from centernet_tf.properties.boxes3d.kitti_files import (
    holds_results,
    read_camera,
    read_lines,
    with_orientations,
    write_results,
)

LABELS = """Car 0.25 1 1.85 387.63 181.54 423.81 203.12 1.67 1.87 3.69 -16.53 2.39 58.49 1.57
DontCare -1 -1 -10 503.89 169.71 590.61 190.13 -1 -1 -1 -1000 -1000 -1000 -10
"""


def write(path, text):
    path.write_text(text)
    return path


def test_labels(tmp_path):
    rows = read_lines(write(tmp_path / "a.txt", LABELS))
    assert rows.names == ("Car", "DontCare")
    np.testing.assert_array_equal(rows.truncated, [0.25, -1])
    np.testing.assert_array_equal(rows.occluded, [1, -1])
    np.testing.assert_array_equal(rows.boxes[0], [387.63, 181.54, 423.81, 203.12])
    np.testing.assert_array_equal(rows.boxes3d[0], [1.85, 1.67, 1.87, 3.69, -16.53, 2.39, 58.49, 1.57])
    assert np.isnan(rows.boxes3d[1]).all() and np.isnan(rows.scores).all()


def test_empty_file_has_no_objects(tmp_path):
    rows = read_lines(write(tmp_path / "a.txt", "\n"))
    assert rows.names == () and rows.boxes.shape == (0, 4) and rows.boxes3d.shape == (0, 8)


def test_results_come_back(tmp_path):
    boxes = np.array([[1.234, 2, 3, 4], [5, 6, 7, 8]])
    boxes3d = np.array([[-1.5, 1.5, 1.6, 3.9, 1.126, 2, 10, 0.3], [np.nan] * 8])
    path = tmp_path / "results" / "000001.txt"
    write_results(path, ["Car", "Person sitting"], boxes, boxes3d, np.array([0.123456, 1]))
    rows = read_lines(path)
    assert rows.names == ("Car", "Person_sitting")
    np.testing.assert_array_equal(rows.boxes, [[1.23, 2, 3, 4], [5, 6, 7, 8]])
    np.testing.assert_array_equal(rows.boxes3d[0], [-1.5, 1.5, 1.6, 3.9, 1.13, 2, 10, 0.3])
    assert np.isnan(rows.boxes3d[1]).all()
    np.testing.assert_array_equal(rows.scores, [0.1235, 1])
    assert all(len(line.split()) == 16 for line in path.read_text().splitlines())


@pytest.mark.parametrize(("line", "message"), [("Car 1 2", "line 1 has 3"), (LABELS[4:], "line 1"), ("", None)])
def test_wrong_lines_are_named(line, message, tmp_path):
    path = write(tmp_path / "a.txt", line)
    if message:
        with pytest.raises(DataError, match=message):
            read_lines(path)
    else:
        assert read_lines(path).names == ()


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="not readable"):
        read_lines(tmp_path / "none.txt")


def test_camera(tmp_path):
    numbers = " ".join(f"{value}e+00" for value in range(12))
    path = write(tmp_path / "a.txt", f"P0: {numbers}\n\nP2: 1{numbers}\nR0_rect: 1 2 3\n")
    assert read_camera(path).shape == (3, 4) and read_camera(path)[0, 0] == 10
    assert read_camera(path, "P0")[2, 3] == 11
    with pytest.raises(DataError, match="'P3: ' with 12 numbers"):
        read_camera(path, "P3")
    with pytest.raises(DataError, match="R0_rect"):
        read_camera(path, "R0_rect")
    with pytest.raises(UsageError, match="no such"):
        read_camera(tmp_path / "none.txt")


def test_unknown_directions_follow_from_the_place():
    assert with_orientations(np.zeros((0, 8))).shape == (0, 8)
    boxes3d = np.array(
        [[-10, 1, 1, 1, 3, 1, 4, 0.5], [3.15, 1, 1, 1, 3, 1, 4, 0.5], [np.nan] * 8, [-10, 1, 1, 1, 1, 1, -1, 3]]
    )
    found = with_orientations(boxes3d)
    np.testing.assert_allclose(found[:, 0], [0.5 - np.arctan2(3, 4), 3.15, np.nan, 3 - np.arctan2(1, -1)])
    np.testing.assert_array_equal(found[:, 1:], boxes3d[:, 1:])


def test_a_full_disk_leaves_no_empty_file(tmp_path, small_disk):
    path = tmp_path / "000000.txt"
    write_results(path, ["Car"], np.ones((1, 4)), np.ones((1, 8)), np.ones(1))
    before = path.read_bytes()
    for target in (path, tmp_path / "000001.txt"):
        with small_disk(10), pytest.raises(DataError, match="cannot be written"):
            write_results(target, ["Car"], np.ones((1, 4)), np.ones((1, 8)), np.ones(1))
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == before


def test_what_holds_results(tmp_path):
    assert holds_results(write(tmp_path / "empty.txt", "\n"))
    write_results(tmp_path / "a.txt", ["Car"], np.ones((1, 4)), np.ones((1, 8)), np.ones(1))
    assert holds_results(tmp_path / "a.txt")
    assert not holds_results(write(tmp_path / "label.txt", LABELS))
    assert not holds_results(write(tmp_path / "calibration.txt", "P2: 1 2 3"))
