"""Pixels and metres: golden vectors of the original, round trips, and the same answers from tensors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from centernet_tf.geometry import camera
from centernet_tf.geometry.camera import DEFAULT_CAMERA

angles = st.floats(-20, 20)
halves = st.floats(-np.pi, np.pi)


@st.composite
def cameras(draw):
    fx, fy = draw(st.floats(200, 2000)), draw(st.floats(200, 2000))
    cx, cy = draw(st.floats(0, 1500)), draw(st.floats(0, 800))
    a, b, c = draw(st.floats(-400, 400)), draw(st.floats(-5, 5)), draw(st.floats(-0.1, 0.1))
    return np.array([[fx, 0, cx, a], [0, fy, cy, b], [0, 0, 1, c]])


points = st.tuples(st.floats(-50, 50), st.floats(-5, 5), st.floats(0.5, 100))


def same_angle(first, second, tolerance=1e-6):
    assert np.abs(np.exp(1j * np.asarray(first)) - np.exp(1j * np.asarray(second))).max() < tolerance


def test_unproject_golden():
    point = camera.unproject(np.array([[761.565, 225.46]]), np.array([10.0]), DEFAULT_CAMERA)
    np.testing.assert_allclose(point, [[2.166873, 0.637549, 9.995019]], atol=2e-5)


def test_rotation_golden():
    rotation = camera.alpha_to_rotation(np.array([-0.20]), np.array([761.565]), DEFAULT_CAMERA)
    np.testing.assert_allclose(rotation, [0.0191561], atol=1e-6)


def test_corners_golden():
    found = camera.corners(np.array([1.0, 2, 10]), np.array([1.5, 1.6, 3.9]), np.array(0.3))
    np.testing.assert_allclose(found[0], [3.099322, 2, 10.188004], atol=1e-6)
    np.testing.assert_allclose(found[4], [3.099322, 0.5, 10.188004], atol=1e-6)
    np.testing.assert_allclose(found[2], [-1.099322, 2, 9.811996], atol=1e-6)


def test_corners_by_a_rotation_matrix():
    rotation = 0.7
    turn = np.array([[np.cos(rotation), 0, np.sin(rotation)], [0, 1, 0], [-np.sin(rotation), 0, np.cos(rotation)]])
    height, width, length = 1.5, 1.6, 3.9
    x = length / 2 * np.array([1, 1, -1, -1, 1, 1, -1, -1])
    y = height * np.array([0, 0, 0, 0, -1, -1, -1, -1])
    z = width / 2 * np.array([1, -1, -1, 1, 1, -1, -1, 1])
    expected = (turn @ np.stack([x, y, z])).T + np.array([1, 2, 10])
    found = camera.corners(np.array([[1.0, 2, 10]]), np.array([[height, width, length]]), np.array([rotation]))
    np.testing.assert_allclose(found, expected[None], atol=1e-12)


@given(cameras(), points)
def test_round_trip_from_space(matrix, point):
    points = np.array([point])
    pixels = camera.project(points, matrix)
    homogeneous = matrix @ np.append(points[0], 1)
    np.testing.assert_allclose(pixels[0], homogeneous[:2] / homogeneous[2], rtol=1e-9)
    back = camera.unproject(pixels, points[:, 2] + matrix[2, 3], matrix)
    np.testing.assert_allclose(back, points, atol=1e-6)


@given(cameras(), angles, st.floats(-200, 2000))
def test_round_trip_of_angles(matrix, alpha, column):
    columns = np.array([column])
    rotation = camera.alpha_to_rotation(np.array([alpha]), columns, matrix)
    assert np.abs(rotation) <= np.pi
    same_angle(rotation, alpha + np.arctan2(column - matrix[0, 2], matrix[0, 0]))
    same_angle(camera.rotation_to_alpha(rotation, columns, matrix), alpha)


@given(angles)
def test_wrap_keeps_the_direction(angle):
    wrapped = camera.wrap(np.array(angle))
    assert -np.pi <= wrapped <= np.pi
    same_angle(wrapped, angle)


@given(halves)
def test_wrap_leaves_what_lies_inside(angle):
    assert camera.wrap(np.array(angle)) == angle


@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
def test_cameras_of_a_batch(shape):
    random = np.random.default_rng(0)
    matrices = np.broadcast_to(DEFAULT_CAMERA, (*shape, 3, 4)).copy()
    matrices[..., 0, 0] *= random.uniform(0.5, 2, shape)
    points = random.uniform([-5, -1, 4], [5, 2, 40], (*shape, 6, 3))
    columns = random.uniform(0, 1000, (*shape, 6))
    pixels = camera.project(points, matrices)
    rotations = camera.alpha_to_rotation(columns / 200, columns, matrices)
    assert pixels.shape == (*shape, 6, 2) and rotations.shape == (*shape, 6)
    for place in np.ndindex(shape):
        np.testing.assert_allclose(pixels[place], camera.project(points[place], matrices[place]))
        one = camera.alpha_to_rotation(columns[place] / 200, columns[place], matrices[place])
        np.testing.assert_allclose(rotations[place], one)


@pytest.mark.parametrize("values", [DEFAULT_CAMERA, 2 * DEFAULT_CAMERA, DEFAULT_CAMERA.tolist()])
def test_a_camera_is_known_up_to_its_scale(values):
    found = camera.as_camera(values)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, DEFAULT_CAMERA, rtol=1e-6)


def test_a_camera_at_the_origin():
    assert camera.as_camera([[700, 0, 600], [0, 700, 180], [0, 0, 1]])[:, 3].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "values",
    [
        None,
        "P2",
        np.eye(4),
        [[1, 2], [3]],
        DEFAULT_CAMERA * np.nan,
        DEFAULT_CAMERA * [[-1], [1], [1]],
        DEFAULT_CAMERA * [[1], [1], [0]],
        DEFAULT_CAMERA + 9 * np.eye(3, 4, 1),
    ],
)
def test_no_camera(values):
    with pytest.raises(ValueError, match="camera"):
        camera.as_camera(values)


@given(cameras(), points, st.floats(0.1, 5), st.floats(-500, 500))
def test_moved_cameras_see_moved_pixels(matrix, point, scale, shift):
    fit = np.array([[scale, 0, shift], [0, scale, -shift]])
    pixels = camera.project(np.array([point]), matrix)
    moved = camera.project(np.array([point]), camera.move_camera(matrix, fit).astype(float))
    np.testing.assert_allclose(moved, scale * pixels + [shift, -shift], rtol=1e-4, atol=1e-2)


def test_tensors_as_arrays():
    random = np.random.default_rng(1)
    matrices = np.stack([DEFAULT_CAMERA, DEFAULT_CAMERA * [[2], [2], [1]]]).astype("float32")
    points = random.uniform([-5, -1, 4], [5, 2, 40], (2, 6, 3)).astype("float32")
    depths, angles = points[..., 2], random.uniform(-6, 6, (2, 6)).astype("float32")
    dimensions = random.uniform(1, 4, (2, 6, 3)).astype("float32")
    columns = random.uniform(0, 1200, (2, 6)).astype("float32")
    pixels = random.uniform(0, 1000, (2, 6, 2)).astype("float32")
    for function, values in (
        (camera.project, (points, matrices)),
        (camera.unproject, (pixels, depths, matrices)),
        (camera.alpha_to_rotation, (angles, columns, matrices)),
        (camera.rotation_to_alpha, (angles, columns, matrices)),
        (camera.corners, (points, dimensions, angles)),
        (camera.wrap, (angles,)),
    ):
        expected = function(*values)
        assert isinstance(expected, np.ndarray) and expected.dtype == np.float32, function
        tensor = function(*map(ops.convert_to_tensor, values))
        assert ops.is_tensor(tensor), function
        np.testing.assert_allclose(ops.convert_to_numpy(tensor), expected, rtol=1e-4, atol=1e-4)
