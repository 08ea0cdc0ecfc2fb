"""Clients of a model of boxes in space: each picture with its camera, and the detector's answers."""

import io
import json

import keras
import numpy as np
import pytest
from PIL import Image

from centernet_tf.detector import Detector
from centernet_tf.geometry.camera import DEFAULT_CAMERA
from centernet_tf.model_file import InputCard, ModelCard
from centernet_tf.serving import load
from centernet_tf.serving.client import GrpcClient, RestClient

CARD = ModelCard(
    tasks=("box3d",),
    backbone="mobilenetv2_fpn",
    classes=("red", "green"),
    max_objects=6,
    camera=DEFAULT_CAMERA.tolist(),
    input=InputCard(height=64, width=96, stride=32),
)
OTHER = np.float32([[90, 0, 40, -30], [0, 100, 35, 4], [0, 0, 1, 0.2]])


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3), name="image")
    layer = keras.layers.Conv2D(16, 5, strides=4, padding="same", activation="relu")(image)
    return keras.Model(
        image, {head.name: [keras.layers.Conv2D(head.channels, 1)(layer)] for head in CARD.task_set().heads}
    )


def png(image) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()


def test_load_with_a_camera(network, rest, tmp_path, capsys):
    import tensorflow as tf

    from centernet_tf.export.savedmodel import export_savedmodel

    signatures = tf.saved_model.load(str(export_savedmodel((network, CARD), tmp_path / "spots"))).signatures
    (tmp_path / "a.png").write_bytes(png(np.random.default_rng(0).integers(0, 256, (60, 130, 3), np.uint8)))
    (tmp_path / "camera.yaml").write_text(f"camera: {OTHER.tolist()}")
    with rest(signatures) as server:
        asked = [f"http://127.0.0.1:{server.server_port}", "spots", str(tmp_path), "--requests=6", "--wrong=3"]
        assert load.main([*asked, f"--camera={tmp_path / 'camera.yaml'}"]) == 0
        summary = json.loads(capsys.readouterr().out)
        assert (summary["answered"], summary["refused"]) == (4, 2)
        with pytest.raises(SystemExit):
            load.main(asked)
        assert "camera" in capsys.readouterr().err


def test_each_picture_with_its_camera(network, rest, grpc_server, tmp_path):
    import tensorflow as tf

    from centernet_tf.export.savedmodel import export_savedmodel

    signatures = tf.saved_model.load(str(export_savedmodel((network, CARD), tmp_path / "spots"))).signatures
    picture = np.random.default_rng(0).integers(0, 256, (60, 130, 3), np.uint8)
    pictures, cameras = [png(picture)] * 2, [DEFAULT_CAMERA, OTHER]
    expected = Detector(network, CARD)([picture] * 2, cameras=cameras, threshold=0.4)
    with rest(signatures) as server, grpc_server(signatures) as address:
        for client in (
            RestClient(f"http://127.0.0.1:{server.server_port}", "spots", CARD.classes),
            GrpcClient(address, "spots", CARD.classes),
        ):
            found = client.predict(pictures, cameras=cameras, threshold=0.4)
            for ours, theirs in zip(found, expected):
                np.testing.assert_array_equal(ours.camera, theirs.camera)
                np.testing.assert_allclose(ours.solids, theirs.solids, rtol=1e-3, atol=1e-3)
            (one,) = client.predict(pictures[:1], cameras=OTHER.tolist(), threshold=0.4)
            np.testing.assert_allclose(one.solids, expected[1].solids, rtol=1e-3, atol=1e-3)
            with pytest.raises(ValueError, match="1 cameras for 2 pictures"):
                client.predict(pictures, cameras=[OTHER])
