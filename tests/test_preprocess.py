"""The graph's warp and colours against OpenCV and against the published steps, one after the other."""

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from centernet_tf.data.augment import EIGENVALUES, EIGENVECTORS, PLAIN_COLOR, Augmentation, plain_matrix
from centernet_tf.geometry import affine
from centernet_tf.preprocess import COCO_MEAN, COCO_STD, RESAMPLES, Normalization, letterbox, normalize, recolor, warp


def noise(height, width, seed=5):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def call_warp(images, matrices, size):
    fit = np.array([[m[0, 0], m[1, 1], m[0, 2], m[1, 2]] for m in matrices], np.float32)
    return ops.convert_to_numpy(warp(np.asarray(images), fit, size))


def slow_warp(image, matrix, size):
    """Bilinear with black outside, by weights of every source pixel for every target pixel; [h, w, 3] float64."""
    weights = []
    for axis, (length, source) in enumerate(zip(size[::-1], image.shape[1::-1])):
        position = (np.arange(length) - matrix[axis, 2]) / matrix[axis, axis]
        weights.append(np.maximum(0, 1 - np.abs(position[:, None] - np.arange(source))))
    return np.einsum("yv,xu,vuc->yxc", weights[1], weights[0], image.astype(float))


def test_a_single_pixel():
    (found,) = call_warp([np.full((1, 1, 3), 200, np.uint8)], [np.array([[1, 0, 2], [0, 1, 1]])], (4, 5))
    expected = np.zeros((4, 5, 3))
    expected[1, 2] = 200
    np.testing.assert_allclose(found, expected)


MATRICES = {
    "same": [[1, 0, 0], [0, 1, 0]],
    "moved by whole pixels": [[1, 0, 3], [0, 1, -2]],
    "moved": [[1, 0, 3.3], [0, 1, -2.6]],
    "larger": [[1.7, 0, -5], [0, 1.7, 2.25]],
    "smaller": [[0.4, 0, 8], [0, 0.4, 6]],
    "mirrored": [[-1, 0, 39], [0, 1, 0]],
    "mirrored, larger and moved": [[-1.3, 0, 48.2], [0, 1.3, -7.7]],
    "far outside": [[1, 0, 500], [0, 1, -900]],
    "tiny": [[0.01, 0, 20], [0, 0.01, 16]],
}


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("size", [(32, 40), (48, 24)])
def test_warp_is_that_of_opencv(name, size):
    image, matrix = noise(32, 40), np.array(MATRICES[name], float)
    (found,) = call_warp([image], [matrix], size)
    np.testing.assert_allclose(found, slow_warp(image, matrix, size), atol=0.02)
    warped = cv2.warpAffine(image, matrix, size[::-1], flags=cv2.INTER_LINEAR)
    # Version 4 rounds its weights to 1/32.
    assert np.abs(found - warped).max() <= (1 if int(cv2.__version__.split(".")[0]) >= 5 else 10)


@given(
    scale=st.floats(0.05, 8),
    mirror=st.booleans(),
    shift=st.tuples(st.floats(-60, 60), st.floats(-60, 60)),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_warp_by_any_matrix(scale, mirror, shift, seed):
    matrix = np.array([[-scale if mirror else scale, 0, shift[0]], [0, scale, shift[1]]])
    # The graph works in float32, so the twin begins with the same numbers.
    matrix = matrix.astype(np.float32).astype(float)
    image = noise(12, 17, seed)
    (found,) = call_warp([image], [matrix], (20, 16))
    # A position of float32 is off by some 1e-4 pixels at these shifts, and a pixel away is up to 255 grey levels away.
    np.testing.assert_allclose(found, slow_warp(image, matrix, (20, 16)), atol=0.15)


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
def test_another_grey_than_black_outside(matrix):
    """Black and what is missing of white, times that grey; also beyond images that are smaller than their batch."""
    matrix, image = np.array(matrix, float), noise(20, 30)
    (black,) = call_warp([image], [matrix], (32, 40))
    (share,) = call_warp([np.ones_like(image)], [matrix], (32, 40))
    expected = black + 90.0 * (1 - share)
    padded = np.zeros((1, 64, 64, 3), np.uint8)
    padded[0, :20, :30] = image
    fit = np.float32([[matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]]])
    found = warp(padded, fit, (32, 40), 90.0, np.int32([[20, 30]]))
    np.testing.assert_allclose(ops.convert_to_numpy(found)[0], expected, atol=0.02)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_each_image_of_a_batch_has_its_own_matrix(dtype):
    images = np.stack([noise(24, 30, seed) for seed in range(len(MATRICES))]).astype(dtype)
    matrices = np.array(list(MATRICES.values()), float)
    together = call_warp(images, matrices, (16, 28))
    for index, (image, matrix) in enumerate(zip(images, matrices)):
        np.testing.assert_array_equal(together[index], call_warp([image], [matrix], (16, 28))[0])


def test_black_padding_of_a_batch_changes_nothing():
    image = noise(20, 30)
    padded = np.zeros((64, 64, 3), np.uint8)
    padded[:20, :30] = image
    for values in MATRICES.values():
        matrix = np.array(values, float)
        np.testing.assert_allclose(
            call_warp([padded], [matrix], (32, 32)), call_warp([image], [matrix], (32, 32)), atol=1e-4
        )


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(4, 12))])
def test_drawn_matrices_warp_as_opencv_does(seed):
    """The device and the input pipeline make the same image of one matrix."""
    image = noise(75, 100)
    matrix = Augmentation().matrix(np.random.default_rng(seed), 75, 100, (64, 96))
    (found,) = call_warp([image], [matrix], (64, 96))
    np.testing.assert_allclose(found, slow_warp(image, matrix, (64, 96)), atol=0.05)


def fit_of(image, size):
    """The whole image in the middle of the input, as FairMOT scales it."""
    (height, width), (h, w) = image.shape[:2], size
    scale, left, top = affine.fixed_fit(height, width, size, affine.window_side(height, width, "whole image", (h, w)))
    return np.float32([[scale, scale, left, top]])


def published_letterbox(image, size, fill):
    """FairMOT's steps, with OpenCV."""
    height, width = image.shape[:2]
    ratio = min(size[0] / height, size[1] / width)
    sides = [max(round(side * ratio), 1) for side in (width, height)]
    left, top = ((whole - side) / 2 for whole, side in zip(size[::-1], sides))
    scaled = cv2.resize(image, sides, interpolation=cv2.INTER_AREA)
    around = round(top - 0.1), round(top + 0.1), round(left - 0.1), round(left + 0.1)
    return cv2.copyMakeBorder(scaled, *around, cv2.BORDER_CONSTANT, value=(fill,) * 3)


SHAPES = {
    "same": ((64, 96), (64, 96)),
    "halved": ((128, 192), (64, 96)),
    "shrunk, wide": ((90, 301), (64, 96)),
    "shrunk, tall": ((301, 90), (64, 96)),
    "doubled": ((32, 48), (64, 96)),
    "grown": ((23, 31), (64, 96)),
    "thin": ((4, 300), (64, 96)),
    "one pixel": ((1, 1), (64, 96)),
}


@pytest.mark.parametrize(("shape", "size"), SHAPES.values(), ids=SHAPES)
def test_letterbox_is_that_of_opencv(shape, size):
    """To the grey level where it shrinks; where it grows, OpenCV counts in 1/2048, and a tie may fall either way."""
    image = noise(*shape)
    found = ops.convert_to_numpy(letterbox(image[None], fit_of(image, size), size, 127.5))[0]
    expected = published_letterbox(image, size, 127.5)
    difference = np.abs(found - expected)
    assert difference.max() <= 1
    if shape[0] >= size[0] or shape[1] >= size[1]:
        assert (difference > 0).mean() < 2e-3
    else:
        assert (difference > 0).mean() < 0.15


@pytest.mark.slow
def test_letterbox_of_a_batch_is_that_of_each_image():
    """Also of images that are smaller than the batch, of whole numbers or not."""
    shapes = [(64, 96), (33, 70), (90, 20), (1, 1), (96, 96)]
    padded = np.zeros((len(shapes), 96, 96, 3), np.uint8)
    fits, alone = [], []
    for number, shape in enumerate(shapes):
        image = padded[number, : shape[0], : shape[1]] = noise(*shape, seed=number)
        fits.append(fit_of(image, (32, 64)))
        alone.append(ops.convert_to_numpy(letterbox(image[None], fits[-1], (32, 64), 90.0))[0])
    for images in (padded, padded.astype(np.float32)):
        together = letterbox(images, np.concatenate(fits), (32, 64), 90.0, np.int32(shapes))
        np.testing.assert_array_equal(ops.convert_to_numpy(together), alone)


@pytest.mark.parametrize("name", RESAMPLES)
def test_every_way_of_fitting_shows_the_same(name):
    """A smooth image lies within a pixel of where `warp` puts it."""
    ramp = np.linspace(0, 200, 120)[:, None, None] + np.linspace(0, 50, 200)[None, :, None] + np.zeros((1, 1, 3))
    fit = fit_of(ramp, (64, 96))
    found = ops.convert_to_numpy(RESAMPLES[name](ramp[None].astype(np.float32), fit, (64, 96), 0.0))[0]
    expected = ops.convert_to_numpy(warp(ramp[None], fit, (64, 96)))[0]
    np.testing.assert_allclose(found[6:-6, 1:-1], expected[6:-6, 1:-1], atol=3)


def published_steps(image, strengths, random):
    """Colour augmentation as published, on BGR in 0..1, step by step; the numbers are drawn as `color` draws them."""
    image = image[..., ::-1].astype(np.float64)
    grey = 0.114 * image[..., 0] + 0.587 * image[..., 1] + 0.299 * image[..., 2]
    mean = grey.mean()
    order = random.permutation(3)
    for step in order:
        alpha = 1 + random.uniform(-strengths[step], strengths[step])
        image = alpha * image
        if step == 1:
            image = image + (1 - alpha) * mean
        elif step == 2:
            image = image + (1 - alpha) * grey[..., None]
    alphas = random.normal(0, 0.1, 3)
    image = image + np.dot(EIGENVECTORS, EIGENVALUES * alphas)
    return image[..., ::-1], tuple(order.tolist())


@pytest.mark.parametrize("strengths", [(0.4, 0.4, 0.4), (0.4, 0.0, 0.0), (0.0, 0.4, 0.0), (0.0, 0.0, 0.4), (1, 0.7, 2)])
def test_recolor_is_the_published_steps_in_every_order(strengths):
    images = np.stack([noise(9, 7, seed) for seed in range(60)]) / np.float32(255)
    augment = Augmentation(brightness=strengths[0], contrast=strengths[1], saturation=strengths[2])
    colors = np.stack([augment.color(np.random.default_rng(seed)) for seed in range(60)])
    found = ops.convert_to_numpy(recolor(images, colors))
    orders = set()
    for seed, image in enumerate(images):
        expected, order = published_steps(image, strengths, np.random.default_rng(seed))
        orders.add(order)
        np.testing.assert_allclose(found[seed], expected, atol=2e-6)
    assert orders == set(itertools.permutations(range(3)))
    assert found.max() > 1  # Nothing is clipped.


def test_recolor_by_nothing():
    images = noise(6, 5)[None] / np.float32(255)
    np.testing.assert_array_equal(ops.convert_to_numpy(recolor(images, PLAIN_COLOR[None])), images)
    assert ops.shape(recolor(np.zeros((0, 4, 4, 3), np.float32), np.zeros((0, 6), np.float32))) == (0, 4, 4, 3)


@pytest.mark.parametrize("order", ["bgr", "rgb"])
def test_normalize(order):
    images = noise(4, 6)[None] / np.float32(255)
    mean, std = (0.1, 0.2, 0.3), (0.5, 1.0, 2.0)
    found = ops.convert_to_numpy(normalize(images, Normalization(mean, std, order)))
    for channel in range(3):
        source = images[..., 2 - channel if order == "bgr" else channel]
        np.testing.assert_allclose(found[..., channel], (source - mean[channel]) / std[channel], atol=1e-6)


def test_default_is_that_of_the_published_weights():
    """White and black of the official COCO models, in the order blue, green, red."""
    found = ops.convert_to_numpy(normalize(np.array([[[[1, 0.5, 0]]]], np.float32), Normalization()))
    expected = [(value - mean) / std for value, mean, std in zip((0, 0.5, 1), COCO_MEAN, COCO_STD)]
    np.testing.assert_allclose(found[0, 0, 0], expected, rtol=1e-5)
    black = ops.convert_to_numpy(normalize(np.zeros((1, 1, 1, 3), np.float32), Normalization()))
    np.testing.assert_allclose(black[0, 0, 0], [-1.41321, -1.63164, -1.69099], atol=1e-4)


def test_whole_image_has_the_same_matrix_in_training_and_inference():
    for height, width in ((480, 640), (97, 31), (64, 64)):
        matrix = plain_matrix(height, width, (96, 128))
        scale, left, top = affine.fixed_fit(height, width, (96, 128))
        np.testing.assert_allclose(matrix, [[scale, 0, left], [0, scale, top]], atol=1e-12)
