"""A detector of boxes in space: each picture's own camera, and what does not go with depth."""

import warnings

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.detector import Detector
from centernet_tf.errors import UsageError
from centernet_tf.geometry import affine
from centernet_tf.geometry import camera as geometry
from centernet_tf.geometry.camera import DEFAULT_CAMERA
from centernet_tf.model_file import InputCard, ModelCard

DEPTH, DIMENSIONS, ALPHA = 12.5, (1.5, 1.7, 4.0), 0.4
CARD = ModelCard(
    tasks=("box3d",),
    backbone="mobilenetv2_fpn",
    classes=("car", "truck"),
    max_objects=4,
    camera=DEFAULT_CAMERA.tolist(),
    input=InputCard(height=64, width=128, stride=32),
)


class Planted(keras.Model):
    """Answers the same everywhere but in one cell of its heatmap, whatever it is shown."""

    def __init__(self, x, y, card=CARD):
        super().__init__()
        self.cell, self.sized = (x, y), card.box3d_size

    def call(self, images, training=False):
        batch, height, width, _ = ops.shape(images)
        row = ops.equal(ops.arange(height // 4), self.cell[1])[:, None, None]
        column = ops.equal(ops.arange(width // 4), self.cell[0])[None, :, None]
        here = ops.logical_and(ops.logical_and(row, column), ops.equal(ops.arange(2), 1))
        share = 1 / (DEPTH + 1) - 1e-6
        turn = [1, 0, 0, 0, 0, 1, np.sin(ALPHA - np.pi / 2), np.cos(ALPHA - np.pi / 2)]
        values = {
            "offset": (0.25, 0.75),
            "size": (3, 2),
            "depth": [np.log(share / (1 - share))],
            "rotation": turn,
            "dimensions": DIMENSIONS,
        }
        maps = {
            name: [ops.zeros((batch, height // 4, width // 4, len(value))) + np.float32(value)]
            for name, value in values.items()
            if self.sized or name != "size"
        }
        return {"heatmap": [ops.zeros((batch, height // 4, width // 4, 2)) + ops.where(here, 3.0, -9.0)], **maps}


def expected(size, camera):
    """Middle, location and rotation of the planted object in a picture (width, height), step by step."""
    back = affine.invert(affine.fit_matrix((size[0] / 2, size[1] / 2), max(size), (64, 128)))
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
def test_every_picture_has_its_own_camera(sized, flip):
    card = CARD.model_copy(update={"box3d_size": sized})
    detector = Detector(Planted(5, 3, card), card)
    detector = detector.with_options(flip=True) if flip else detector
    sizes, cameras = [(160, 90), (128, 64), (90, 160)], [OTHER, DEFAULT_CAMERA, None]
    pictures = [np.zeros((height, width, 3), np.uint8) for width, height in sizes]
    for found, size, camera in zip(detector(pictures, cameras=cameras, threshold=0.4, batch=2), sizes, cameras):
        camera = DEFAULT_CAMERA if camera is None else camera
        middle, location, rotation = expected(size, camera)
        np.testing.assert_array_equal(found.camera, camera)
        # The mirror image has the object elsewhere, and no say in space.
        assert found.class_names == ["truck"] * (1 + flip)
        row = int(np.abs(found.fields["middles"] - middle).sum(axis=1).argmin())
        np.testing.assert_allclose(found.fields["middles"][row], middle, atol=1e-3)
        np.testing.assert_allclose(found.fields["locations"][row], location, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(found.fields["rotations"][row], rotation, atol=1e-4)
        np.testing.assert_allclose(found.fields["alphas"][row], ALPHA, atol=1e-5)
        np.testing.assert_allclose(found.fields["dimensions"][row], DIMENSIONS)
        if sized:
            side = np.array([12, 8]) * max(size) / 128
            np.testing.assert_allclose(found.boxes[row, 2:] - found.boxes[row, :2], side, rtol=1e-4)
        else:
            parts = (found.fields[name] for name in ("locations", "dimensions", "rotations"))
            pixels = geometry.project(geometry.corners(*parts), camera)[row]
            np.testing.assert_allclose(found.boxes[row], [*pixels.min(axis=0), *pixels.max(axis=0)], rtol=1e-4)


def test_one_camera_for_all_pictures():
    detector = Detector(Planted(5, 3), CARD)
    picture = np.zeros((64, 128, 3), np.uint8)
    for camera in (OTHER, OTHER.tolist()):
        assert all((found.camera == OTHER).all() for found in detector([picture] * 3, cameras=camera))
    np.testing.assert_array_equal(detector(picture, cameras=OTHER[:, :3]).camera[:, :3], OTHER[:, :3])
    np.testing.assert_array_equal(detector(picture).camera, DEFAULT_CAMERA)


def test_what_is_refused(spot_network, spot_card):
    picture = np.zeros((64, 128, 3), np.uint8)
    detector = Detector(Planted(5, 3), CARD)
    for count in (2, 4):
        with pytest.raises(UsageError, match=f"{count} cameras for 3 pictures"):
            detector([picture] * 3, cameras=[OTHER] * count)
    with pytest.raises(UsageError, match="fewer cameras than pictures"):
        list(detector.stream([picture] * 3, cameras=iter([OTHER] * 2)))
    with pytest.raises(UsageError, match="has no camera"):
        Detector(Planted(5, 3), CARD.model_copy(update={"camera": None}))(picture)
    with pytest.raises(UsageError, match="needs no cameras"):
        Detector(spot_network, spot_card)(picture, cameras=OTHER)
    with pytest.raises(ValueError, match="A camera is 3x4"):
        detector(picture, cameras=OTHER[:2])
    for options in ({"scales": (0.5, 1)}, {"tile": (64, 64)}):
        with pytest.raises(UsageError, match="Leave tile and scales out"):
            detector.with_options(**options)


def test_another_scale_warns():
    detector = Detector(Planted(5, 3), CARD)
    height, width = CARD.input.height, CARD.input.width
    for size in ((height, 2 * width), None):
        with pytest.warns(UserWarning, match="objects look nearer or further"):
            detector.with_input(size)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector.with_input((2 * height, width))
