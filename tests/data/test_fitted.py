"""Fitted images, turned and sheared as FairMOT does: its own numbers, slow twins, and pixels beside their boxes."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centernet_tf.data.augment import Augmentation, recolored
from centernet_tf.data.augment_settings import AugmentSettings
from centernet_tf.data.dataset import open_dataset
from centernet_tf.data.fitted import Shake, fitted_matrices, letterboxed, shaken_boxes, worth_learning
from centernet_tf.data.pipeline import Feed
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import UsageError
from centernet_tf.geometry import affine
from centernet_tf.properties.fields import ROTATED, SHARED

GOLDEN = Path(__file__).parents[1] / "golden" / "tracking" / "target_fm__augmented.npz"
FAIRMOT = {"geometry": "fitted", "crop": False, "rotate": 5, "shear": 2, "shift": 0.1, "scales": (0.5, 1.2)}
COLORLESS = {"brightness": 0, "contrast": 0, "saturation": 0, "lighting": 0}
SIZE = (96, 128)


@pytest.fixture(scope="module")
def golden():
    stored = np.load(GOLDEN)
    return {**stored, "meta": json.loads(bytes(stored["meta"]))}


def pixels_of(labels, width, height):
    """Boxes [N, 4] in pixels of labels [N, 6], in fractions."""
    sides = [width, height]
    middle, half = labels[:, 2:4] * sides, labels[:, 4:] * sides / 2
    return np.concatenate([middle - half, middle + half], axis=1)


def shake_of(draws, size):
    height, width = size
    return Shake(
        angle=10 * draws["angle"] - 5,
        scale=0.5 + 0.7 * draws["scale"],
        shift=((2 * draws["translate_x"] - 1) * 0.1 * height, (2 * draws["translate_y"] - 1) * 0.1 * width),
        shear=(4 * draws["shear_x"] - 2, 4 * draws["shear_y"] - 2),
        mirrored=draws["flip"] > 0.5,
    )


def test_labels_are_those_of_fairmot(golden):
    (width, height), (w, h) = golden["meta"]["picture_wh"], golden["meta"]["input_wh"]
    boxes = pixels_of(golden["labels_file"], width, height)
    fitted = fitted_matrices(Shake(), height, width, (h, w))[1]
    np.testing.assert_allclose(shaken_boxes(boxes, fitted, 0), golden["labels_letterboxed"][:, 2:], atol=1e-4)
    shake = shake_of(golden["meta"]["draws"], (h, w))
    np.testing.assert_allclose(shake.matrix((h, w)), golden["warp"][:2], atol=1e-10)
    moved = shaken_boxes(boxes, fitted_matrices(shake, height, width, (h, w))[1], shake.angle)
    ratio = min(h / height, w / width)
    kept = worth_learning(moved, np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) * ratio**2, (h, w))
    np.testing.assert_array_equal(golden["labels_file"][kept, 1], golden["labels"][:, 1])
    np.testing.assert_allclose(moved[kept] / [w, h, w, h], pixels_of(golden["labels"], 1, 1), atol=1e-6)


class Fixed:
    """A source of chance that gives what was drawn, in the order that `Augmentation.shake` asks."""

    def __init__(self, draws):
        shift = [1 - draws["translate_x"], 1 - draws["translate_y"]]
        self.draws = [draws["angle"], [draws["shear_x"], draws["shear_y"]], [1 - one for one in shift], draws["scale"]]
        self.flip = draws["flip"]

    def uniform(self, low, high, size=None):
        found = low + (high - low) * np.array(self.draws.pop(0))
        assert found.shape == (() if size is None else (size,))
        return found

    def random(self):
        return 1 - self.flip


def test_settings_draw_what_fairmot_draws(golden):
    size = golden["meta"]["input_wh"][::-1]
    drawn = Augmentation(**FAIRMOT).shake(Fixed(golden["meta"]["draws"]), size)
    expected = shake_of(golden["meta"]["draws"], size)
    assert drawn.mirrored == expected.mirrored
    np.testing.assert_allclose(drawn.matrix(size), expected.matrix(size), atol=1e-10)


def test_defaults_change_nothing():
    assert AugmentSettings().model_dump() == vars(Augmentation())
    assert not Augmentation().fits and Augmentation().fault(True) == ""
    random = np.random.default_rng(3)
    before = random.bit_generator.state
    np.testing.assert_array_equal(Augmentation().vivid(random), [1, 1])
    assert random.bit_generator.state == before


def test_the_most_is_the_most():
    shakes = [Augmentation(**FAIRMOT).shake(np.random.default_rng(seed), SIZE) for seed in range(2000)]
    limits = {"angle": (-5, 5), "scale": (0.5, 1.2)}
    for name, (low, high) in limits.items():
        found = np.array([getattr(one, name) for one in shakes])
        assert low <= found.min() < low + 0.02 * (high - low) and high - 0.02 * (high - low) < found.max() <= high
        assert found.std() == pytest.approx((high - low) / np.sqrt(12), rel=0.05)
    shifts, shears = (np.abs([getattr(one, name) for one in shakes]).max(axis=0) for name in ("shift", "shear"))
    np.testing.assert_allclose(shifts, [0.1 * SIZE[0], 0.1 * SIZE[1]], rtol=0.02)  # swapped, as in the original
    np.testing.assert_allclose(shears, 2, rtol=0.02)
    assert np.mean([one.mirrored for one in shakes]) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("box", "area", "kept"),
    [
        ((0, 0, 5, 5), 25, True),
        ((0, 0, 4, 5), 20, False),
        ((0, 0, 5, 5), 250, False),
        ((0, 0, 5, 5), 249, True),
        ((0, 0, 50, 5), 250, False),
        ((0, 0, 49.9, 5), 250, True),
        ((0, 0, 5, 50), 250, False),
        ((-9, 0, 0, 9), 81, False),
        ((-9, 0, 0.1, 9), 81, True),
        ((128, 0, 137, 9), 81, False),
        ((127.9, 0, 137, 9), 82, True),
        ((0, 96, 9, 105), 81, False),
        ((0, -9, 9, 0), 81, False),
        ((-100, -100, 300, 300), 160_000, True),
    ],
)
def test_which_boxes_are_kept(box, area, kept):
    assert worth_learning(np.array([box], np.float64), np.array([area]), SIZE).tolist() == [kept]


def test_no_boxes():
    none = np.zeros((0, 4), np.float32)
    assert shaken_boxes(none, Shake().matrix(SIZE), 3).shape == (0, 4)
    assert worth_learning(none, np.zeros(0), SIZE).shape == (0,)


shakes = st.builds(
    Shake,
    st.floats(-90, 90),
    st.floats(0.5, 1.2),
    st.tuples(*[st.floats(-20, 20)] * 2),
    st.tuples(*[st.floats(-10, 10)] * 2),
    st.booleans(),
)


@settings(max_examples=100, deadline=None)
@given(shakes, st.integers(1, 400), st.integers(1, 400), st.tuples(*[st.floats(-1, 2)] * 4))
def test_pixels_and_boxes_move_together(shake, height, width, corners):
    pixels, boxes = fitted_matrices(shake, height, width, SIZE)
    # The middle of the first pixel lies at 0.5 of the boxes. Padding and rounded sides differ by half a pixel each.
    point = (np.array(corners[:2]) * [width, height]).clip(0, [width, height])
    away = affine.move_points(point - 0.5, pixels) + 0.5 - affine.move_points(point, boxes)
    assert np.abs(away).max() <= 2.5
    box = np.array([[*np.minimum(corners[:2], corners[2:]), *np.maximum(corners[:2], corners[2:])]])
    found = shaken_boxes(box, boxes, shake.angle)[0]
    # A slow twin: corner by corner.
    all_corners = [boxes[:, :2] @ [box[0, x], box[0, y]] + boxes[:, 2] for x in (0, 2) for y in (1, 3)]
    low, high = np.min(all_corners, axis=0), np.max(all_corners, axis=0)
    turn = np.deg2rad(shake.angle)
    factor = max(abs(np.sin(turn)), abs(np.cos(turn))) ** 0.5
    np.testing.assert_allclose((found[:2] + found[2:]) / 2, (low + high) / 2, atol=1e-6)
    np.testing.assert_allclose(found[2:] - found[:2], (high - low) * factor, atol=1e-6)


def test_the_letterbox_is_that_of_fairmot():
    with np.load(GOLDEN.with_name("preprocess_fm__wide.npz")) as file:
        picture, expected = file["picture"], file["out_image"] * 255
    size = expected.shape[:2]
    plain = fitted_matrices(Shake(), *picture.shape[:2], size)[0]
    found, rest = letterboxed(picture[..., ::-1], plain, size, 127.5)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_array_equal(rest, np.eye(2, 3))


@settings(max_examples=50, deadline=None)
@given(shakes, st.integers(1, 400), st.integers(1, 400))
def test_what_is_left_of_a_matrix_goes_on_from_the_letterbox(shake, height, width):
    size = (96, 128)
    image = np.zeros((height, width, 3), np.uint8)
    whole = fitted_matrices(shake, height, width, size)[0]
    found, rest = letterboxed(image, whole, size, 127.5)
    assert found.shape == (*size, 3)
    corners = np.array([[0.0, 0], [width, 0], [0, height], [width, height]])
    plain = fitted_matrices(Shake(), height, width, size)[0]
    both = affine.move_points(affine.move_points(corners, plain), rest)
    # What would move the input by less than a pixel is left out.
    assert np.abs(both - affine.move_points(corners, whole)).max() < (1.5 if (rest == np.eye(2, 3)).all() else 1e-6)


def test_a_letterboxed_image_is_seen_in_training_and_validation(bright):
    feed = Feed(SIZE, max_objects=4, fill=127.5, resample="area", window="whole image")
    still = Augmentation(**{**FAIRMOT, "rotate": 0, "shear": 0, "shift": 0, "scales": (1, 1)}, **COLORLESS, flip=0)
    picture = np.full((120, 200, 3), 60, np.uint8)
    picture[40:80, 70:130] = 250
    expected = np.full((*SIZE, 3), 128)
    expected[9:86] = cv2.resize(picture, (128, 77), interpolation=cv2.INTER_AREA)
    for batches in (feed.validation(bright, 1), feed.training(bright, 1, still).take(2)):
        for inputs, _ in batches.as_numpy_iterator():
            np.testing.assert_array_equal(inputs["image"][0], expected)


def test_a_letterboxed_image_is_shaken_where_its_box_is(bright):
    feed = Feed(SIZE, max_objects=4, fields=(*SHARED, ROTATED), fill=127.5, resample="area")
    for inputs, rows in feed.training(bright, 1, Augmentation(**FAIRMOT, **COLORLESS)).take(10).as_numpy_iterator():
        ys, xs = np.nonzero(inputs["image"][0, ..., 0] > 180)
        found = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
        assert np.abs(found - rows["boxes"][0, 0].clip(0, [SIZE[1], SIZE[0]] * 2)).max() <= 2.5


def test_colours_are_scaled_in_hsv():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
    there_and_back = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV), cv2.COLOR_HSV2RGB)
    np.testing.assert_array_equal(recolored(pixels, np.ones(2, np.float32)), there_and_back)
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV).astype(int)
    for place, factors in ((1, (0.6, 1)), (2, (1, 1.4))):
        hand = hsv.copy()
        hand[..., place] = [
            [min(int(np.float32(v) * np.float32(max(factors) if place == 2 else 0.6)), 255) for v in row]
            for row in hsv[..., place]
        ]
        expected = cv2.cvtColor(hand.astype(np.uint8), cv2.COLOR_HSV2RGB)
        np.testing.assert_array_equal(recolored(pixels, np.array(factors, np.float32)), expected)
    drawn = np.array(
        [Augmentation(hsv_saturation=0.5, hsv_value=0.2).vivid(np.random.default_rng(seed)) for seed in range(500)]
    )
    np.testing.assert_allclose(drawn.min(axis=0), [0.5, 0.8], atol=0.01)
    np.testing.assert_allclose(drawn.max(axis=0), [1.5, 1.2], atol=0.01)


@pytest.fixture(scope="module")
def bright(tmp_path_factory):
    """A grey image with a bright rectangle that has a box, and a tiny box beside it."""
    folder = tmp_path_factory.mktemp("bright")
    image = np.full((120, 200, 3), 60, np.uint8)
    image[40:80, 70:130] = 250
    boxes = np.array([[70, 40, 130, 80], [2, 2, 6, 6]], float)
    items = [Item(f"{n}", n, image, f"{n}.png", boxes, [0, 0]) for n in range(2)]
    write_records(items, directory=folder, name="bright", split="train", classes=("thing",))
    return open_dataset(folder)


def test_what_is_seen_is_where_its_box_is(bright):
    augment = Augmentation(**FAIRMOT, **COLORLESS)
    feed = Feed(SIZE, max_objects=4, fields=(*SHARED, ROTATED), fill=127.5)
    beyond = 0
    for inputs, rows in feed.training(bright, 1, augment).take(20).as_numpy_iterator():
        assert rows["valid"][0].tolist() == [True, False, False, False] and not rows["rotated"][0]
        ys, xs = np.nonzero(inputs["image"][0, ..., 0] > 180)
        found = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
        wanted = rows["boxes"][0, 0].clip(0, [SIZE[1], SIZE[0]] * 2)
        assert np.abs(found - wanted).max() <= 2.5, (found, wanted)
        beyond += (np.abs(inputs["image"][0].astype(int) - 127.5) < 1).mean() > 0.1
    assert beyond > 10


def test_colours_of_batches(bright):
    augment = Augmentation(**FAIRMOT, **COLORLESS, hsv_value=0.5)
    feed = Feed(SIZE, max_objects=4)
    brightest = [inputs["image"].max() for inputs, _ in feed.training(bright, 1, augment).take(12).as_numpy_iterator()]
    assert len(set(brightest)) > 3 and min(brightest) < 220


@pytest.mark.parametrize(
    ("changes", "device_warp", "message"),
    [
        ({**FAIRMOT, "crop": True}, False, "augment.crop: a fitted image is not cropped"),
        ({"shear": 1.0}, False, "augment.shear: windows are not sheared"),
        ({**FAIRMOT, "scales": (1.2, 0.5)}, False, "augment.scales: 1.2 to 0.5"),
        (FAIRMOT, True, "the device does not rotate"),
    ],
)
def test_settings_that_contradict_each_other(changes, device_warp, message):
    with pytest.raises(UsageError, match=message):
        Feed(SIZE, device_warp=device_warp).check_augment(Augmentation(**changes))
    Feed(SIZE).check_augment(Augmentation(**FAIRMOT))
    with pytest.raises(UsageError, match=r"data\.fill: the device fills with black"):
        Feed(SIZE, device_warp=True, fill=127.5).check_augment(Augmentation())
    with pytest.raises(UsageError, match=r"data\.resample: the device has no 'area'"):
        Feed(SIZE, device_warp=True, resample="area").check_augment(Augmentation())
    with pytest.raises(UsageError, match=r"data\.resample: images are stretched here, without 'area'"):
        Feed(SIZE, window="stretched", resample="area").check_augment(Augmentation(geometry="stretched"))
