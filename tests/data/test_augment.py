"""One matrix for pixels and boxes, drawn as published."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centernet_tf.data.augment import PLAIN_COLOR, Augmentation, border, is_plain, plain_matrix
from centernet_tf.geometry import affine

COLORLESS = {"brightness": 0, "contrast": 0, "saturation": 0, "lighting": 0}


def draw(augment, count, height=480, width=640, size=(512, 512)):
    """[count, 2, 3] matrices of so many seeds."""
    return np.stack([augment.matrix(np.random.default_rng(seed), height, width, size) for seed in range(count)])


def window(matrices, size=(512, 512)):
    """Centre [N, 2] and side [N] in image pixels of what each matrix shows."""
    inverse = [affine.invert(matrix) for matrix in matrices]
    centers = [affine.move_points(np.array([size[1] / 2, size[0] / 2]), matrix) for matrix in inverse]
    return np.array(centers), np.array([matrix[1, 1] * size[1] for matrix in inverse])


@pytest.mark.parametrize(
    ("full", "expected"),
    [(640, 128), (257, 128), (256, 64), (129, 64), (128, 32), (64, 16), (32, 8), (10, 4), (3, 1), (2, 0), (1, 0)],
)
def test_border(full, expected):
    assert border(full) == expected
    assert full - border(full) > border(full)


def test_plain_matrix_is_the_published_one():
    np.testing.assert_allclose(plain_matrix(480, 640, (512, 512)), [[0.8, 0, 0], [0, 0.8, 64]])
    np.testing.assert_allclose(plain_matrix(640, 480, (512, 512)), [[0.8, 0, 64], [0, 0.8, 0]])


@pytest.mark.parametrize("tenths", [range(6, 14), range(7, 14), range(10, 11)])
def test_crops_have_the_published_scales_and_centers(tenths):
    matrices = draw(Augmentation(flip=0, crop_scales=(tenths[0] / 10, tenths[-1] / 10)), 4000)
    centers, sides = window(matrices)
    scales = sides / 640
    found, counts = np.unique(scales.round(6), return_counts=True)
    np.testing.assert_allclose(found, np.array(tenths) / 10)
    assert counts.min() > 4000 / len(tenths) * 0.8
    np.testing.assert_allclose(centers, centers.round(), atol=1e-6)
    low, high = centers.round().min(axis=0), centers.round().max(axis=0)
    assert (low >= [128, 128]).all() and (low <= [131, 131]).all()
    assert (high <= [511, 351]).all() and (high >= [508, 348]).all()
    np.testing.assert_allclose(centers.mean(axis=0), [319.5, 239.5], atol=6)
    # Aspect ratio is kept, and nothing is turned.
    np.testing.assert_allclose(matrices[:, 0, 0], matrices[:, 1, 1])
    assert not matrices[:, [0, 1], [1, 0]].any()


def test_jitter_of_the_whole_image_stays_in_its_limits():
    augment = Augmentation(crop=False, flip=0)
    centers, sides = window(draw(augment, 4000))
    moved, scales = (centers - [320, 240]) / 640, sides / 640
    for part in (moved[:, 0], moved[:, 1]):
        assert -0.2 - 1e-9 <= part.min() < -0.199
        assert 0.199 < part.max() <= 0.2 + 1e-9
        assert part.std() == pytest.approx(0.0959, abs=0.006)  # 0.1, less what is cut at two deviations
    assert scales.min() == pytest.approx(0.6)
    assert scales.max() == pytest.approx(1.4)
    # A third of all draws lies beyond one deviation and is cut there.
    assert ((scales < 0.6001) | (scales > 1.3999)).mean() == pytest.approx(0.317, abs=0.03)


@pytest.mark.parametrize("augment", [Augmentation(flip=0), Augmentation(crop=False, shift=0, flip=0)], ids=str)
def test_a_window_of_the_width(augment):
    """The same chance changes a portrait image by the same factor of another window."""
    longer, width = (
        augment.matrix(np.random.default_rng(5), 640, 480, (512, 512), window) for window in ("longer side", "width")
    )
    assert width[0, 0] == pytest.approx(longer[0, 0] * 640 / 480)
    back = [affine.move_points(np.array([256, 256]), affine.invert(matrix)) for matrix in (longer, width)]
    np.testing.assert_allclose(*back)
    assert is_plain(plain_matrix(640, 480, (512, 512), "width"), 640, 480, (512, 512), "width")
    assert not is_plain(plain_matrix(640, 480, (512, 512)), 640, 480, (512, 512), "width")


def test_no_jitter_is_the_whole_image():
    augment = Augmentation(crop=False, shift=0, scale=0, flip=0)
    for matrix in draw(augment, 3):
        np.testing.assert_allclose(matrix, plain_matrix(480, 640, (512, 512)), atol=1e-9)
    augment = Augmentation(crop=False, shift=0, scale=0, flip=1)
    mirrored = affine.chain(affine.flip_matrix(640), affine.fit_matrix((319, 240), 640, (512, 512)))
    np.testing.assert_allclose(draw(augment, 1)[0], mirrored, atol=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("flip", [0, 1])
def test_share_of_jittered_images(share, flip):
    augment = Augmentation(crop=False, jitter_probability=share, flip=flip)
    plain = [is_plain(matrix, 480, 640, (512, 512)) for matrix in draw(augment, 1000)]
    assert 1 - np.mean(plain) == pytest.approx(share, abs=0.05)


def test_crops_are_not_plain():
    assert not any(is_plain(matrix, 480, 640, (512, 512)) for matrix in draw(Augmentation(), 200))
    turned = affine.fit_matrix((320, 240), 640, (512, 512), 20)
    assert not is_plain(turned, 480, 640, (512, 512))


def test_shift_in_parts_of_each_side():
    augment = Augmentation(crop=False, shift_each_side=True, flip=0)
    centers, _ = window(draw(augment, 4000))
    moved = (centers - [320, 240]) / [640, 480]
    np.testing.assert_allclose(np.abs(moved).max(axis=0), 0.2, atol=1e-3)
    np.testing.assert_allclose(moved.std(axis=0), 0.0959, atol=0.006)


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_share_and_spread_of_turned_images(share):
    augment = Augmentation(rotate=20, rotate_probability=share)
    matrices = draw(augment, 2000)
    # The image of the y axis tells the angle, mirrored or not.
    angles = np.rad2deg(np.arctan2(matrices[:, 0, 1], matrices[:, 1, 1]))
    turned = angles != 0
    assert turned.mean() == pytest.approx(share, abs=0.04)
    assert np.abs(angles).max() == pytest.approx(40)
    assert angles[turned].mean() == pytest.approx(0, abs=2)
    assert angles[turned].std() == pytest.approx(0.0959 * 200, abs=1)  # 20, less what is cut at two deviations
    np.testing.assert_allclose(np.abs(np.linalg.det(matrices[:, :, :2])), np.sum(matrices[:, :, 1] ** 2, axis=1))


@pytest.mark.parametrize("off", [{"rotate": 20}, {"rotate_probability": 1.0}])
def test_no_turn_changes_no_chance(off):
    np.testing.assert_array_equal(draw(Augmentation(**off), 5), draw(Augmentation(), 5))


@pytest.mark.parametrize(("flip", "share"), [(0, 0), (0.5, 0.5), (1, 1)])
def test_share_of_mirrored_images(flip, share):
    matrices = draw(Augmentation(flip=flip), 1000)
    assert (matrices[:, 0, 0] < 0).mean() == pytest.approx(share, abs=0.05)
    assert (matrices[:, 1, 1] > 0).all()


def test_mirroring_shows_the_same_window():
    """The centre of the crop moves with the mirrored image, so every source pixel stays in view."""
    plain, mirrored = draw(Augmentation(flip=0), 50), draw(Augmentation(flip=1), 50)
    x = np.array([[0.0, 0.0], [639.0, 479.0]])
    for one, other in zip(plain, mirrored):
        straight, turned = affine.move_points(x, one), affine.move_points(x, other)
        np.testing.assert_allclose(turned[:, 1], straight[:, 1], atol=1e-9)
        # Both put the crop's centre at 256, so the mirror is 512 - x, not 511 - x.
        np.testing.assert_allclose(turned[:, 0], 512 - straight[:, 0], atol=1e-9)


def test_a_seed_draws_the_same_again():
    for augment in (Augmentation(), Augmentation(crop=False)):
        np.testing.assert_array_equal(draw(augment, 5), draw(augment, 5))
        assert len(np.unique(draw(augment, 5).round(6), axis=0)) == 5


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 300), (9, 10), (3000, 40)])
def test_images_of_any_size(height, width):
    for augment in (Augmentation(), Augmentation(crop=False)):
        matrices = draw(augment, 30, height, width, (64, 96))
        assert np.isfinite(matrices).all()
        assert np.linalg.det(matrices[:, :, :2]).all()


@pytest.mark.parametrize("augment", [Augmentation(), Augmentation(crop=False), Augmentation(flip=1)])
@pytest.mark.parametrize("box", [(200, 150, 280, 250), (300, 180, 330, 300)])
def test_boxes_move_with_their_pixels(augment, box):
    """A white rectangle is drawn, warped as the input pipeline does, and measured."""
    left, top, right, bottom = box
    image = np.zeros((480, 640), np.uint8)
    image[top : bottom + 1, left : right + 1] = 255
    measured = 0
    for matrix in draw(augment, 40):
        moved = affine.move(np.array([box], np.float32), matrix, "boxes")[0]
        if (moved < 2).any() or (moved > 509).any():
            continue
        rows, columns = np.nonzero(cv2.warpAffine(image, matrix, (512, 512), flags=cv2.INTER_LINEAR) > 127)
        found = [columns.min(), rows.min(), columns.max(), rows.max()]
        # Half a source pixel belongs to each side of the rectangle, and a target pixel is whole.
        assert np.abs(moved - found).max() <= 0.5 * abs(matrix[0, 0]) + 1
        measured += 1
    assert measured >= 10


@given(
    seed=st.integers(0, 2**32),
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    crop=st.booleans(),
    corners=st.tuples(*[st.floats(0, 1)] * 4),
)
@settings(max_examples=100, deadline=None)
def test_there_and_back(seed, height, width, crop, corners):
    matrix = Augmentation(crop=crop).matrix(np.random.default_rng(seed), height, width, (384, 512))
    x, y = sorted(corners[:2]), sorted(corners[2:])
    box = np.array([[x[0] * width, y[0] * height, x[1] * width, y[1] * height]])
    moved = affine.move(box, matrix, "boxes")
    assert (moved[0, :2] <= moved[0, 2:]).all()
    back = affine.move(moved, affine.invert(matrix), "boxes")
    np.testing.assert_allclose(back, box, atol=1e-6 * max(height, width))
    area, factor = np.prod(box[0, 2:] - box[0, :2]), abs(np.linalg.det(matrix[:, :2]))
    assert np.prod(moved[0, 2:] - moved[0, :2]) == pytest.approx(area * factor, rel=1e-6, abs=1e-6)


def test_no_color_change():
    np.testing.assert_array_equal(Augmentation(**COLORLESS).color(np.random.default_rng(0)), PLAIN_COLOR)


def test_brightness_alone_is_one_factor():
    colors = np.stack(
        [Augmentation(**{**COLORLESS, "brightness": 0.4}).color(np.random.default_rng(seed)) for seed in range(500)]
    )
    assert 0.6 <= colors[:, 0].min() < 0.62
    assert 1.38 < colors[:, 0].max() <= 1.4
    assert not colors[:, 1:].any()


@pytest.mark.parametrize(("name", "place"), [("contrast", 1), ("saturation", 2)])
def test_contrast_and_saturation_keep_the_sum(name, place):
    """What the image loses, its mean grey or its grey gains."""
    color = Augmentation(**{**COLORLESS, name: 0.4}).color(np.random.default_rng(1))
    assert color[0] != 1
    assert color[0] + color[place] == pytest.approx(1)
    assert np.count_nonzero(color) == 2


def test_lighting_has_the_spread_of_the_principal_components():
    colors = np.stack(
        [Augmentation(**{**COLORLESS, "lighting": 0.1}).color(np.random.default_rng(seed)) for seed in range(3000)]
    )
    np.testing.assert_array_equal(colors[:, :3], np.tile([1, 0, 0], (3000, 1)))
    # Red, green, blue: 0.1 times the root of the sum of squares of eigenvalues times components.
    np.testing.assert_allclose(colors[:, 3:].std(axis=0), [0.012085, 0.012481, 0.012647], rtol=0.06)
    assert colors.dtype == np.float32
