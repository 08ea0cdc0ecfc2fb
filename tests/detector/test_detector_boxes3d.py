"""A detector of 3D boxes: each image's own camera, and what does not go with depth."""

import warnings

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.detector.detector import Detector
from centernet_tf.errors import UsageError
from centernet_tf.geometry import affine
from centernet_tf.geometry import camera as geometry
from centernet_tf.geometry.camera import DEFAULT_CAMERA
from centernet_tf.model.card import InputCard, ModelCard

pytestmark = pytest.mark.usefixtures("eagerly")
DEPTH, DIMENSIONS, ALPHA = 12.5, (1.5, 1.7, 4.0), 0.4


def card_of(**settings):
    return ModelCard(
        tasks={"box3d": {"camera": DEFAULT_CAMERA.tolist(), **settings}},
        backbone="tiny",
        classes=("car", "truck"),
        max_objects=4,
        input=InputCard(height=64, width=128, stride=32),
    )


CARD = card_of()


class Planted(keras.Model):
    """Answers the same everywhere but in one cell of its heatmap, whatever it is shown."""

    def __init__(self, x, y, card=CARD):
        super().__init__()
        self.cell, self.sized = (x, y), card.tasks["box3d"]["size"]

    def call(self, images, training=False):
        batch, height, width, _ = ops.shape(images)
        row = ops.equal(ops.arange(height // 4), self.cell[1])[:, None, None]
        column = ops.equal(ops.arange(width // 4), self.cell[0])[None, :, None]
        here = ops.logical_and(ops.logical_and(row, column), ops.equal(ops.arange(2), 1))
        inverse = 1 / (DEPTH + 1) - 1e-6
        turn = [1, 0, 0, 0, 0, 1, np.sin(ALPHA - np.pi / 2), np.cos(ALPHA - np.pi / 2)]
        values = {
            "offset": (0.25, 0.75),
            "size": (3, 2),
            "depth": [np.log(inverse / (1 - inverse))],
            "rotation": turn,
            "dimensions": DIMENSIONS,
        }
        maps = {
            name: [ops.zeros((batch, height // 4, width // 4, len(value))) + np.float32(value)]
            for name, value in values.items()
            if self.sized or name != "size"
        }
        return {"heatmap": [ops.zeros((batch, height // 4, width // 4, 2)) + ops.where(here, 3.0, -9.0)], **maps}


def expected(size, camera, side=None):
    """Middle, location and rotation of the planted object in an image (width, height), step by step."""
    back = affine.invert(affine.fit_matrix((size[0] / 2, size[1] / 2), side or size[0], (64, 128)))
    u, v = affine.move_points(4 * np.array([5.25, 3.75]), back)
    p = np.float64(camera)
    x, y = (
        (pixel * (DEPTH + p[2, 3]) - p[axis, 3] - p[axis, 2] * DEPTH) / p[axis, axis]
        for axis, pixel in enumerate((u, v))
    )
    return (u, v), (x, y + DIMENSIONS[0] / 2, DEPTH), ALPHA + np.arctan2(u - p[0, 2], p[0, 0])


OTHER = np.float32([[200, 0, 90, -30], [0, 210, 40, 4], [0, 0, 1, 0.2]])


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("sized", [True, False], ids=["size", "no size"])
def test_every_image_has_its_own_camera(sized, flip):
    card = card_of(size=sized)
    detector = Detector(Planted(5, 3, card), card)
    detector = detector.with_options(flip=True) if flip else detector
    sizes, cameras = [(160, 90), (128, 64), (90, 160)], [OTHER, DEFAULT_CAMERA, None]
    images = [np.zeros((height, width, 3), np.uint8) for width, height in sizes]
    for found, size, camera in zip(detector(images, camera=cameras, threshold=0.4, batch_size=2), sizes, cameras):
        camera = DEFAULT_CAMERA if camera is None else camera
        middle, location, rotation = expected(size, camera)
        np.testing.assert_array_equal(found.extras["camera"], camera)
        # The mirror image has the object elsewhere, and no say in space.
        assert found.class_names == ["truck"] * (1 + flip)
        row = int(np.abs(found.fields["middles"] - middle).sum(axis=1).argmin())
        np.testing.assert_allclose(found.fields["middles"][row], middle, atol=1e-3)
        np.testing.assert_allclose(found.fields["locations"][row], location, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(found.fields["rotations"][row], rotation, atol=1e-4)
        np.testing.assert_allclose(found.fields["alphas"][row], ALPHA, atol=1e-5)
        np.testing.assert_allclose(found.fields["dimensions"][row], DIMENSIONS)
        if sized:
            side = np.array([12, 8]) * size[0] / 128
            np.testing.assert_allclose(found.boxes[row, 2:] - found.boxes[row, :2], side, rtol=1e-4)
        else:
            parts = (found.fields[name] for name in ("locations", "dimensions", "rotations"))
            pixels = geometry.project(geometry.corners(*parts), camera)[row]
            np.testing.assert_allclose(found.boxes[row], [*pixels.min(axis=0), *pixels.max(axis=0)], rtol=1e-4)


@pytest.mark.parametrize(
    ("tasks", "side"),
    [
        ({"box3d": {}}, 90),
        ({"box3d": {"window": "longer side"}}, 160),
        ({"box3d": {}, "detect": {}}, 160),
    ],
    ids=str,
)
def test_the_window_of_a_portrait_image(tasks, side):
    """Its width, as in the original; its longer side where the settings or another task want that."""
    box3d = {**CARD.tasks["box3d"], **tasks["box3d"]}
    detector = Detector(Planted(5, 3), CARD.model_copy(update={"tasks": {**tasks, "box3d": box3d}}))
    image = np.zeros((160, 90, 3), np.uint8)
    found = detector(image, camera=OTHER)
    middle, location, _ = expected((90, 160), OTHER, side)
    np.testing.assert_allclose(found.fields["middles"][0], middle, atol=1e-3)
    np.testing.assert_allclose(found.fields["locations"][0], location, rtol=1e-4, atol=1e-3)
    assert detector.tasks.window == ("width" if side == 90 else "longer side")


def test_one_camera_for_all_images():
    detector = Detector(Planted(5, 3), CARD)
    image = np.zeros((64, 128, 3), np.uint8)
    for camera in (OTHER, OTHER.tolist()):
        assert all((found.extras["camera"] == OTHER).all() for found in detector([image] * 3, camera=camera))
    np.testing.assert_array_equal(detector(image, camera=OTHER[:, :3]).extras["camera"][:, :3], OTHER[:, :3])
    np.testing.assert_array_equal(detector(image).extras["camera"], DEFAULT_CAMERA)


def test_cameras_travel_with_their_images():
    detector = Detector(Planted(5, 3), CARD)
    image = np.zeros((64, 128, 3), np.uint8)
    mixed = detector.stream([(image, {"camera": OTHER}), image, (image, {"camera": None})], batch_size=2)
    for found, camera in zip(mixed, (OTHER, DEFAULT_CAMERA, DEFAULT_CAMERA)):
        np.testing.assert_array_equal(found.extras["camera"], camera)
    entries = [(number, image, {"camera": OTHER * number}) for number in (1, 2)]
    keys = [key for key, _, _ in detector.search(entries)]
    assert keys == [1, 2]


def test_what_is_refused(spot_network, spot_card):
    image = np.zeros((64, 128, 3), np.uint8)
    detector = Detector(Planted(5, 3), CARD)
    assert [extra.name for extra in detector.extras] == ["camera"]
    for count in (2, 4):
        with pytest.raises(UsageError, match=f"{count} values of camera for 3 images"):
            detector([image] * 3, camera=[OTHER] * count)
    with pytest.raises(UsageError, match=r"Unknown 'cameras'\. Did you mean 'camera'"):
        detector(image, cameras=OTHER)
    with pytest.raises(UsageError, match="needs camera of each image, its file has no usual one"):
        Detector(Planted(5, 3), card_of(camera=None))(image)
    with pytest.raises(UsageError, match="takes nothing beside images"):
        Detector(spot_network, spot_card)(image, camera=OTHER)
    with pytest.raises(ValueError, match="A camera is 3x4"):
        detector(image, camera=OTHER[:2])
    for options in ({"scales": (0.5, 1)}, {"tile": (64, 64)}):
        with pytest.raises(UsageError, match=r"needs the camera of each image as it is.*Leave tile and scales out"):
            detector.with_options(**options)


def test_another_scale_warns():
    detector = Detector(Planted(5, 3), CARD)
    height, width = CARD.input.height, CARD.input.width
    for size in ((height, 2 * width), None):
        with pytest.warns(UserWarning, match="tells by camera was learnt from inputs 128 pixels wide"):
            detector.with_input(size)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector.with_input((2 * height, width))
