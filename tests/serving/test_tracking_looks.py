"""A served model that recognises objects: the client associates what it answers, as the Python tracker does."""

import dataclasses
import io
import json

import keras
import numpy as np
import pytest
from PIL import Image

from centernet_tf.datasets.drawn import film
from centernet_tf.detector.detector import Detector
from centernet_tf.errors import DataError
from centernet_tf.exports.savedmodel import export_savedmodel
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.serving.client import GrpcClient, RestClient

NAMES = ("red", "green")


@pytest.fixture(scope="module")
def model():
    """A fresh network whose boxes have sides of some cells; it holds each cell for an object of probability 0.1."""
    keras.utils.set_random_seed(3)
    card = ModelCard(
        tasks={"reid": {"threshold": 0.05, "embedding": 6}},
        backbone="tiny",
        classes=NAMES,
        max_objects=8,
        ltrb=True,
        input=InputCard(height=64, width=96, stride=4),
    )
    tasks = card.task_set()
    network = build_network("tiny", tasks.heads, tasks.inputs, card.head_channels)
    (bias,) = (weight for weight in network.weights if weight.path.startswith("size_stack1_out/bias"))
    bias.assign([2, 2, 2, 2])
    return network, card


@pytest.fixture(scope="module")
def detector(model):
    """The model in this process, which traces it once for all videos."""
    return Detector(*model)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    return export_savedmodel(model, tmp_path_factory.mktemp("served") / "spots")


@pytest.fixture(scope="module")
def signatures(folder):
    import tensorflow as tf

    signatures.loaded = tf.saved_model.load(str(folder))
    return signatures.loaded.signatures


# How they talk to a server is shown by the other tests of the clients.
@pytest.fixture(params=["rest", pytest.param("grpc", marks=pytest.mark.long)])
def client(request, signatures, rest, grpc_server):
    if request.param == "rest":
        with rest(signatures) as server:
            yield RestClient(f"http://127.0.0.1:{server.server_port}", "spots", NAMES)
    else:
        with grpc_server(signatures) as address:
            yield GrpcClient(address, "spots", NAMES)


def encode_png(frame):
    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, "png")
    return stream.getvalue()


class Twin:
    """What the client does, in this process; answers end where the image does."""

    def __init__(self, detector):
        self.detector, self.association = detector, detector.card.task_set().associate
        self.memory = self.association.start()

    def step(self, frame):
        found = self.detector(frame, threshold=0.0)
        found = dataclasses.replace(found, boxes=found.boxes.clip(0, [*frame.shape[1::-1]] * 2))
        (told,), self.memory = self.association.step(found, self.memory)
        return told


def test_two_videos_at_a_time_as_in_python(client, folder, detector):
    about = folder / "assets" / "model.json"
    served = [client.tracker(about), client.tracker(json.loads(about.read_text()))]
    ours = [Twin(detector) for _ in served]
    frames = [item.source for item in film.read(1, (48, 80), film=film.Film(frames=6)).items]
    told = 0
    for pair in zip(frames, frames[::-1]):
        for frame, there, here in zip(pair, served, ours):
            found, expected = there.step(encode_png(frame)), here.step(frame)
            assert found.fields["track_ids"].tolist() == expected.fields["track_ids"].tolist()
            np.testing.assert_allclose(found.fields["embeddings"], expected.fields["embeddings"], atol=1e-4)
            np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.01)
            told += len(found)
    assert told > 30
    with pytest.raises(DataError, match="The frame has 32x32 pixels, the first one 80x48"):
        served[0].step(encode_png(np.zeros((32, 32, 3), np.uint8)))
    served[0].reset()
    assert served[0].step(encode_png(frames[0])).fields["track_ids"].min() == 1


def test_what_the_file_answers(signatures, model):
    outputs = signatures["serving_default"].structured_outputs
    assert tuple(outputs["detection_embeddings"].shape)[1:] == (8, 6)
    assert not any(name.startswith("state") for name in outputs)
