"""Several scales: the published geometry, spelled out with OpenCV, and what comes back."""

from fractions import Fraction

import cv2
import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf import preprocess
from centernet_tf.detector.detector import Detector
from centernet_tf.detector.scales import scaled_side
from centernet_tf.errors import DataError, UsageError
from centernet_tf.geometry import affine

pytestmark = pytest.mark.usefixtures("eagerly")
SIZES = [(96, 64), (61, 97), (40, 40), (5, 30), (1, 1)]  # width, height
SCALES = [0.5, 0.75, 1.25, 1.5]


def published_input(image, scale, input_size):
    """The original's steps: resize, then warp with the window of the image as it was. float32 in 0..255, [2, 3]."""
    height, width = image.shape[:2]
    new_height, new_width = max(int(height * scale), 1), max(int(width * scale), 1)
    resized = cv2.resize(image.astype(np.float32), (new_width, new_height), interpolation=cv2.INTER_LINEAR)
    if input_size is None:
        size = ((new_height | 31) + 1, (new_width | 31) + 1)
        matrix = affine.fit_matrix((new_width // 2, new_height // 2), size[1], size)
    else:
        size = input_size
        matrix = affine.fit_matrix((new_width / 2, new_height / 2), max(height, width), size)
    return resized, matrix, size


def slow_warp(image, matrix, size):
    """Bilinear, black outside; exact where OpenCV 4 rounds its weights."""
    padded = np.pad(image.astype(float), ((1, 1), (1, 1), (0, 0)))
    inverse = affine.invert(matrix)
    x = np.clip(inverse[0, 0] * np.arange(size[1]) + inverse[0, 2] + 1, 0, padded.shape[1] - 1)
    y = np.clip(inverse[1, 1] * np.arange(size[0]) + inverse[1, 2] + 1, 0, padded.shape[0] - 1)

    def between(values, position):
        first = np.minimum(position.astype(int), len(values) - 2)
        part = (position - first).reshape(-1, 1, 1)
        return values[first] * (1 - part) + values[first + 1] * part

    return between(between(padded, y).swapaxes(0, 1), x).swapaxes(0, 1)


@pytest.mark.parametrize(
    ("side", "scale", "expected"),
    [(640, 0.5, 320), (333, 0.75, 249), (333, 1.25, 416), (7, 0.7, 4), (10, 0.7, 7), (100, 0.29, 28), (1, 0.5, 1)],
)
def test_sides_are_cut_off_as_floats(side, scale, expected):
    fraction = Fraction(scale).limit_denominator(1000)
    assert scaled_side(side, fraction) == expected
    assert ops.convert_to_numpy(scaled_side(ops.convert_to_tensor([side], "int32"), fraction)).tolist() == [expected]


@pytest.mark.parametrize("scale", [0.25, 0.3, 0.5, 0.7, 0.75, 1.1, 1.25, 1.4, 1.5, 2.3])
def test_all_sides_are_pythons(scale):
    """int(side * scale) of Python's floats, where 70 * 0.7 is 48.99999999999999."""
    sides = np.arange(1, 5000, dtype=np.int32)
    fraction = Fraction(scale).limit_denominator(1000)
    expected = np.maximum((sides * scale).astype(int), 1)
    np.testing.assert_array_equal(ops.convert_to_numpy(scaled_side(ops.convert_to_tensor(sides), fraction)), expected)
    assert [scaled_side(int(side), fraction) for side in sides[:400]] == expected[:400].tolist()


@pytest.mark.parametrize("scale", SCALES)
def test_resize_is_opencvs(scale):
    random = np.random.default_rng(4)
    canvas, sizes = np.zeros((len(SIZES), 97, 96, 3), np.uint8), np.array(SIZES)[:, ::-1].astype(np.int32)
    for image, (height, width) in zip(canvas, sizes):
        image[:height, :width] = random.integers(0, 256, (height, width, 3))
    targets = np.maximum((sizes * scale).astype(np.int32), 1)
    resized = preprocess.resize(canvas, sizes, targets, (int(97 * scale), int(96 * scale)))
    for image, made, (height, width), (new_height, new_width) in zip(
        canvas, ops.convert_to_numpy(resized), sizes, targets
    ):
        twin = cv2.resize(image[:height, :width].astype(np.float32), (int(new_width), int(new_height)))
        np.testing.assert_allclose(made[:new_height, :new_width], twin, atol=0.02)
        assert not made[new_height:].any() and not made[:, new_width:].any()


@pytest.mark.parametrize("input_size", [(64, 64), (64, 96), None])
@pytest.mark.parametrize("scale", SCALES)
def test_inputs_are_the_published_ones(spot_network, spot_card, scale, input_size):
    detector = Detector(spot_network, spot_card).with_input(input_size)
    random = np.random.default_rng(7)
    for width, height in SIZES:
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        inputs = detector.pack([image])
        fraction = Fraction(scale).limit_denominator(1000)
        fitted, fit = detector.graph.fit_images(inputs["images"], inputs["sizes"], fraction)
        resized, matrix, size = published_input(image, scale, input_size)
        assert fitted.shape == (1, *size, 3)
        scale_x, scale_y, left, top = ops.convert_to_numpy(fit)[0]
        # Boxes go back through the published matrix, then are divided by the scale.
        expected = affine.chain(np.array([[scale, 0, 0], [0, scale, 0]]), matrix)
        np.testing.assert_allclose([[scale_x, 0, left], [0, scale_y, top]], expected, atol=1e-4)
        # A coordinate of float32 may fall on the other side of the image's edge.
        wrong = np.abs(ops.convert_to_numpy(fitted[0]) * 255 - slow_warp(resized, matrix, size)) > 0.05
        assert wrong.mean() < 0.01


@pytest.mark.parametrize("input_size", [pytest.param((128, 128), marks=pytest.mark.long), None])
def test_one_object_at_all_scales_is_one_object(spot_network, spot_card, draw_spots, input_size):
    image = draw_spots(120, 90, (50, 40, 1))
    detector = Detector(spot_network, spot_card).with_input(input_size)
    scales = (0.5, 1, 1.5)
    every = [detector.with_options(scales=(scale, scale + 0.01))(image, 0.1) for scale in scales]
    found = detector.with_options(scales=scales)(image, threshold=0.1)
    assert found.class_names[0] == "green"
    np.testing.assert_allclose((found.boxes[0, :2] + found.boxes[0, 2:]) / 2, (50, 40), atol=4)
    assert found.scores[0] == pytest.approx(max(one.scores[0] for one in every), abs=0.02)
    # Its boxes at the other scales overlap the best one, which lowers them.
    assert (found.scores[1:] < found.scores[0]).all()


def test_batches_and_a_single_scale(spot_network, spot_card, draw_spots):
    # All are padded to 128x128, so that the graph is traced for two batches and no more.
    images = [draw_spots(90, 70, (40, 30, 0)), draw_spots(70, 100, (20, 60, 1)), draw_spots(127, 66, (16, 16, 0))]
    detector = Detector(spot_network, spot_card).with_options(scales=(0.75, 1), flip=True)
    for image, found in zip(images, detector(images, threshold=0.05)):
        alone = detector(image, threshold=0.05)
        assert len(found)
        np.testing.assert_allclose(found.boxes, alone.boxes, atol=1e-3)
        np.testing.assert_allclose(found.scores, alone.scores, atol=1e-4)


@pytest.mark.parametrize("stale", [False, True])
def test_nms_for_one_scale(spot_network, spot_card, draw_spots, stale):
    detector = Detector(spot_network, spot_card)
    # Two spots of a class, closer than their boxes are large.
    image = draw_spots(128, 128, (50, 64, 0), (76, 64, 0))
    plain = detector(image, 0.05)
    merged = detector.with_options(nms=True, stale_rows=stale)(image, 0.05)
    assert plain.scores[0] == pytest.approx(merged.scores[0], rel=1e-5)
    assert merged.scores[1] < plain.scores[1] - 0.01
    assert len(detector.with_options(nms=True)(np.zeros((50, 70, 3), np.uint8))) == 0


def test_diverged_networks_stay_errors(spot_network, spot_card):
    network = keras.models.clone_model(spot_network)
    network.set_weights([value * np.nan for value in network.get_weights()])
    with pytest.raises(DataError, match="NaN"):
        Detector(network, spot_card).with_options(scales=(0.5, 1))(np.zeros((64, 64, 3), np.uint8))


def test_with_input_keeps_options(spot_network, spot_card):
    detector = Detector(spot_network, spot_card).with_options(flip=True).with_input((64, 96))
    assert detector.options.flip
    with pytest.raises(UsageError, match=r"Unknown option 'flp'\. Did you mean 'flip'"):
        detector.with_options(flp=True)
