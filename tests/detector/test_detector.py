"""Every way into the detector, and the way back into the pixels of the image."""

import cv2
import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.detector.detector import Detector, as_image, load
from centernet_tf.errors import DataError, UsageError
from centernet_tf.geometry import affine
from centernet_tf.media.draw import save_image

pytestmark = pytest.mark.usefixtures("eagerly")
SIZES = [(97, 61), (61, 97), (640, 480), (40, 40), (300, 20), (7, 250), (1, 1), (128, 96)]  # width, height


class Planted(keras.Model):
    """Answers the same everywhere but in one cell, whatever it is shown."""

    def __init__(self, x, y, kind=0, offset=(0.25, 0.75), size=(3.0, 2.0)):
        super().__init__()
        self.x, self.y, self.kind, self.offset, self.size = x, y, kind, offset, size

    def call(self, images, training=False):
        batch, height, width, _ = ops.shape(images)
        row = ops.equal(ops.arange(height // 4), self.y)[:, None, None]
        column = ops.equal(ops.arange(width // 4), self.x)[None, :, None]
        here = ops.logical_and(ops.logical_and(row, column), ops.equal(ops.arange(2), self.kind))
        zeros = ops.zeros((batch, height // 4, width // 4, 2))
        return {
            "heatmap": [zeros + ops.where(here, 3.0, -9.0)],
            "offset": [zeros + ops.convert_to_tensor(self.offset)],
            "size": [zeros + ops.convert_to_tensor(self.size)],
        }


@pytest.fixture
def noise():
    random = np.random.default_rng(3)
    return lambda width, height: random.integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def detector(spot_network, spot_card):
    return Detector(spot_network, spot_card)


def fit(detector, image):
    """The input of one image in 0..255, and its [2, 3] matrix."""
    inputs = detector.pack([image])
    fitted, numbers = detector.graph.fit_images(inputs["images"], inputs["sizes"])
    scale_x, scale_y, left, top = ops.convert_to_numpy(numbers)[0].astype(float)
    return ops.convert_to_numpy(fitted[0]) * 255, np.array([[scale_x, 0, left], [0, scale_y, top]])


def slow_warp(image, matrix, size):
    """One pixel at a time: bilinear, black outside."""
    height, width = image.shape[:2]
    target = np.zeros((*size, 3))
    for row in range(size[0]):
        for column in range(size[1]):
            x, y = (np.array([column, row]) - matrix[:, 2]) / matrix.diagonal()
            left, top = int(np.floor(x)), int(np.floor(y))
            for v, u in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
                if 0 <= v < height and 0 <= u < width:
                    target[row, column] += image[v, u] * (1 - abs(x - u)) * (1 - abs(y - v))
    return target


@pytest.mark.parametrize("input_size", [(64, 64), (64, 128), (96, 32)])
@pytest.mark.parametrize("size", SIZES)
def test_fit_is_the_warp_of_the_published_matrix(detector, noise, size, input_size):
    image = noise(*size)
    fitted, matrix = fit(detector.with_input(input_size), image)
    expected = affine.fit_matrix((size[0] / 2, size[1] / 2), max(size), input_size)
    np.testing.assert_allclose(matrix, expected, atol=1e-4)
    twin = slow_warp(image, expected, input_size)
    # Where a coordinate of float32 falls on the other side of the image's edge, half a grey level may come or go.
    np.testing.assert_allclose(fitted, twin, atol=0.02)
    if int(cv2.__version__.split(".")[0]) >= 5:  # Version 4 rounds its weights to 1/32.
        warped = cv2.warpAffine(image, expected, input_size[::-1], flags=cv2.INTER_LINEAR)
        assert np.abs(fitted - warped).max() <= 1


def test_published_matrix_of_640_by_480(detector, noise):
    _, matrix = fit(detector.with_input((512, 512)), noise(640, 480))
    np.testing.assert_allclose(matrix, [[0.8, 0, 0], [0, 0.8, 64]], atol=1e-6)


@pytest.mark.parametrize(
    ("stride", "size", "padded", "shift"),
    [
        (32, (640, 480), (672, 512), (16, 16)),
        (128, (640, 480), (768, 512), (64, 16)),
        (32, (512, 512), (544, 544), (16, 16)),
        (32, (31, 33), (32, 64), (1, 16)),
        (32, (1, 1), (32, 32), (16, 16)),
    ],
)
def test_kept_resolution_only_pads(spot_network, spot_card, noise, stride, size, padded, shift):
    card = spot_card.input.model_copy(update={"mode": "keep", "stride": stride})
    image = noise(*size)
    fitted, matrix = fit(Detector(spot_network, spot_card.model_copy(update={"input": card})), image)
    assert fitted.shape == (*padded[::-1], 3)
    np.testing.assert_allclose(matrix, [[1, 0, shift[0]], [0, 1, shift[1]]])
    left, top = shift
    np.testing.assert_allclose(fitted[top : top + size[1], left : left + size[0]], image, atol=1e-4)
    assert fitted.sum() == pytest.approx(image.sum(dtype=float), rel=1e-5)


@pytest.mark.parametrize("fill", [0.0, 90.0, 127.5])
def test_kept_resolution_is_padded_with_the_grey_of_the_card(spot_network, spot_card, noise, fill):
    """Also halves of a level, and around each image of a batch alike; nothing of the image changes."""
    card = spot_card.input.model_copy(update={"mode": "keep", "fill": fill})
    detector = Detector(spot_network, spot_card.model_copy(update={"input": card}))
    images = [noise(100, 70), noise(100, 70)]
    inputs = detector.pack(images)
    fitted, numbers = detector.graph.fit_images(inputs["images"], inputs["sizes"])
    expected = np.full((2, 96, 128, 3), fill)
    expected[:, 13:83, 14:114] = images
    np.testing.assert_allclose(ops.convert_to_numpy(fitted) * 255, expected, atol=1e-4)
    np.testing.assert_allclose(ops.convert_to_numpy(numbers), [[1, 1, 14, 13]] * 2)


@pytest.mark.parametrize("input_size", [(64, 64), (96, 32)])
def test_images_are_scaled_as_the_card_says(spot_network, spot_card, noise, input_size):
    """Also where the window cuts them, and alike in a batch of several sizes in the compiled graph."""
    card = spot_card.input.model_copy(update={"resample": "area", "fill": 40.0})
    detector = Detector(spot_network, spot_card.model_copy(update={"input": card})).with_input(input_size)
    images = [noise(*size) for size in ((97, 61), (40, 70), (300, 20))]
    for image in images:
        fitted, matrix = fit(detector, image)
        height, width = (max(round(side * matrix[0, 0]), 1) for side in image.shape[:2])
        top, left = (round((whole - side) / 2 - 0.1) for whole, side in zip(input_size, (height, width)))
        scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        expected = np.full((input_size[0] + 300, input_size[1] + 300, 3), 40.0)  # some windows cut
        expected[150 + top : 150 + top + height, 150 + left : 150 + left + width] = scaled
        assert np.abs(fitted - expected[150:-150, 150:-150]).max() <= 1 + 1e-4
    found, alone = detector(images, batch_size=len(images))[1], detector(images[1])
    np.testing.assert_allclose(found.boxes, alone.boxes, atol=1e-3)
    np.testing.assert_allclose(found.scores, alone.scores, atol=1e-5)


@pytest.mark.parametrize("input_size", [(128, 128), (64, 160), None])
@pytest.mark.parametrize("size", [(640, 480), (33, 95), (128, 128)])
def test_planted_object_comes_back_to_its_pixels(spot_card, noise, size, input_size):
    detector = Detector(Planted(5, 3, kind=1), spot_card).with_input(input_size)
    image = noise(*size)
    found = detector(image)
    _, matrix = fit(detector, image)
    corners = 4 * np.array([[5.25 - 1.5, 3.75 - 1], [5.25 + 1.5, 3.75 + 1]])
    expected = affine.move_points(corners, affine.invert(matrix)).reshape(1, 4)
    np.testing.assert_allclose(found.boxes, expected, atol=1e-3)
    assert (found.classes.tolist(), found.image_size) == ([1], size)
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp(-3)), rtol=1e-5)


@pytest.mark.parametrize("size", [(256, 192), (100, 300), (128, 128)])
def test_a_spot_is_found_where_it_is(detector, draw_spots, size):
    x, y = size[0] * 0.3, size[1] * 0.6
    found = detector(draw_spots(*size, (x, y, 1)))
    assert found.class_names == ["green"]
    cell = 4 * max(size) / 128
    np.testing.assert_allclose((found.boxes[0, :2] + found.boxes[0, 2:]) / 2, (x, y), atol=cell)
    np.testing.assert_allclose(found.boxes[0, 2:] - found.boxes[0, :2], (8 * cell, 6 * cell), rtol=1e-4)


def test_nothing_in_a_black_image(detector):
    found = detector(np.zeros((50, 70, 3), np.uint8))
    assert (len(found), found.image_size, found.names) == (0, (70, 50), ("red", "green"))


def test_no_images(detector):
    assert detector([]) == []
    assert list(detector.stream([])) == []


@pytest.mark.parametrize("input_size", [(128, 128), None])
@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_batches_give_what_single_images_give(detector, draw_spots, input_size, batch_size):
    detector = detector.with_input(input_size)
    sizes = [(90, 70), (200, 64), (200, 64), (64, 200), (33, 33), (90, 70)]
    images = [draw_spots(*size, (size[0] / 2, size[1] / 3, index % 2)) for index, size in enumerate(sizes)]
    together = detector(images, threshold=0.1, batch_size=batch_size)
    assert len(together) == len(images)
    for image, found in zip(images, together):
        alone = detector(image, threshold=0.1)
        assert len(alone) and found.image_size == image.shape[1::-1]
        np.testing.assert_allclose(found.boxes, alone.boxes, atol=1e-3)
        np.testing.assert_allclose(found.scores, alone.scores, atol=1e-5)
        assert found.classes.tolist() == alone.classes.tolist()


def test_files_bytes_and_arrays_give_the_same(detector, draw_spots, tmp_path):
    image = draw_spots(96, 64, (30, 40, 0), (70, 20, 1))
    path = tmp_path / "spots.png"
    save_image(path, image)
    for source in (path, str(path), path.read_bytes(), image):
        found = detector(source)
        assert sorted(found.class_names) == ["green", "red"]
    assert [len(found) for found in detector(np.stack([image, image]))] == [2, 2]
    assert [len(found) for found in detector([path, image])] == [2, 2]


def test_streams_read_only_what_they_need(detector, draw_spots):
    taken = []

    def images():
        for number in range(100):
            taken.append(number)
            yield draw_spots(64, 64, (32, 32, 0))

    next(iter(detector.stream(images(), batch_size=2)))
    assert len(taken) <= 3


def test_a_search_gives_keys_and_images_back(detector, draw_spots, tmp_path):
    images = [draw_spots(64, 64), draw_spots(96, 64, (30, 40, 0)), draw_spots(96, 64, (30, 40, 0), (70, 20, 1))]
    path = tmp_path / "a.png"
    save_image(path, images[1])
    entries = [("none", images[0], {}), ("one", path, {}), ("two", images[2], {})]
    came = list(detector.search(iter(entries), batch_size=2))
    assert [(key, len(found)) for key, _, found in came] == [("none", 0), ("one", 1), ("two", 2)]
    for image, (_, seen, found) in zip(images, came):
        np.testing.assert_array_equal(seen, image)
        assert found.image_size == image.shape[1::-1]
    assert list(detector.search([])) == []


def test_a_model_of_pixels_alone_takes_nothing_else(detector):
    image = np.zeros((64, 64, 3), np.uint8)
    assert (detector.extras, detector.properties) == ((), ())
    with pytest.raises(UsageError, match=r"Unknown 'lens'\. This model takes nothing beside images\. Leave out lens"):
        detector(image, lens=3)
    with pytest.raises(UsageError, match="takes nothing beside images"):
        list(detector.stream([(image, {"lens": 3})]))


def test_threshold(detector, draw_spots):
    image = draw_spots(128, 128, (64, 64, 0))
    every = detector(image, threshold=0)
    assert len(every) == 20
    assert (np.diff(every.scores) <= 0).all()
    assert (detector(image, threshold=0.5).scores > 0.5).all()
    assert len(detector(image, threshold=1)) == 0
    with pytest.raises(ValueError, match=r"threshold is 30, expected a score from 0 to 1"):
        detector(image, threshold=30)


def test_each_class_has_a_threshold_of_its_own_where_they_were_fitted(detector, draw_spots):
    image = draw_spots(64, 64, (20, 20, 0), (44, 40, 1))
    both = detector(image, threshold=0.5)
    red, green = (both.scores[both.classes == label].max() for label in (0, 1))
    assert set(detector(image, threshold=(1.0, 0.5)).classes) == {1}
    fitted = Detector(detector.network, detector.card.model_copy(update={"thresholds": (red - 0.01, green + 0.01)}))
    assert set(fitted(image).classes) == {0} and set(fitted(image, threshold=0.5).classes) == {0, 1}
    with pytest.raises(ValueError, match="or one for each class"):
        detector(image, threshold=(0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((8, 8, 3), np.float32), r"\(8, 8, 3\) of float32; an image is \[H, W, 3\] uint8"),
        (np.zeros((8, 8), np.uint8), r"\(8, 8\) of uint8"),
        (np.zeros((8, 8, 4), np.uint8), r"\(8, 8, 4\)"),
        (np.zeros((0, 8, 3), np.uint8), r"\(0, 8, 3\)"),
    ],
)
def test_arrays_that_are_no_image(detector, image, said):
    with pytest.raises(ValueError, match=said):
        as_image(image)
    with pytest.raises(ValueError, match="uint8"):
        detector([image])


def test_missing_file_is_named(detector, tmp_path):
    with pytest.raises(DataError, match=r"gone\.jpg: the image file does not exist"):
        detector(tmp_path / "gone.jpg")


@pytest.mark.parametrize("planted", [{"offset": (np.nan, 0)}, {"size": (np.inf, 1)}, {"x": np.nan}])
def test_diverged_network_is_no_empty_image(spot_card, planted):
    network = Planted(**{"x": 1, "y": 1, **planted})
    if "x" in planted:
        network.call = lambda images, training=False: {
            name: [images[:, ::4, ::4, :2] * np.nan] for name in ("heatmap", "offset", "size")
        }
    with pytest.raises(DataError, match="outputs are NaN or infinite: its training diverged"):
        Detector(network, spot_card)(np.zeros((64, 64, 3), np.uint8))


def test_a_wide_and_a_tall_image_do_not_share_a_batch(detector, draw_spots, monkeypatch):
    wide, tall = draw_spots(9000, 40, (4000, 20, 0)), draw_spots(40, 9000, (20, 4000, 1))
    plain = [draw_spots(64, 48, (30, 20, 0)), draw_spots(48, 64, (20, 30, 1))]
    alone = [detector(image) for image in (*plain, wide, tall, *plain)]
    shapes, run = [], detector.graph.predict_on_batch
    monkeypatch.setattr(
        detector.graph, "predict_on_batch", lambda inputs: shapes.append(inputs["images"].shape) or run(inputs)
    )
    for found, expected in zip(detector([*plain, wide, tall, *plain]), alone, strict=True):
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.05)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    assert max(map(np.prod, shapes)) <= 3 * 2**24 and sum(shape[0] for shape in shapes) == 6
    shapes.clear()
    detector(plain * 4)
    assert shapes == [(8, 64, 64, 3)]


def test_look_shows_input_and_heatmap(detector, draw_spots):
    image = draw_spots(256, 128, (128, 64, 1))
    seen, heatmap = detector.look(image)
    assert (seen.shape, seen.dtype, heatmap.shape) == ((128, 128, 3), np.uint8, (32, 32, 2))
    assert seen[64, 64].tolist() == [0, 255, 0]
    assert not seen[:31].any()
    assert np.unravel_index(heatmap[..., 1].argmax(), (32, 32)) in [(15, 15), (15, 16), (16, 15), (16, 16)]


def test_search_shows_what_it_finds_in(detector, draw_spots):
    images = [draw_spots(256, 128, (128, 64, 1)), draw_spots(64, 64, (20, 20, 0))]
    looks = []
    list(detector.stream(images, look=lambda *look: looks.append(look)))
    for image, (seen, heatmap) in zip(images, looks, strict=True):
        alone, expected = detector.look(image)
        np.testing.assert_allclose(seen.astype(int), alone.astype(int), atol=1)  # halves round either way
        np.testing.assert_allclose(heatmap, expected, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"flip": True},
        pytest.param({"scales": (0.5, 1, 1.5), "nms": True}, marks=pytest.mark.long),
        {"tile": (96, 128), "halo": 16},
    ],
)
def test_search_shows_one_heatmap_whatever_the_options(detector, draw_spots, options):
    """The network is symmetric and sees a cell alone, so mirrored images and tiles change nothing."""
    image, looks = draw_spots(256, 128, (128, 64, 1), (40, 100, 0)), []
    changed = detector.with_options(**options)
    found = list(changed.stream([image, image], threshold=0, look=lambda *look: looks.append(look)))
    assert len(looks) == 2
    for field in ("boxes", "scores"):
        np.testing.assert_allclose(getattr(found[0], field), getattr(changed(image, threshold=0), field), atol=1e-4)
    plain = detector.with_input(None) if "tile" in options else detector
    seen, heatmap = plain.look(image)
    np.testing.assert_array_equal(looks[1][0], seen)
    np.testing.assert_allclose(looks[1][1], heatmap, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "said"),
    [((500, 512), "size 500x512 is not a multiple of 32.*Try 512x512"), ((1, 65), "Try 32x64"), ((48, 80), "Try ")],
)
def test_input_sizes_must_fit_the_stride(detector, size, said):
    with pytest.raises(UsageError, match=said):
        detector.with_input(size)


def test_with_input_leaves_the_detector_alone(detector):
    assert detector.with_input(None).card.input.mode == "keep"
    changed = detector.with_input((64, 96))
    assert (changed.card.input.height, changed.card.input.width, changed.card.input.mode) == (64, 96, "fixed")
    assert changed.network is detector.network
    assert (detector.card.input.height, detector.card.input.mode) == (128, "fixed")


def test_load(spot_model, draw_spots):
    detector = load(spot_model)
    assert detector.names == ("red", "green")
    assert detector(draw_spots(64, 64, (20, 20, 0))).class_names == ["red"]
    with pytest.raises(UsageError, match=r"gone\.keras: no such model file"):
        load(spot_model.with_name("gone.keras"))
