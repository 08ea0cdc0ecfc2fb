import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from centernet_tf.geometry import affine

NUMBERS = st.floats(-500, 500, width=32)
SIDES = st.integers(16, 1200)


@st.composite
def matrices(draw):
    center = draw(NUMBERS), draw(NUMBERS)
    return affine.fit_matrix(center, draw(st.floats(20, 2000)), (draw(SIDES), draw(SIDES)), draw(st.floats(-180, 180)))


@st.composite
def point_arrays(draw):
    return np.array(draw(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=5)), float).reshape(-1, 2)


@pytest.mark.parametrize(
    "center, scale, size, rotation, expected",
    [
        ((320, 240), 640, (512, 512), 0, [[0.8, 0, 0], [0, 0.8, 64]]),
        ((320, 240), 640, (128, 128), 0, [[0.2, 0, 0], [0, 0.2, 16]]),
        ((320, 240), 640, (512, 512), 30, [[0.69282, 0.4, -61.7025], [-0.4, 0.69282, 217.7231]]),
        ((621, 187.5), 1242, (384, 1280), 0, [[1.0305958, 0, 0], [0, 1.0305958, -1.2367]]),
    ],
    ids=["input", "grid", "rotated", "wide"],
)
def test_fit_matrix(center, scale, size, rotation, expected):
    np.testing.assert_allclose(affine.fit_matrix(center, scale, size, rotation), expected, atol=5e-5)


@pytest.mark.parametrize(
    "center, scale, size, expected",
    [
        ((320, 240), 640, (128, 128), [[5, 0, 0], [0, 5, -80]]),
        ((621, 187.5), 1242, (96, 320), [[3.88125, 0, 0], [0, 3.88125, 1.2]]),
    ],
)
def test_inverse_from_the_output_grid(center, scale, size, expected):
    np.testing.assert_allclose(affine.invert(affine.fit_matrix(center, scale, size)), expected, atol=1e-9)


@pytest.mark.parametrize("rotation", [0, 30, -75, 180])
def test_fit_matrix_solves_three_points(rotation):
    """The slow twin: centre, top of the window and a third point at a right angle fix the map."""
    center, scale, (height, width) = np.array([300.0, 180.0]), 700.0, (384, 512)
    angle = np.deg2rad(rotation)
    up = scale / 2 * np.array([np.sin(angle), -np.cos(angle)])
    source = [center, center + up, center + up + np.array([up[1], -up[0]])]
    middle, rise = np.array([width / 2, height / 2]), np.array([0, -width / 2])
    target = [middle, middle + rise, middle + rise + np.array([rise[1], -rise[0]])]
    solved = np.linalg.solve(np.column_stack([source, np.ones(3)]), np.array(target)).T
    np.testing.assert_allclose(affine.fit_matrix(tuple(center), scale, (height, width), rotation), solved, atol=1e-9)


@pytest.mark.parametrize(
    "height, width, size, expected",
    [
        (480, 640, (512, 512), (0.8, 0, 64)),
        (640, 480, (512, 512), (0.8, 64, 0)),
        (512, 512, (512, 512), (1, 0, 0)),
        (100, 100, (256, 512), (5.12, 0, -128)),
    ],
)
def test_fixed_fit(height, width, size, expected):
    scale, x, y = affine.fixed_fit(height, width, size)
    np.testing.assert_allclose((scale, x, y), expected, atol=1e-9)
    matrix = affine.fit_matrix((width / 2, height / 2), max(height, width), size)
    np.testing.assert_allclose([[scale, 0, x], [0, scale, y]], matrix, atol=1e-9)


@pytest.mark.parametrize(("window", "scale"), [("longer side", 2.0), ("width", 2 + 2 / 3), ("whole image", 0.6)])
def test_windows_of_a_portrait_image(window, scale):
    """480 x 640 in KITTI's input: the original of 3D boxes goes by the width alone."""
    side = affine.window_side(640, 480, window, (384, 1280))
    fit = affine.fixed_fit(640, 480, (384, 1280), side)
    np.testing.assert_allclose(fit, (scale, 640 - 240 * scale, 192 - 320 * scale))
    tensors = [ops.convert_to_tensor(np.float32([[value]])) for value in (640, 480)]
    assert float(ops.convert_to_numpy(affine.window_side(*tensors, window, (384, 1280)))[0, 0]) == pytest.approx(side)
    assert affine.window_side(375, 1280, window, (384, 1280)) == 1280


@pytest.mark.parametrize(
    "height, width, stride, size, shift",
    [
        (480, 640, 32, (512, 672), (16, 16)),
        (480, 640, 128, (512, 768), (64, 16)),
        (512, 512, 32, (544, 544), (16, 16)),
        (333, 501, 32, (352, 512), (6, 10)),
        (1, 1, 32, (32, 32), (16, 16)),
    ],
)
def test_kept_resolution(height, width, stride, size, shift):
    assert affine.kept_size(height, width, stride) == size
    assert affine.kept_fit(height, width, stride) == (1.0, *shift)
    assert size == ((height | (stride - 1)) + 1, (width | (stride - 1)) + 1)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("angle", [-75.0, -0.5, 0.0, 30.0, 140.0])
def test_upright_takes_the_rotation_out(angle, mirrored):
    first = affine.flip_matrix(300) if mirrored else np.eye(2, 3)
    turned, straight = (
        affine.chain(first, affine.fit_matrix((120, 70), 250, (96, 128), rotation)) for rotation in (angle, 0.0)
    )
    np.testing.assert_allclose(affine.upright(turned, (96, 128)), straight, atol=1e-9)


@settings(deadline=None)
@given(matrices(), point_arrays())
def test_there_and_back(matrix, points):
    back = affine.move_points(affine.move_points(points, matrix), affine.invert(matrix))
    np.testing.assert_allclose(back, points, atol=1e-6)


@settings(deadline=None)
@given(matrices(), matrices(), point_arrays())
def test_chain_is_one_after_the_other(first, second, points):
    both = affine.move_points(points, affine.chain(first, second))
    np.testing.assert_allclose(
        both, affine.move_points(affine.move_points(points, first), second), rtol=1e-6, atol=1e-6
    )


@settings(deadline=None)
@given(st.integers(1, 2000), point_arrays())
def test_flip_twice_is_nothing(width, points):
    twice = affine.chain(affine.flip_matrix(width), affine.flip_matrix(width))
    np.testing.assert_array_equal(twice, np.eye(3)[:2])
    np.testing.assert_allclose(affine.move(points, twice, "points"), points)


@settings(deadline=None)
@given(st.data(), st.integers(1, 30), st.integers(1, 30))
def test_flipped_box_covers_the_flipped_pixels(data, width, height):
    left, right = sorted(data.draw(st.tuples(*[st.integers(0, width - 1)] * 2)))
    top, bottom = sorted(data.draw(st.tuples(*[st.integers(0, height - 1)] * 2)))
    image = np.zeros((height, width), bool)
    image[top : bottom + 1, left : right + 1] = True
    rows, columns = np.nonzero(image[:, ::-1])
    moved = affine.move(np.float32([[left, top, right, bottom]]), affine.flip_matrix(width), "boxes")
    assert moved[0].tolist() == [columns.min(), rows.min(), columns.max(), rows.max()]


@pytest.mark.parametrize(
    "motion, values, expected",
    [
        ("fixed", np.int32([3, 4]), [3, 4]),
        ("points", np.float32([[1, 2], [0, 0]]), [[7, 4], [9, 0]]),
        ("points", np.float32([[[1, 2]], [[0, 0]]]), [[[7, 4]], [[9, 0]]]),
        ("vectors", np.float32([[1, 2], [0, 0]]), [[-2, 4], [0, 0]]),
        ("boxes", np.float32([[1, 2, 3, 4]]), [[3, 4, 7, 8]]),
        ("angles", np.float32([0, 0.5, -3]), np.float32([np.pi, np.pi - 0.5, 3 - np.pi])),
        (
            "projections",
            np.float32([[5, 0, 2, 1], [0, 5, 3, 0], [0, 0, 1, 0]]),
            [[-10, 0, 5, -2], [0, 10, 6, 0], [0, 0, 1, 0]],
        ),
        ("boxes", np.zeros((0, 4), np.float32), np.zeros((0, 4))),
        ("points", np.zeros((0, 17, 2), np.float32), np.zeros((0, 17, 2))),
    ],
)
def test_move(motion, values, expected):
    """Twice the size, mirrored, nine to the right."""
    matrix = np.array([[-2.0, 0, 9], [0, 2, 0]])
    moved = affine.move(values, matrix, motion)
    np.testing.assert_allclose(moved, expected, atol=1e-6)
    assert moved.dtype == values.dtype and moved.shape == np.shape(expected)


@given(st.floats(-4, 4))
def test_angles_turn_in_a_mirror_only(angle):
    angles = np.array([angle])
    np.testing.assert_array_equal(affine.move(angles, affine.fit_matrix((3, 4), 5, (6, 7)), "angles"), angles)
    mirrored = affine.move(angles, affine.flip_matrix(9), "angles")
    np.testing.assert_allclose([np.cos(mirrored), np.sin(mirrored)], [-np.cos(angles), np.sin(angles)], atol=1e-9)


def test_unknown_motion():
    with pytest.raises(ValueError, match=r"Unknown motion 'box'. Known: fixed, boxes, points, vectors"):
        affine.move(np.zeros((1, 4)), affine.flip_matrix(3), "box")


def test_patches_do_not_turn():
    patch = np.arange(4.0).reshape(1, 2, 2)
    mirrored = affine.chain(affine.flip_matrix(9), affine.fit_matrix((4, 4), 8, (4, 4)))
    np.testing.assert_array_equal(affine.move(patch, mirrored, "patches"), [[[1, 0], [3, 2]]])
    for matrix in (affine.fit_matrix((4, 4), 8, (4, 4), 5.0), np.array([[1, 0.1, 0], [0, 1, 0]])):
        with pytest.raises(ValueError, match="cannot be rotated or sheared"):
            affine.move(patch, matrix, "patches")
