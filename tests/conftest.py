"""A network that needs no training: it finds red and green spots."""

import keras
import numpy as np
import pytest

from centernet_tf.model_file import InputCard, ModelCard, save_model

COLORS = np.array([[255, 0, 0], [0, 255, 0]])


@pytest.fixture(scope="session")
def spot_card():
    """Card of the spot network: fixed inputs of 128x128, pixels as they are."""
    plain = InputCard(height=128, width=128, stride=32, mean=(0, 0, 0), std=(1, 1, 1), order="rgb")
    return ModelCard(
        tasks=("detect",), backbone="mobilenetv2_fpn", classes=("red", "green"), max_objects=20, input=plain
    )


@pytest.fixture(scope="session")
def spot_network():
    """Scores a cell by its mean colour; every object lies in the middle of its cell and is 8 x 6 cells large."""
    image = keras.Input((None, None, 3), name="image")
    mean = keras.layers.AveragePooling2D(4)(image)
    heads = {name: keras.layers.Conv2D(2, 1, name=name) for name in ("heatmap", "offset", "size")}
    network = keras.Model(image, {name: [layer(mean)] for name, layer in heads.items()})
    color = np.array([[16, -16], [-16, 16], [-16, -16]], np.float32)
    heads["heatmap"].set_weights([color[None, None], np.array([-6, -6], np.float32)])
    for name, value in (("offset", (0.5, 0.5)), ("size", (8, 6))):
        heads[name].set_weights([np.zeros((1, 1, 3, 2)), np.array(value)])
    return network


@pytest.fixture(scope="session")
def spot_model(tmp_path_factory, spot_network, spot_card):
    """The spot network as a model file."""
    path = tmp_path_factory.mktemp("model") / "spots.keras"
    save_model(path, spot_network, spot_card)
    return path


@pytest.fixture(scope="session")
def draw_spots():
    """Function (width, height, *(x, y, class)) -> [H, W, 3] uint8 RGB, black with soft spots."""

    def spots(width, height, *centers):
        y, x = np.mgrid[:height, :width]
        image = np.zeros((height, width, 3))
        for left, top, kind in centers:
            reach = max(width, height) / 16
            image += np.exp(-((x - left) ** 2 + (y - top) ** 2) / (2 * reach**2))[..., None] * COLORS[kind]
        return image.clip(0, 255).astype(np.uint8)

    return spots
